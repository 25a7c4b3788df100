/* Makes and removes the files of a run. */
#include "run/run_files.h"

#include "read/ledgers.h"
#include "support/say.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note_old(const char *path, void *of)
{
	struct run_files *files = of;

	files->old = say_one_more(files->old, files->n_old, sizeof(*files->old));
	files->old[files->n_old++] = say_strdup(path);
}

static void note_old_failed(uint32_t pid, const char *exe, const char *path, void *of)
{
	(void)pid;
	(void)exe;
	note_old(path, of);
}

static void note_old_unwatched(const struct ledgers_executed *executed, void *of)
{
	note_old(executed->path, of);
}

static int keep(struct run_files *files, const char *directory)
{
	files->is_kept = true;
	if (mkdir(directory, 0700) < 0 && errno != EEXIST) {
		say_warn("cannot make %s:", directory);
		return -1;
	}
	/* Children may change directory before they make theirs. */
	files->directory = realpath(directory, NULL);
	if (!files->directory || ledgers_each(files->directory, note_old, files) < 0) {
		say_warn("cannot open %s:", directory);
		return -1;
	}
	ledgers_each_failed(files->directory, note_old_failed, files);
	ledgers_each_unwatched(files->directory, note_old_unwatched, files);
	return 0;
}

/* A new directory with a name that cannot be guessed; owned by the caller.  NULL: said
 * why. */
static char *make_directory(const char *parent, mode_t mode)
{
	char *path = say_printf("%s/%sXXXXXX", parent, SL_RUN_DIRECTORY);

	if (mkdtemp(path) && chmod(path, mode) == 0)
		return path;
	say_warn("cannot make %s:", path);
	free(path);
	return NULL;
}

/* A server that root starts gives up its rights and serves in children of another user,
 * who keep ledgers of their own.  So each may make files in root's directory, as in /tmp;
 * the one around it, which only root may list, hides its name from other users. */
int run_files_make(struct run_files *files, const char *kept)
{
	const char *parent = getenv("TMPDIR");
	bool is_root = geteuid() == 0;

	if (kept && keep(files, kept) < 0)
		return -1;
	if (!parent || *parent != '/')
		parent = "/tmp";
	files->around = make_directory(parent, is_root ? 0711 : 0700);
	if (files->around && !kept)
		files->directory = make_directory(files->around, is_root ? 01777 : 0700);
	return files->around && files->directory ? 0 : -1;
}

static bool write_options(const char *path, const char *options)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	ssize_t n = fd < 0 ? -1 : write(fd, options, strlen(options));
	/* Whatever the umask: children of other users read it. */
	bool is_readable = fd >= 0 && fchmod(fd, 0644) == 0;

	if (fd >= 0)
		close(fd);
	return n == (ssize_t)strlen(options) && is_readable;
}

const char *run_files_link(struct run_files *files, const char *library,
			   const char *options)
{
	if (strpbrk(files->around, " :\t\n"))
		return library;
	files->options = say_printf("%s/options", files->around);
	files->library = say_printf("%s/libsockleak.so", files->around);
	if (write_options(files->options, options) &&
	    symlink(library, files->library) == 0)
		return files->library;
	say_warn("cannot make %s:", files->library);
	return library;
}

void run_files_note_log(struct run_files *files, const char *value)
{
	if (strcmp(value, "stderr") != 0 && strcmp(value, "none") != 0 &&
	    !strchr(value, '%') && access(value, F_OK) < 0)
		files->new_log = say_strdup(value);
}

bool run_files_is_old(const struct run_files *files, const char *ledger)
{
	for (size_t i = 0; i < files->n_old; i++)
		if (strcmp(files->old[i], ledger) == 0)
			return true;
	return false;
}

static void remove_ledger(const char *path, void *of)
{
	(void)of;
	unlink(path);
}

static void remove_failed(uint32_t pid, const char *exe, const char *path, void *of)
{
	(void)pid;
	(void)exe;
	remove_ledger(path, of);
}

static void remove_unwatched(const struct ledgers_executed *executed, void *of)
{
	remove_ledger(executed->path, of);
}

/* The process that creates the log removes it at its end if it is empty; but not if it
 * has executed another program meanwhile. */
static void remove_empty_log(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
		unlink(path);
}

void run_files_remove(const struct run_files *files)
{
	if (files->library && !files->stays)
		unlink(files->library);
	if (files->options && !files->stays)
		unlink(files->options);
	if (files->directory && !files->is_kept && !files->stays) {
		ledgers_each(files->directory, remove_ledger, NULL);
		ledgers_each_failed(files->directory, remove_failed, NULL);
		ledgers_each_unwatched(files->directory, remove_unwatched, NULL);
		rmdir(files->directory);
	}
	if (files->around)
		rmdir(files->around);
	if (files->new_log)
		remove_empty_log(files->new_log);
}

void run_files_free(struct run_files *files)
{
	for (size_t i = 0; i < files->n_old; i++)
		free(files->old[i]);
	free(files->old);
	free(files->directory);
	free(files->around);
	free(files->library);
	free(files->options);
	free(files->new_log);
}
