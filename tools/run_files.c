/* Makes and removes the files of a run. */
#include "run_files.h"

#include "ledgers.h"
#include "say.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void note_old(const char *path, void *of)
{
	struct run_files *files = of;

	files->old = say_realloc(files->old, files->n_old + 1, sizeof(*files->old));
	files->old[files->n_old++] = say_strdup(path);
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
	return 0;
}

/* A new directory of a name nobody can guess; owned by the caller.  NULL: said why. */
static char *make_directory(const char *parent, const char *prefix, mode_t mode)
{
	char *path = say_printf("%s/%sXXXXXX", parent, prefix);

	if (mkdtemp(path) && chmod(path, mode) == 0)
		return path;
	say_warn("cannot make %s:", path);
	free(path);
	return NULL;
}

/* A server that root starts gives up its rights and serves in children of another user,
 * who keep ledgers of their own.  So each may make files in root's directory, as in /tmp;
 * the one around it, which only root may list, keeps its name from everybody else. */
int run_files_make(struct run_files *files, const char *kept)
{
	const char *parent = getenv("TMPDIR");
	bool is_root = geteuid() == 0;

	if (kept)
		return keep(files, kept);
	if (!parent || *parent != '/')
		parent = "/tmp";
	if (is_root)
		parent = files->around = make_directory(parent, "sockleak-", 0711);
	if (parent)
		files->directory =
			make_directory(parent, "sockleak-", is_root ? 01777 : 0700);
	return files->directory ? 0 : -1;
}

void run_files_note_log(struct run_files *files, const char *value)
{
	size_t bytes = strlen(value);
	char *path = value[0] == '\'' && bytes > 1
			     ? say_printf("%.*s", (int)bytes - 2, value + 1)
			     : say_strdup(value);
	bool is_new = strcmp(path, "stderr") != 0 && strcmp(path, "none") != 0 &&
		      !strchr(path, '%') && access(path, F_OK) < 0;

	free(files->new_log);
	files->new_log = is_new ? path : NULL;
	if (!is_new)
		free(path);
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

/* Whoever opens a log first removes it if it stayed empty; but not if it became another
 * program meanwhile. */
static void remove_empty_log(const char *path)
{
	struct stat status;

	if (lstat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size == 0)
		unlink(path);
}

void run_files_remove(struct run_files *files)
{
	if (files->directory && !files->is_kept) {
		ledgers_each(files->directory, remove_ledger, NULL);
		rmdir(files->directory);
	}
	if (files->around)
		rmdir(files->around);
	if (files->new_log)
		remove_empty_log(files->new_log);
	for (size_t i = 0; i < files->n_old; i++)
		free(files->old[i]);
	free(files->old);
	free(files->directory);
	free(files->around);
	free(files->new_log);
}
