/* See downtime.h.
 *
 * A ring of the last ones, which any thread may write.  `due` is taken back after one is
 * noted: two threads may note the same one, but none goes on without it.  Twice skipped, a
 * socket is older later, and nothing worse.  The same if a reader comes between the two
 * stores of a slot: an end before the beginning is none. */
#include "scan/downtime.h"

#include "base/sections.h"

#include <stdatomic.h>

#define N_KEPT 32
/* A thread that wakes on a busy machine may be a little late. */
#define LATE_NS UINT64_C(50000000)

struct downtime {
	_Atomic uint64_t from_ns, to_ns;
};

ARENA_TABLE static struct downtime kept[N_KEPT];
static _Atomic uint32_t n_noted;
static _Atomic uint64_t due;

void downtime_expect(uint64_t due_ns)
{
	atomic_store(&due, due_ns);
}

void downtime_check(uint64_t now_ns)
{
	uint64_t due_ns = atomic_load(&due);

	if (!due_ns || now_ns < due_ns || now_ns - due_ns < LATE_NS)
		return;
	struct downtime *one = &kept[atomic_fetch_add(&n_noted, 1) % N_KEPT];
	atomic_store(&one->from_ns, due_ns);
	atomic_store(&one->to_ns, now_ns);
	atomic_compare_exchange_strong(&due, &due_ns, 0);
}

uint64_t downtime_skip(uint64_t since_ns, uint64_t after_ns)
{
	uint32_t n = atomic_load(&n_noted);

	/* In their order: what one adds may reach the next. */
	for (uint32_t i = n < N_KEPT ? 0 : n - N_KEPT; i != n; i++) {
		uint64_t from_ns = atomic_load(&kept[i % N_KEPT].from_ns);
		uint64_t to_ns = atomic_load(&kept[i % N_KEPT].to_ns);

		if (from_ns < since_ns)
			from_ns = since_ns;
		if (to_ns > after_ns && to_ns > from_ns)
			since_ns += to_ns - from_ns;
	}
	return since_ns;
}

void downtime_fork_child(void)
{
	atomic_store(&n_noted, 0);
	atomic_store(&due, 0);
}
