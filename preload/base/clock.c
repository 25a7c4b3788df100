/* See clock.h. */
#include "base/clock.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"

#include <stdatomic.h>
#include <sys/syscall.h>

static _Atomic(__typeof__(&clock_gettime)) read_clock = clock_gettime;
static uint64_t stood_still_ns; /* in a sandbox */

AT_START void clock_start(void)
{
	void *of_libc = imports_of_libc("clock_gettime");

	if (of_libc)
		read_clock = (__typeof__(&clock_gettime))of_libc;
}

AT_START uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	atomic_load_explicit(&read_clock, memory_order_relaxed)(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

AT_START uint64_t clock_now_ns(void)
{
	if (__builtin_expect(guard_is_sandboxed, 0))
		return stood_still_ns;
	return clock_ns(CLOCK_MONOTONIC);
}

void clock_pause(uint64_t ns)
{
	struct timespec pause = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	guard_sys(SYS_nanosleep, &pause, NULL);
}

void clock_before_sandbox(void)
{
	stood_still_ns = clock_now_ns();
}

static int ask_kernel(clockid_t clock, struct timespec *now)
{
	return (int)guard_sys(SYS_clock_gettime, clock, now);
}

void clock_before_counter_is_denied(void)
{
	atomic_store(&read_clock, ask_kernel);
}
