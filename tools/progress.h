/* One line on a terminal that says how a run is going. */
#ifndef SOCKLEAK_PROGRESS_H
#define SOCKLEAK_PROGRESS_H

#include "merge.h"

#include <stdbool.h>
#include <stdint.h>

struct progress {
	bool is_shown;    /* standard error is a terminal, and wanted */
	bool has_line;    /* something stands there now */
	char last[128];   /* what it says */
	uint64_t wait_ms; /* until the next look */
};

void progress_open(struct progress *progress, bool wanted);

/* Looks at the live ledgers that `add` adds to a merge, and says what changed.  Takes its
 * time from how long the look took. */
void progress_look(struct progress *progress, void (*add)(struct merge *merge, void *of),
		   void *of);

/* Takes the line away. */
void progress_clear(struct progress *progress);

#endif
