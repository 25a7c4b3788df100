/* One line on a terminal that says how a run is going. */
#ifndef SOCKLEAK_PROGRESS_H
#define SOCKLEAK_PROGRESS_H

#include "findings/findings.h"

#include <stdbool.h>

struct progress {
	bool is_shown;  /* wanted, and standard error is a terminal that can show it */
	bool has_line;  /* something stands there now */
	char last[128]; /* what it says */
};

void progress_open(struct progress *progress, bool wanted);

/* Says what changed, where anything is to be said. */
void progress_show(struct progress *progress, const struct findings *findings);

/* Takes the line away. */
void progress_clear(struct progress *progress);

#endif
