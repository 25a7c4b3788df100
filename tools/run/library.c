/* Finds the library by where the command itself lies, so that both can be run from a
 * build directory, installed, or moved together. */
#include "run/library.h"

#include "support/say.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The resolved path if `directory`/`below` holds the library; the caller frees it. */
static char *look(const char *directory, const char *below)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s" LIBRARY_NAME, directory, below);
	if (n < 0 || (size_t)n >= sizeof path)
		return NULL;
	char *found = realpath(path, NULL);
	struct stat file;
	if (found && stat(found, &file) == 0 && S_ISREG(file.st_mode) &&
	    access(found, R_OK) == 0)
		return found;
	free(found);
	return NULL;
}

/* The directory of the running command; false if /proc is not there. */
static bool own_directory(char *directory, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", directory, size - 1);
	if (n <= 0)
		return false;
	directory[n] = 0;
	char *slash = strrchr(directory, '/');
	if (directory[0] != '/' || !slash)
		return false;
	*slash = 0;
	return true;
}

char *library_path(void)
{
	char directory[PATH_MAX];
	char *found = NULL;
	if (own_directory(directory, sizeof directory)) {
		found = look(directory, "");
		if (!found)
			found = look(directory, "../lib/sockleak/");
	}
	if (!found)
		found = look(LIBRARY_DIR, "");
	if (!found)
		errno = ENOENT;
	return found;
}

void library_say_missing(void)
{
	say_warn("cannot find %s, neither beside this command nor where it is installed",
		 LIBRARY_NAME);
}
