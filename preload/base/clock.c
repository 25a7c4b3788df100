/* See clock.h. */
#include "base/clock.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"

static __typeof__(&clock_gettime) read_clock = clock_gettime;
static uint64_t stood_still_ns; /* in a sandbox */

AT_START void clock_start(void)
{
	void *of_libc = imports_of_libc("clock_gettime");

	if (of_libc)
		read_clock = (__typeof__(read_clock))of_libc;
}

AT_START uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	read_clock(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

AT_START uint64_t clock_now_ns(void)
{
	if (__builtin_expect(guard_is_sandboxed, 0))
		return stood_still_ns;
	return clock_ns(CLOCK_MONOTONIC);
}

void clock_before_sandbox(void)
{
	stood_still_ns = clock_now_ns();
}
