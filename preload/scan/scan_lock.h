/* Who may scan: one thread at a time, the owner of the scan lock.  It is the helper
 * thread, a hook (thread=no), a caller of sockleak_check(), or the exiting thread.  It
 * alone touches leak groups, records of leaks in the ledger and the second part of
 * entries. */
#ifndef SOCKLEAK_SCAN_LOCK_H
#define SOCKLEAK_SCAN_LOCK_H

#include <stdbool.h>

#define FORK_PATIENCE_MS 100 /* a fork waits so long for a scan */

/* Takes the lock; false = another thread had it for `patience_ms`, or this thread has it
 * already.  `patience_ms` > 0 only outside hooks: a hook never waits.  While the lock is
 * held, the hooks of this thread call straight through (reentrancy_depth). */
bool scan_trylock(unsigned patience_ms);
/* The same, but patient with an owner that gets on: see guard_is_patient(). */
bool scan_lock_timed(unsigned patience_ms);
void scan_unlock(void);
/* By a thread that has just unlocked and will lock again: lets a waiting thread be first.
 */
void scan_lock_yield(void);

/* Around fork: the lock is taken (or, after FORK_PATIENCE_MS, is not waited for), so that
 * the child's copy of what a scan writes is whole. */
void scan_fork_prepare(void);
void scan_fork_parent(void);
void scan_lock_fork_child(void);

#endif
