/* The helper thread: scans the host's sockets every interval.
 *
 * It starts with the first connection, with all signals blocked, and gives itself an
 * empty descriptor table (a second thread that shares the host's would take a
 * single-threaded host off the kernel's fast path), from which it reaches the host's
 * sockets by a pidfd. Under a seccomp filter it shares the host's table and makes no
 * rarer call than getsockopt, poll and futex. */
#ifndef SOCKLEAK_HELPER_H
#define SOCKLEAK_HELPER_H

#include "base/probe.h"

#include <stdbool.h>
#include <stdint.h>

void helper_start(bool wanted, unsigned long interval_ns);

/* At the start, before the program can pin itself, or with the first socket of one that
 * did not seem to make any: the thread may run where the main thread may run then. */
void helper_note_processors(void);

/* From a hook that saw a connection: starts the thread if it is wanted and was not
 * started. One load when there is nothing to do.  The one thing in a hook that may
 * allocate: libunwind's 26 KB and pthread_create's dynamic thread vector, once a process;
 * where that is not safe (allocation.h) a later call starts it. */
void helper_ensure_started(void);

bool helper_is_scanning(void); /* a thread scans, or is about to */
bool helper_is_wanted(void);   /* it is to be started, as soon as it may be */
bool helper_hooks_scan(void);  /* no thread does, or may for now: hooks must */
bool helper_is_me(void);       /* the caller is the thread; one call */

/* Something waits to be unwound: wakes the thread early.  Any hook. */
void helper_wake(void);

/* Stops it and waits, while it gets on; at most `patience_ms` where it does not.  `last`
 * (may be NULL) is what it does before it goes, if it is there.  false = it is still at
 * work. */
bool helper_stop(unsigned patience_ms, void (*last)(const struct fd_access *access));

/* As helper_stop(), and waits until the kernel knows no such thread: what the host does
 * to all threads next (set credentials, install a filter) must not reach it. */
bool helper_leave(unsigned patience_ms);
/* It has not left in time, and need not any more.  false = it has left meanwhile. */
bool helper_stay(void);
/* After helper_leave(): the next use of a connection starts a thread again, if it is wanted.
 */
void helper_allow_restart(void);

/* main() leaves: the thread must not be the last one alive, whose status is that of the
 * process.  It is gone on return. */
void helper_retire(void);

/* In the parent, before a fork: a thread that is being started may hold locks of whatever
 * starts threads here (the address sanitizer's allocator, for one), and the child would
 * find them taken for ever.  Waits for it, at most `patience_ms`. */
void helper_fork_prepare(unsigned patience_ms);
/* In a child: there is no thread; the first connection starts one if fork's handlers ran.
 * Where they did not (_Fork, clone), another thread's lock of the allocator may have been
 * copied, and starting a thread allocates: hooks scan.  Returns the number of the
 * parent's thread, 0 = none. */
uint32_t helper_fork_child(bool handlers_ran);
/* In a child that a hook, called by another handler of the same fork(), took for one
 * without handlers. */
void helper_fork_handlers_ran(void);

#endif
