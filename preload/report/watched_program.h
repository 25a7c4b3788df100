/* Which programs the library watches: where one file of options holds for all programs of
 * a host or a container, the others go on as without it. */
#ifndef SOCKLEAK_WATCHED_PROGRAM_H
#define SOCKLEAK_WATCHED_PROGRAM_H

#include "report/settings.h"

/* By the options off, programs and not.  At the start.  Asks the kernel for the program's
 * path only where one of the last two is given. */
bool watched_program_is_this(const struct settings *settings);

#endif
