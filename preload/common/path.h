/* Paths and other names as strings: no file is opened. */
#ifndef SOCKLEAK_PATH_H
#define SOCKLEAK_PATH_H

#include <stdbool.h>
#include <string.h>

static inline bool string_begins(const char *path, const char *with)
{
	return strncmp(path, with, strlen(with)) == 0;
}

/* Whether it is in a folder of the system's libraries. */
static inline bool path_is_of_system(const char *path)
{
	return string_begins(path, "/lib/") || string_begins(path, "/lib64/") ||
	       string_begins(path, "/usr/lib/") || string_begins(path, "/usr/lib64/");
}

/* What stands behind the last '/'; all of a path without one. */
static inline const char *path_base(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* Whether it is one of glibc's loaders by its name: ld-linux-x86-64.so.2,
 * ld-linux-aarch64.so.1, ld64.so.2, ld.so.1, ld-2.31.so. */
static inline bool path_is_loader_of_glibc(const char *path)
{
	const char *name = path_base(path);

	return strncmp(name, "ld-linux", 8) == 0 || strncmp(name, "ld64.so", 7) == 0 ||
	       strncmp(name, "ld.so", 5) == 0 || strncmp(name, "ld-2.", 5) == 0;
}

#endif
