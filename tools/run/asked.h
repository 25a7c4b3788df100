/* Whether a process was asked to load the library for this run, and did: as /proc tells.
 */
#ifndef SOCKLEAK_ASKED_H
#define SOCKLEAK_ASKED_H

#include <stdint.h>

/* What the processes of a run are given; the caller's. */
struct asked_run {
	const char *ledgers; /* the directory of their ledgers */
	const char *around;  /* that of the file that LD_PRELOAD names */
};

enum asked {
	ASKED,              /* also where it is not known */
	ASKED_ELSEWHERE,    /* the library, but no ledger in that directory */
	ASKED_OUT_OF_REACH, /* in its root directory that file is not there */
	NOT_ASKED,
};

/* By the environment that its program was executed with. */
enum asked asked_of(uint32_t pid, const struct asked_run *run);

/* 1 = the library is mapped, 0 = not, -1 = not known. */
int asked_is_loaded(uint32_t pid);

#endif
