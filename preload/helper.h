/* The helper thread: looks at the host's sockets every interval.
 *
 * It starts with the first connection, with all signals blocked, and gives itself an
 * empty descriptor table (a second thread that shares the host's would take a
 * single-threaded host off the kernel's fast path), from which it reaches the host's
 * sockets by a pidfd. Under a seccomp filter it shares the host's table and makes no
 * rarer call than getsockopt, poll and futex. */
#ifndef SOCKLEAK_HELPER_H
#define SOCKLEAK_HELPER_H

#include "probe.h"

#include <stdbool.h>
#include <stdint.h>

void helper_start(bool wanted, unsigned long interval_ns);

/* From a hook that saw a connection: starts the thread if it is wanted and was not
 * started. One load when there is nothing to do.  The one thing in a hook that may
 * allocate: libunwind's 26 KB and pthread_create's dynamic thread vector, once a process;
 * never on top of a signal handler that may have interrupted malloc. */
void helper_want(void);

bool helper_is_looking(void); /* a thread looks, or is about to */
bool helper_hooks_look(void); /* no thread will: hooks must */
bool helper_is_me(void);      /* the caller is the thread; one call */

/* Something waits to be unwound: wakes the thread early.  Any hook. */
void helper_wake(void);

/* Stops it and waits, while it gets on; at most `patience_ms` where it does not.  `last`
 * (may be NULL) is what it does before it goes, if it is there.  false = it is still at
 * work. */
bool helper_stop(unsigned patience_ms, void (*last)(const struct probe_way *way));

/* As stop, and waits until the kernel knows no such thread: what is laid upon all threads
 * next is not for it. */
bool helper_leave(unsigned patience_ms);
/* It left for nothing: the next connection starts it again, if it is wanted. */
void helper_return(void);

/* main() left by pthread_exit: the thread must not be the last one alive. */
void helper_retire(void);

/* In the parent, before a fork: a thread that is being started may hold locks of whatever
 * starts threads here (the address sanitizer's allocator, for one), and the child would
 * find them taken for ever.  Waits for it, at most `patience_ms`. */
void helper_fork_prepare(unsigned patience_ms);
/* In a child: there is no thread; the first connection starts one.  Returns the number of
 * the parent's, 0 = none. */
uint32_t helper_fork_child(void);

#endif
