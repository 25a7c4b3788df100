/* See options_file.h. */
#include "report/options_file.h"

#include "base/guard.h"
#include "base/sections.h"
#include "common/ledger.h"
#include "common/text.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

AT_START static bool starts_with(const char *text, const char *begin)
{
	while (*begin && *text == *begin) {
		text++;
		begin++;
	}
	return !*begin;
}

AT_START bool options_name_ledger(const char *options)
{
	for (const char *at = options; *at; at++)
		if (starts_with(at, "ledger="))
			return true;
	return false;
}

/* The directory of our entry, if it is one of a run; its length, 0 = there is none.  In
 * one pass and without the C library: every preloaded start comes here. */
AT_START static size_t find_directory(const char *preload, const char **directory)
{
	static const char library[] = "/libsockleak.so", run[] = "/" SL_RUN_DIRECTORY;
	const char *name = preload, *parent = preload; /* the last two slashes */

	*directory = preload;
	for (const char *at = preload;; at++) {
		if (*at == '/') {
			parent = name;
			name = at;
		} else if (!*at || *at == ' ' || *at == ':') {
			if (starts_with(name, library) && starts_with(parent, run) &&
			    at - name == sizeof(library) - 1)
				return (size_t)(name - *directory);
			if (!*at)
				return 0;
			*directory = name = parent = at + 1;
		}
	}
}

static bool is_trusted(int fd)
{
	struct stat is;

	return guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0 &&
	       S_ISREG(is.st_mode) && (is.st_mode & 022) == 0 &&
	       (is.st_uid == 0 || is.st_uid == (uid_t)guard_sys(SYS_geteuid)) &&
	       is.st_size < OPTIONS_FILE_BYTES;
}

static long open_in(const char *directory, size_t bytes)
{
	char path[1024];
	struct text text = {path, sizeof(path) - 1, bytes, false};

	if (bytes >= sizeof(path) - sizeof("/options"))
		return -1;
	memcpy(path, directory, bytes);
	text_string(&text, "/options");
	path[text.used] = '\0';
	/* No other thread of the host runs yet that could get the same descriptor
	 * meanwhile. */
	long fd = guard_sys(SYS_openat, AT_FDCWD, path,
			    O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || is_trusted((int)fd))
		return fd;
	guard_sys(SYS_close, fd);
	return -1;
}

AT_START long options_file_open(const char *preload)
{
	const char *directory = "";
	size_t bytes = find_directory(preload, &directory);

	return bytes ? open_in(directory, bytes) : -1;
}
