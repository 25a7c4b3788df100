/* See scan.h. */
#include "scan/scan.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"
#include "ledger/ledger_writer.h"
#include "report/leak_groups.h"
#include "report/publish_records.h"
#include "scan/closed_late.h"
#include "scan/downtime.h"
#include "scan/scan_internal.h"
#include "scan/scan_released.h"
#include "track/released.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define PASSES_PER_SEARCH 4 /* descriptors opened unseen are searched for */
#define MIN_GRACE_NS      UINT64_C(1000000000) /* while the kernel's has not been read */

const struct settings *scan_settings;
uint64_t scan_began_ns, scan_forked_ns;
unsigned scan_n_passes;
static _Atomic uint64_t next_poll_ns;
static _Atomic bool limit_was_hit;
static bool limit_was_printed;
static unsigned passes_to_search;

static void (*prepare)(void);
static _Atomic bool is_prepared;

AT_START void scan_start(const struct settings *chosen, void (*first)(void),
			 uint64_t now_ns)
{
	scan_settings = chosen;
	scan_released_start(chosen);
	fd_table_on_told_close(closed_late_note);
	prepare = first;
	scan_began_ns = now_ns;
}

static void get_ready(void)
{
	if (!atomic_exchange(&is_prepared, true))
		prepare();
}

/* In the ledger, for the rows of all descriptors. */
static void make_room(void)
{
	ledger_grow(fd_table_n_chunks() * (FD_TABLE_ENTRIES / SL_ROWS_PER_BLOCK));
	if (ledger_lacked_rows())
		publish_missing();
}

static void count_all(const struct scan_pass *pass)
{
	struct ledger_counts counts = {
		.missed = atomic_load(&fd_table_counts.missed) + origin_lost(),
		.unwritten = pass->n_unwritten + publish_records_waiting(),
		.scanned_ns = pass->now_ns,
	};

	/* A report that finds no ledger says that no connection was made: that would be
	 * wrong of a process that has missed some. */
	if (counts.missed)
		ledger_keep();
	fd_table_count_sockets(&counts.opened, &counts.closed);
	counts.closed_late = leak_groups_late(&counts.closed_late_max_ms);
	ledger_count(&counts);
	/* A check that the program asks for in between may count other sockets as
	 * leaks. */
	if (!pass->runs_on)
		ledger_add_point(
			pass->now_ns,
			counts.opened > counts.closed ? counts.opened - counts.closed : 0,
			pass->n_leaks);
}

static void scan_all(struct scan_pass *pass)
{
	unsigned top = fd_table_top();

	scan_n_passes++;
	downtime_check(pass->now_ns);
	ledger_write_passed(origin_resolve, pass->now_ns);
	ledger_resolve_closed(origin_resolve);
	leak_groups_begin();
	closed_late_settle_all(pass);
	for (unsigned fd = fd_table_skip(0, top); fd < top;
	     fd = fd_table_skip(fd + 1, top)) {
		scan_fd((int)fd, pass);
		guard_progressed();
	}
	if (!pass->runs_on) {
		scan_released_ask(pass->now_ns, pass->access, pass->at_exit);
		pass->n_leaks += scan_released_count(pass->now_ns, pass->at_exit);
	}
	/* With at_exit=none no leak counts as closed by the end. */
	leak_groups_tell_late(pass->is_last && !pass->at_exit ? UINT64_MAX : pass->now_ns,
			      pass->access);
	origin_end_sweep();
	count_all(pass);
}

static void print_limit(const struct fd_access *access)
{
	struct rlimit limit = {0};

	if (!atomic_load(&limit_was_hit) || limit_was_printed)
		return;
	limit_was_printed = true;
	guard_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	leak_groups_print_holders(access, limit.rlim_cur);
}

/* What is found is recorded when the next search finds it again.  Where calls are known to
 * be missed, which io_uring makes or the program makes itself, each scan searches: else
 * recording would take up to eight scans.  The pause after a scan counts what the search
 * costs. */
