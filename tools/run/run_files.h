/* The files of a run: the directory of its ledgers, and a log that was not there before.
 */
#ifndef SOCKLEAK_RUN_FILES_H
#define SOCKLEAK_RUN_FILES_H

#include <stdbool.h>
#include <stddef.h>

struct run_files {
	char *directory; /* of the ledgers, absolute; owned */
	char *around;  /* the directory of the run: that one, unless it is kept, and what
			  LD_PRELOAD names; owned */
	char *library; /* a link to the library, in `around`; owned, NULL = none */
	char *options; /* the file beside it; owned, NULL = none */
	bool is_kept;  /* the directory of ledgers, when the run is over */
	bool stays;    /* all of it: processes still run that use it */
	char **old;    /* ledgers of former runs in a kept directory; owned */
	size_t n_old;
	char *new_log; /* a log that is not there yet; owned, NULL = none */
};

/* Makes a directory for the ledgers: `kept`, or NULL for one that goes with the run.  -1
 * after one clear line. */
int run_files_make(struct run_files *files, const char *kept);

/* Makes the link to `library` and, beside it, the file from which the library takes
 * `options` in a process whose environment lost them.  Returns the path for LD_PRELOAD:
 * the link's, or `library` where it cannot be made or named there. */
const char *run_files_link(struct run_files *files, const char *library,
			   const char *options);

/* The value of the library's option `log`, before the program is run. */
void run_files_note_log(struct run_files *files, const char *value);

bool run_files_is_old(const struct run_files *files, const char *ledger);

/* Removes what is not kept, and an empty log. */
void run_files_remove(const struct run_files *files);
void run_files_free(struct run_files *files);

#endif
