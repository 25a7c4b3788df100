/* What the start (start.c), the end (end.c) and forks (fork.c) of a process share. */
#ifndef SOCKLEAK_START_INTERNAL_H
#define SOCKLEAK_START_INTERNAL_H

#include "report/settings.h"

#include <stdbool.h>

extern struct settings start_settings;
extern bool start_is_ending; /* the final report has begun */
/* Of a forked child: why it keeps no ledger; NULL = it has one, or wants none. */
extern const char *start_why_no_ledger;
extern char start_ledger_directory[]; /* absolute; "" = none is wanted */

/* end.c */

void end_register_handlers(void); /* once */
void end_fork_child(void);

/* fork.c */

/* Later calls do nothing. */
void fork_register_handlers(void);

#endif
