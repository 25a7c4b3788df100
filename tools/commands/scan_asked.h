/* Restricts a scan to the processes and ports that the user names: words that are a
 * process id, a process's name or a port (":8080"), ended by NULL.  No words = all. */
#ifndef SOCKLEAK_SCAN_ASKED_H
#define SOCKLEAK_SCAN_ASKED_H

#include "formats/scan.h"

/* Takes away all others. */
void scan_leave_out(struct scan *scan, char *const *words);

/* A usage error where a word is no port or there is no such process: that is a mistake,
 * and no system without leaks. */
void scan_check_asked(char *const *words);

#endif