static bool searches_now(void)
{
	if (passes_to_search && !fd_table_misses_calls()) {
		passes_to_search--;
		return false;
	}
	passes_to_search = PASSES_PER_SEARCH - 1;
	return true;
}

static struct scan_cost cost_of(const struct scan_pass *pass, uint64_t before_ns)
{
	uint64_t all_ns =
		clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns - scan_released_search_ns();
	/* By the clock first scans may have taken longer: this thread has waited. */
	uint64_t first_ns = pass->first_ns < all_ns ? pass->first_ns : all_ns;

	return (struct scan_cost){all_ns - first_ns, first_ns};
}

struct scan_cost scan_pass(uint64_t now_ns, const struct fd_access *access, bool in_full)
{
	struct scan_pass pass = {.now_ns = now_ns, .access = access};

	get_ready();
	if (in_full)
		origin_work();
	make_room();
	uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	if (in_full && searches_now())
		scan_adopt(access, SL_ORIGIN_UNKNOWN, false);
	publish_records();
	scan_all(&pass);
	struct scan_cost cost = cost_of(&pass, before_ns);
	if (in_full) {
		print_limit(access);
		/* By the next scan they may have their origin. */
		if (!origin_is_held_up())
			leak_groups_print_later();
	}
	return cost;
}

void scan_unwind(void)
{
	get_ready();
	make_room();
	if (origin_work())
		publish_resolved();
	ledger_write_passed(origin_resolve, clock_now_ns());
}

uint64_t scan_released_pass(uint64_t now_ns, const struct fd_access *access)
{
	uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	get_ready();
	ledger_write_passed(origin_resolve, now_ns);
	scan_released_ask(now_ns, access, false);
	return clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns - scan_released_search_ns();
}

void scan_print(const struct fd_access *access, bool (*should_stop)(void))
{
	bool is_more = true;

	while (is_more && !should_stop() && scan_trylock(FORK_PATIENCE_MS)) {
		is_more = leak_groups_print_next(access);
		scan_unlock();
		if (is_more)
			scan_lock_yield();
	}
}

AT_START static bool never_had_one(void)
{
	return !fd_table_top() && !atomic_load(&limit_was_hit) &&
	       !atomic_load(&fd_table_counts.missed);
}

AT_START uint64_t scan_exit(uint64_t now_ns, const struct fd_access *access, bool unwind)
{
	struct scan_pass pass = {.now_ns = now_ns,
				 .access = access,
				 .at_exit = scan_settings->at_exit != SL_AT_EXIT_NONE,
				 .is_last = true};

	scan_adopt(access, SL_ORIGIN_UNKNOWN, true);
	/* No connection, so nothing to report: no file of /proc is opened for it. */
	if (never_had_one())
		return 0;
	get_ready();
	if (unwind && origin_has_work())
		origin_finish();
	make_room();
	publish_records();
	scan_all(&pass);
	print_limit(access);
	if (scan_settings->at_exit == SL_AT_EXIT_NONE)
		return 0;
	leak_groups_end(now_ns);
	uint64_t n_leaked = leak_groups_print(access, true, false);
	leak_groups_summary(access);
	return n_leaked;
}

static bool has_lower_duplicate(int fd, const struct fd_entry *entry)
{
	struct fd_entry other;

	if (atomic_load(&entry->word) & ENTRY_DUPLICATED)
		while (fd-- > 0)
			if (fd_table_read(fd, &other) &&
			    other.socket_id == entry->socket_id)
				return true;
	return false;
}

AT_START uint64_t scan_exit_without_lock(void)
{
	uint64_t n_left = 0;
	struct fd_entry entry;

	if (scan_settings->at_exit == SL_AT_EXIT_NONE)
		return 0;
	for (unsigned fd = 0; fd < fd_table_top(); fd++)
		n_left += fd_table_read((int)fd, &entry) &&
			  judge_is_left((int)fd, &entry) &&
			  !has_lower_duplicate((int)fd, &entry);
	return n_left ? leak_groups_summary_without(n_left) : 0;
}

void scan_note_socket(void)
{
	if (!scan_began_ns)
		scan_began_ns = ledger_process_began_ns();
}

