/* Ledgers by path: single files, or all in a directory. */
#ifndef SOCKLEAK_LEDGERS_H
#define SOCKLEAK_LEDGERS_H

#include "merge.h"

/* Reads a ledger that was found in a directory: 0 = it is there, -1 = it cannot be read,
 * with a sentence in `why`, 1 = there is nothing to read: it is gone since, because its
 * process had nothing to keep, or its process is only now making it. */
int ledgers_read(const char *path, struct reader_ledger *ledger,
		 char why[READER_WHY_BYTES]);

/* Adds what lies at `path` to the merge.  Each ledger that cannot be read gets one clear
 * line.  Returns how many could not (a path that cannot be opened is one). */
size_t ledgers_add(struct merge *merge, const char *path);

/* Calls `each` with the path of every ledger in the directory, in the order of names;
 * -1 with errno if it cannot be listed. */
int ledgers_each(const char *directory, void (*each)(const char *path, void *of),
		 void *of);

#endif
