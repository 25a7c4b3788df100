/* Times in which the process could not run: it was stopped by a signal or a debugger,
 * frozen with its container, or waited for a processor.  A socket whose peer went then
 * could not be closed: these times do not count towards the grace.
 *
 * The helper sees them: it wakes later than it asked for.  A stop that begins and ends
 * within one of its pauses is not seen; without the helper none is.  Any thread, any
 * signal handler; nothing waits.  Times are of clock_now_ns(). */
#ifndef SOCKLEAK_DOWNTIME_H
#define SOCKLEAK_DOWNTIME_H

#include <stdint.h>

/* This thread sleeps until then; 0 = it is awake. */
void downtime_expect(uint64_t due_ns);
/* Notes it if the thread that sleeps should have been awake for long. */
void downtime_check(uint64_t now_ns);
/* The time `since_ns`, later by all downtime behind it of which the end lies behind
 * `after_ns`: up to there it was skipped before. */
uint64_t downtime_skip(uint64_t since_ns, uint64_t after_ns);
void downtime_fork_child(void);

#endif
