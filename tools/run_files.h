/* The files of a run: the directory of its ledgers, and a log that was not there before.
 */
#ifndef SOCKLEAK_RUN_FILES_H
#define SOCKLEAK_RUN_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct run_files {
	char *directory; /* of the ledgers, absolute; owned */
	char *around;    /* the directory that root has around it; owned, or NULL */
	bool is_kept;    /* the directory, when the run is over */
	char **old;      /* ledgers of former runs in a kept directory; owned */
	size_t n_old;
	char *new_log; /* a log that is not there yet; owned, NULL = none */
};

/* Makes a directory for the ledgers: `kept`, or NULL for one that goes with the run.  -1
 * after one clear line. */
int run_files_make(struct run_files *files, const char *kept);

/* The value of the library's option `log`. */
void run_files_note_log(struct run_files *files, const char *value);

bool run_files_is_old(const struct run_files *files, const char *ledger);

/* Removes what is not kept, and an empty log; frees the rest. */
void run_files_remove(struct run_files *files);

#endif
