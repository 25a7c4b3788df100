/* Opens regular files and nothing else. */
#include "support/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* O_PATH (open(2)) names a file without opening it.  /proc then opens that very file,
 * whatever stands at the path by now. */
int files_open_regular(const char *path)
{
	char named[64];
	struct stat is;
	int name = open(path, O_PATH | O_CLOEXEC), fd = -1;

	if (name < 0)
		return -1;
	if (fstat(name, &is) == 0 && !S_ISREG(is.st_mode)) {
		close(name);
		errno = EINVAL;
		return -1;
	}
	snprintf(named, sizeof(named), "/proc/self/fd/%d", name);
	fd = open(named, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	/* Where no /proc is mounted. */
	if (fd < 0 && errno == ENOENT)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	int reason = errno;
	close(name);
	errno = reason;
	return fd;
}
