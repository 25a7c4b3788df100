/* The processes below this one, looked at again and again while a program runs: whether
 * the library is in them, and if not, why.  For that this process must be their subreaper
 * (launch.c), so that those whose parent has ended are still below it.
 *
 * What it cannot see: a process that starts and ends between two looks.  Of those the
 * library tells, in who executed them (preload/hooks/execute.c). */
#ifndef SOCKLEAK_DESCENDANTS_H
#define SOCKLEAK_DESCENDANTS_H

#include "findings/findings.h"

#include <stddef.h>
#include <sys/types.h>

struct descendants;

/* The ledgers of the run are in directory `ledgers`, and LD_PRELOAD names a file in
 * `around`; both stay as long. */
struct descendants *descendants_open(const char *ledgers, const char *around);

/* Looks at all of them but `except`, a child of ours (-1 = none).  Returns how many run.
 */
size_t descendants_look(struct descendants *descendants, pid_t except);

/* Somebody else knows that a process of program `exe`, an absolute path without links, is
 * not watched; it may be one that was seen here, too. */
void descendants_note(struct descendants *descendants, uint32_t pid, const char *exe,
		      enum unwatched_reason reason);

/* Process `pid` of this PID namespace, which started at `start_ticks`, executed a program
 * that is not watched; it may be one that was seen here, too, and is named once. */
void descendants_note_executed(struct descendants *descendants, uint32_t pid,
			       uint64_t start_ticks, const char *exe,
			       enum unwatched_reason reason);

/* The program of a process that was seen; NULL = it was not. */
const char *descendants_program(const struct descendants *descendants, uint32_t pid);

/* Whether it was, or became, a program that is named as not watched. */
bool descendants_was_unwatched(const struct descendants *descendants, uint32_t pid);

/* Adds what was not watched, and what ran at the last walk. */
void descendants_tell(const struct descendants *descendants, struct findings *findings);

void descendants_free(struct descendants *descendants);

#endif
