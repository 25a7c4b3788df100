/* See schedule.h. */
#include "scan/schedule.h"

#include "base/guard.h"
#include "base/sections.h"

#include <sched.h>
#include <stdint.h>
#include <sys/syscall.h>

static uint64_t processors[16]; /* a bit for each: 1,024 of them */
static size_t processors_bytes; /* 0 = not known */

AT_START void schedule_note_processors(void)
{
	if (processors_bytes)
		return;
	long n = guard_sys(SYS_sched_getaffinity, guard_pid, sizeof(processors),
			   processors);
	processors_bytes = n > 0 ? (size_t)n : 0;
}

/* The thread inherits from the one that made the first connection what it must not keep:
 * a real-time policy, which would put it before the host's other work, and the affinity
 * to that thread's processors, where it would be in its way or, beside a real-time
 * policy, never run.  It may run where whoever started the program let it run; the kernel
 * leaves out the processors that a cpuset has taken away since. */
void schedule_take_usual(void)
{
	const struct sched_param lowest = {0};
	long policy = guard_sys(SYS_sched_getscheduler, 0);

	if (policy == SCHED_FIFO || policy == SCHED_RR)
		guard_sys(SYS_sched_setscheduler, 0, SCHED_OTHER, &lowest);
	if (processors_bytes)
		guard_sys(SYS_sched_setaffinity, 0, processors_bytes, processors);
}
