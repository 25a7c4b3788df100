/* Files that the command writes.  What stands in one already is replaced at once, when
 * all of the new text is there: until then, and if we are killed meanwhile, it stays. */
#ifndef SOCKLEAK_OUTFILE_H
#define SOCKLEAK_OUTFILE_H

#include <stdbool.h>
#include <stdio.h>

struct outfile;

/* Makes sure that `path` can be written, so that a long run does not fail at its end.
 * `path` is borrowed; NULL or "-" = standard output.  NULL after one line on standard
 * error. */
struct outfile *outfile_open(const char *path);

/* Where to write the text; NULL after one line on standard error. */
FILE *outfile_begin(struct outfile *outfile);

/* All has been written. -1 after one line on standard error.  A pipe whose reader has
 * gone is no error (head -1). */
int outfile_end(struct outfile *outfile);

/* All of it at once: opened, what `print` writes, ended.  -1 after one line. */
int outfile_write(const char *path, void (*print)(const void *of, FILE *file),
		  const void *of);

/* As outfile_end(), of a stream that is not ours: flushed, errors said; `name` for
 * messages. */
int outfile_flush(FILE *file, const char *name);

void outfile_close(struct outfile *outfile); /* NULL is allowed */

/* Whether two paths (NULL = standard output) lead to the same file or pipe, by whatever
 * names.  A device may take both. */
bool outfile_is_same(const char *a, const char *b);

#endif
