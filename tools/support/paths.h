/* Paths of source files, as strings: no file is looked at. */
#ifndef SOCKLEAK_PATHS_H
#define SOCKLEAK_PATHS_H

#include <stddef.h>

/* `path` in `directory` (NULL = not known) if it is relative, without ".", ".." behind a
 * name, and doubled slashes: "/src/b" and "../a.c" give "/src/a.c".  The caller frees it.
 */
char *paths_join(const char *directory, const char *path);

/* How many bytes of `path` say that it lies below the working directory; 0 = it does
 * not.  They are left out where people read.  Not thread-safe. */
size_t paths_below_working_directory(const char *path);

/* The directory that a checkout is in, without a '/' at its end: where a CI says so
 * (GITHUB_WORKSPACE, CI_PROJECT_DIR) that one, else the working directory; "" = not
 * known.  Services look for files below it. */
const char *paths_source_root(void);
/* As above, of that directory. */
size_t paths_below_source_root(const char *path);

#endif
