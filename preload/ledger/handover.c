/* Descriptors that this process hands over: sent over a Unix socket, or closed while a
 * child may hold them.  Their origins go into the ledger, for the records of the process
 * that has them then. */
#include "ledger/ledger_internal.h"

#include "base/sections.h"
#include "base/slots.h"
#include "ledger/ledger_writer.h"

#define N_PASSED           2048 /* noted between two scans: 80 KiB */
#define N_WORDS            (N_PASSED / SLOTS_IN_WORD)
#define MAX_PASSED_RECORDS 16384 /* in one file, of each kind: 900 KiB */

/* Filled by any thread, emptied by the scanning thread; what does not fit is dropped and
 * counted.
 */
ARENA_TABLE static struct passed_fd {
	struct ledger_passed passed;
	_Atomic bool is_ready; /* stored last */
} passed_fds[N_PASSED];
ARENA_TABLE static _Atomic uint64_t taken[N_WORDS];
static unsigned n_closed, n_sent; /* records of such */

void ledger_note_passed(const struct ledger_passed *passed)
{
	if (!ledger_is_wanted() || in_forked_copy() || !passed->cookie)
		return;
	int slot = slots_take(taken, N_WORDS);
	if (slot < 0 || slot >= N_PASSED * 3 / 4)
		atomic_store(&ledger_is_low, true);
	if (slot < 0) {
		if (passed->is_sent)
			ledger_drop_record();
		return;
	}
	passed_fds[slot].passed = *passed;
	atomic_store_explicit(&passed_fds[slot].is_ready, true, memory_order_release);
}

static void write_passed(const struct ledger_passed *passed, uint32_t origin,
			 uint64_t now_ns)
{
	struct sl_event record = {
		.head = {SL_RECORD_EVENT, sizeof(record)},
		.kind = SL_EVENT_PASSED,
		.call = passed->call,
		.origin_kind = passed->origin_kind,
		.time_ns = now_ns,
		.cookie = passed->cookie,
		.origin = origin,
		.fd = (uint32_t)passed->fd,
		.value = passed->opened_ns,
	};
	unsigned *n = passed->is_sent ? &n_sent : &n_closed;

	if (*n < MAX_PASSED_RECORDS) {
		++*n;
		ledger_append(&record.head, NULL, 0);
	} else if (passed->is_sent) {
		ledger_drop_record();
	}
}

void ledger_write_passed(uint32_t (*resolve_origin)(uint32_t origin), uint64_t now_ns)
{
	unsigned n = slots_top(taken, N_WORDS), n_waiting = 0;

	for (unsigned i = 0; ledger_ours() && i < n; i++) {
		struct passed_fd *passed_fd = &passed_fds[i];

		if (!atomic_load_explicit(&passed_fd->is_ready, memory_order_acquire))
			continue;
		uint32_t origin = ledger_origin(resolve_origin(passed_fd->passed.origin));
		/* Without a helper thread backtraces are unwound at exit, and many
		 * records may wait for that. */
		if (origin == SL_ORIGIN_PENDING && ++n_waiting < N_PASSED / 2)
			continue;
		write_passed(&passed_fd->passed, origin, now_ns);
		atomic_store_explicit(&passed_fd->is_ready, false, memory_order_relaxed);
		slots_give(taken, i);
	}
}

void ledger_handover_fork_child(void)
{
	/* In a child: the parent writes what it has noted. */
	for (unsigned i = 0, n = slots_top(taken, N_WORDS); i < n; i++)
		atomic_store(&passed_fds[i].is_ready, false);
	slots_give_all(taken, N_WORDS);
	n_closed = n_sent = 0;
}