AT_START bool scan_is_young(void)
{
	uint64_t grace_ns =
		scan_settings->grace_ns ? scan_settings->grace_ns : MIN_GRACE_NS;

	return clock_now_ns() - scan_began_ns < grace_ns;
}

/* Whether there was never a socket.  One that was opened unseen is not searched for: in a
 * process younger than the grace it cannot be a leak.  The same goes for what a forked
 * child inherited and never touched: it counts from the fork on, and what was told before
 * the fork does not count. */
AT_START bool scan_has_nothing(void)
{
	if (!scan_is_young())
		return false;
	if (scan_forked_ns && !atomic_load(&is_prepared) && fd_table_is_untouched())
		return true;
	return never_had_one();
}

uint64_t scan_check(uint64_t now_ns, uint32_t since, bool all_gone, bool print,
		    uint64_t *n_connected)
{
	struct scan_pass pass = {.now_ns = now_ns,
				 .access = &fd_access_directly,
				 .at_exit = true,
				 .since = since,
				 .all_gone = all_gone,
				 .runs_on = true,
				 .is_printed = print};

	get_ready();
	origin_work();
	make_room();
	publish_records();
	scan_all(&pass);
	*n_connected = pass.n_connected;
	return print ? leak_groups_print(&fd_access_directly, false, true) : pass.n_leaks;
}

static void poll_now(void *argument)
{
	ARENA_TABLE static struct pause pause;
	uint64_t now_ns = *(uint64_t *)argument;

	if (!scan_trylock(0))
		return;
	struct scan_cost cost = scan_pass(now_ns, &fd_access_directly, false);
	uint64_t wait_ns = pause_after(&pause, &cost, 0);
	/* A socket that is asked about once in a grace is never seen to be older than the
	 * grace. */
	if (wait_ns > scan_settings->grace_ns / 2)
		wait_ns = scan_settings->grace_ns / 2;
	if (wait_ns < scan_settings->interval_ns)
		wait_ns = scan_settings->interval_ns;
	atomic_store(&next_poll_ns, now_ns + wait_ns);
	scan_unlock();
}

static void make_room_now(void *nothing)
{
	(void)nothing;
	if (!scan_trylock(0))
		return;
	make_room();
	ledger_write_passed(origin_resolve, clock_now_ns());
	scan_unlock();
}

void scan_poll(void)
{
	uint64_t due = atomic_load_explicit(&next_poll_ns, memory_order_relaxed);
	uint64_t now_ns = clock_now_ns();
	uint64_t before;

	/* A signal handler that jumps out of the scan would leave the scan lock taken for
	 * ever. */
	if ((now_ns < due && !ledger_is_low) ||
	    (guard_shares_memory && guard_ask_process() != PROCESS_OURS) ||
	    !guard_block_signals(GUARD_ALL_SIGNALS, &before))
		return;
	room_run(now_ns < due ? make_room_now : poll_now, &now_ns);
	guard_restore_signals(before);
}

static void prepare_now(void *nothing)
{
	(void)nothing;
	if (!scan_trylock(0))
		return;
	get_ready();
	scan_unlock();
}

void scan_prepare(void)
{
	uint64_t before;

	if (atomic_load(&is_prepared) || !guard_block_signals(GUARD_ALL_SIGNALS, &before))
		return;
	room_run(prepare_now, NULL);
	guard_restore_signals(before);
}

void scan_limit_hit(void)
{
	atomic_store_explicit(&limit_was_hit, true, memory_order_relaxed);
}

AT_START bool scan_limit_was_hit(void)
{
	return atomic_load(&limit_was_hit);
}

void scan_fork_child(void)
{
	released_fork_child();
	downtime_fork_child();
	closed_late_fork_child();
	scan_lock_fork_child();
	atomic_store(&is_prepared, false);
	scan_began_ns = scan_forked_ns = clock_now_ns();
	atomic_store(&limit_was_hit, false);
	limit_was_printed = false;
	passes_to_search = 0;
	socket_fork_child();
	leak_groups_fork_child();
}
