/* See scan_lock.h. */
#include "scan/scan_lock.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"

#include <stdatomic.h>
#include <stdint.h>

/* The owner, as the address of a thread-local word of its own; 0 = free. */
static _Atomic uintptr_t owner;
static _Atomic unsigned n_waiting; /* threads that wait for it */

/* Returns 0 if this thread has the lock now, or else its owner. */
AT_START static uintptr_t try_lock(void)
{
	uintptr_t whose = 0;

	if (atomic_compare_exchange_strong(&owner, &whose, (uintptr_t)&reentrancy_depth))
		reentrancy_depth++;
	return whose;
}

/* The count of waiting threads is no part of the lock: a thread that is cancelled while
 * it waits leaves a count that only makes others pause. */
static void wait_for_lock(void)
{
	atomic_fetch_add(&n_waiting, 1);
	clock_pause(MS);
	atomic_fetch_sub(&n_waiting, 1);
}

AT_START bool scan_trylock(unsigned patience_ms)
{
	uintptr_t whose;

	while ((whose = try_lock()) != 0) {
		if (!patience_ms-- || whose == (uintptr_t)&reentrancy_depth)
			return false;
		wait_for_lock();
	}
	return true;
}

AT_START bool scan_lock_timed(unsigned patience_ms)
{
	struct guard_patience patience = {.idle_ms = patience_ms};
	uintptr_t whose;

	while ((whose = try_lock()) != 0) {
		if (whose == (uintptr_t)&reentrancy_depth || !guard_is_patient(&patience))
			return false;
		wait_for_lock();
	}
	return true;
}

void scan_unlock(void)
{
	reentrancy_depth--;
	atomic_store(&owner, 0);
}

static __thread bool owned_at_fork;

/* reentrancy_depth stays as it was: between prepare and parent the host's own handlers
 * run, and what they open is the host's. */
void scan_fork_prepare(void)
{
	owned_at_fork = scan_trylock(FORK_PATIENCE_MS);
	if (owned_at_fork)
		reentrancy_depth--;
}

void scan_fork_parent(void)
{
	if (!owned_at_fork)
		return;
	owned_at_fork = false;
	atomic_store(&owner, 0);
}

void scan_lock_yield(void)
{
	/* A waiting thread tries every millisecond. */
	if (!atomic_load(&n_waiting))
		return;
	clock_pause(2 * MS);
}

void scan_lock_fork_child(void)
{
	owned_at_fork = false;
	atomic_store(&owner, 0);
	atomic_store(&n_waiting, 0);
}
