/* Ledgers by path: single files, or all in a directory. */
#ifndef SOCKLEAK_LEDGERS_H
#define SOCKLEAK_LEDGERS_H

#include "findings/findings.h"
#include "read/reader.h"

/* Reads a ledger that was found in a directory: 0 = it is there, -1 = it cannot be read,
 * with a sentence in `why`, 1 = there is nothing to read: it is gone since, because its
 * process had nothing to keep, or its process is only now making it, or ended while it
 * did (ledgers_is_unborn). */
int ledgers_read(const char *path, struct reader_ledger *ledger,
		 char why[READER_WHY_BYTES]);

/* Whether the ledger of the program that this one's process became lies beside it. */
bool ledgers_has_next(const char *path);

/* Whether the process `pid` ended while it made this ledger, and no program that it
 * became has one. */
bool ledgers_is_unborn(const char *path, uint32_t *pid);
/* Adds those in a directory to the findings, as not watched. */
void ledgers_add_unborn(struct findings *findings, const char *directory);

/* A file that says that process `pid` could keep no ledger; `exe` is its program, NULL if
 * that is not known. */
typedef void ledgers_failed(uint32_t pid, const char *exe, const char *path, void *of);
/* Calls `each` for all of them in a directory; one that cannot be listed has none. */
void ledgers_each_failed(const char *directory, ledgers_failed *each, void *of);
/* Adds them to the findings. */
void ledgers_add_failed(struct findings *findings, const char *directory);

/* What a file says that a process left when it executed a program without the library. */
struct ledgers_executed {
	const char *path;     /* of the file */
	uint32_t pid;         /* 0 = not known, only its parent is */
	uint64_t start_ticks; /* of the process; 0 = not known */
	uint64_t namespace;   /* of PIDs, by its inode; 0 = not known */
	enum unwatched_reason reason;
	const char *exe; /* NULL = not known */
};
typedef void ledgers_unwatched(const struct ledgers_executed *executed, void *of);
/* Calls `each` for all of them in a directory, in the order of their names. */
void ledgers_each_unwatched(const char *directory, ledgers_unwatched *each, void *of);
/* Adds them to the findings. */
void ledgers_add_unwatched(struct findings *findings, const char *directory);

/* Calls `each` with the path of every ledger in the directory, in the order of names;
 * -1 with errno if it cannot be listed. */
int ledgers_each(const char *directory, void (*each)(const char *path, void *of),
		 void *of);

#endif
