/* The clocks of the kernel, asked by the C library's own call: where a program or another
 * preloaded library puts a call of its own in its place, which may jump or stand still,
 * ages would be wrong.  Any thread, any signal handler; errno is left alone. */
#ifndef SOCKLEAK_CLOCK_H
#define SOCKLEAK_CLOCK_H

#include <stdint.h>
#include <time.h>

#define MS UINT64_C(1000000) /* a millisecond, in nanoseconds */

/* By the constructor, after imports_read(); until then the program's call is asked. */
void clock_start(void);
uint64_t clock_ns(clockid_t clock);
/* CLOCK_MONOTONIC. */
uint64_t clock_now_ns(void);
/* Sleeps, at most that long: a signal may end it before. */
void clock_pause(uint64_t ns);
/* Called before a seccomp filter is installed that may end the host for a system call,
 * which reading the clock may be; in seccomp's strict mode reading the processor's
 * counter ends it, too.  From then on clock_now_ns() stands still, as long as
 * guard_is_sandboxed is set. */
void clock_before_sandbox(void);
/* Called before a thread gives up the right to read the processor's counter
 * (PR_SET_TSC), which the C library's call does.  From then on each reading is a system
 * call. */
void clock_before_counter_is_denied(void);

#endif
