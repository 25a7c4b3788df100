/* See scan_released.h.
 *
 * A question costs two system calls, 3 us.  Most of what is noted is a healthy child's,
 * so a socket is asked for when its grace could be over and no sooner, and again after
 * half of it: one that lost its peer is found within one and a half times the grace. */
#include "scan/scan_released.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"
#include "base/sock_diag.h"
#include "base/socket_holder.h"
#include "ledger/ledger_writer.h"
#include "report/leak_groups.h"
#include "scan/age.h"
#include "scan/pause.h"
#include "scan/scan_internal.h"
#include "track/released.h"
#include "unwind/origin.h"

#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static const struct settings *settings;
static bool may_search;    /* for holders, in this pass */
static uint64_t search_ns; /* processor time of searches since it was asked for */

AT_START void scan_released_start(const struct settings *chosen)
{
	settings = chosen;
	fd_table_on_release(released_note);
}

static bool is_leak(const struct released *one)
{
	return one->end.gone_id == one->entry.socket_id &&
	       one->end.verdict == SL_LEAK_GRACE;
}

/* ---- into the ledger ---- */

static void fill_row(const struct released *one, struct sl_descriptor *row)
{
	const struct fd_entry *entry = &one->entry;
	const struct socket_end *end = &one->end;

	fd_table_describe(entry, row);
	row->name = 0;
	row->flags = SL_ROW_WAS_LEAK;
	row->state = end->state;
	row->cookie = entry->cookie;
	row->origin = ledger_origin(origin_resolve(row->origin));
	publish_describe_end(end, row);
}

static void write_record(const struct released *one, bool is_held, uint64_t now_ns)
{
	struct sl_elsewhere record = {
		.head = {SL_RECORD_ELSEWHERE, sizeof(record)},
		.pid = (uint32_t)one->holder_pid,
		.fd = (uint32_t)one->holder_fd,
	};

	if (!ledger_is_kept())
		return;
	fill_row(one, &record.row);
	if (!is_held) {
		record.row.held = 0;
		record.row.ended_ns = now_ns;
	}
	memcpy(record.program, one->program, sizeof(record.program));
	ledger_append(&record.head, NULL, 0);
}

/* ---- one socket ---- */

/* It was closed in the middle of this pass, after the probe of its descriptor: the next
 * pass counts it there. */
static bool is_counted_there(const struct released *one)
{
	const struct socket *socket = one->record ? socket_at(one->record) : NULL;

	return !one->holder_pid && socket && socket->end.leak_group &&
	       socket->end.gone_id == one->entry.socket_id;
}

/* Its last holder has closed it, or has ended; in the latter case it is a leak for
 * good. */
static void take_end(struct released *one, uint64_t now_ns)
{
	/* By this process, if no other was ever seen to hold it. */
	uint64_t ended_ns = one->holder_pid ? now_ns : one->closed_ns;
	uint64_t after_ms = fd_table_since_ns(one->end.peer_gone_since_ns, ended_ns) / MS;

	if (!is_leak(one)) {
		released_forget(one);
		return;
	}
	if (one->holder_pid && !socket_holder_runs(one->holder_pid)) {
		one->is_final = true;
		return;
	}
	if (one->end.leak_group && !is_counted_there(one))
		leak_groups_closed_late(one->fd, &one->end, &one->notice,
					one->holder_pid ? 0 : ended_ns, after_ms);
	/* The ledger has the close by this process already. */
	if (one->holder_pid)
		write_record(one, false, now_ns);
	released_forget(one);
}

static void take_answer(struct released *one, const struct sock_diag_answer *answer,
			uint64_t now_ns)
{
	const struct eof_notice nothing = {0};
	struct socket_end *end = &one->end;

	age_update(end, one->entry.socket_id,
		   &(struct age_bounds){one->entry.opened_ns, 0}, &nothing,
		   &answer->probe, now_ns);
	end->inode = answer->inode;
	end->unread_bytes = answer->unread_bytes;
	end->kernel_bytes = answer->kernel_bytes;
	end->fin_unread = answer->fin_unread;
	end->family = one->family;
	end->local_port = one->local_port;
	memcpy(end->local, one->local, sizeof(end->local));
	end->why = (uint16_t)((one->was_sent ? SL_WHY_DUPLICATE : SL_WHY_HELD_BY_CHILD) |
			      (answer->fin_unread ? SL_WHY_NEVER_READ : 0) |
			      (answer->probe.is_sending ? SL_WHY_STALLED : 0));
}

static bool holds_still(const struct released *one)
{
	return one->holder_pid && socket_holder_holds(one->holder_pid, one->holder_fd,
						      (uint32_t)one->end.inode);
}

static void find_holder(struct released *one)
{
	struct socket_holder holder;
	uint64_t before_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	socket_holder_find((uint32_t)one->end.inode, &holder);
	uint64_t cost_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - before_ns;
	search_ns += cost_ns;
	one->next_search_ns = clock_now_ns() + COST_FACTOR * cost_ns;
	one->holder_pid = holder.pid;
	one->holder_fd = holder.fd;
	memcpy(one->program, holder.program, sizeof(one->program));
	/* A connection that was passed on and has no holder may be in a message that no
	 * process has received yet; and a holder may have ended since the kernel was
	 * asked, which the next question shows. */
	bool is_sure = holder.pid || (!one->was_sent && one->was_searched_for);
	one->was_searched_for = true;
	one->is_not_ours_to_report = holder.is_ours || holder.scans_itself || !is_sure;
	/* One that ends has no helper any more, and has reported it. */
	one->is_unconfirmed =
		holder.pid && !one->is_not_ours_to_report && !one->end.was_leak;
	one->is_not_ours_to_report |= one->is_unconfirmed;
}

static void judge_released(struct released *one, uint64_t now_ns)
{
	const struct eof_notice nothing = {0};
	const struct verdict_rules rules = {settings->grace_ns, SL_AT_EXIT_GRACE, false};
	struct verdict_facts facts = age_facts(&one->end, &nothing, now_ns);
	bool was_leak = one->end.was_leak, is_new_holder = false;

	one->end.verdict = (uint8_t)verdict_of(&facts, &rules);
	if (one->end.verdict != SL_LEAK_GRACE)
		return;
	if (!holds_still(one)) {
		is_new_holder = may_search && now_ns >= one->next_search_ns;
		if (is_new_holder)
			find_holder(one);
		else if (!was_leak)
			one->is_not_ours_to_report = true; /* not known yet */
	} else if (one->is_unconfirmed) {
		one->is_unconfirmed = one->is_not_ours_to_report = false;
		is_new_holder = true;
	}
	if (one->is_not_ours_to_report) {
		one->end.verdict = SL_PENDING;
		return;
	}
	one->end.was_leak = true;
	if (is_new_holder)
		write_record(one, true, now_ns);
}

/* The earliest time at which the socket can be a leak; before it the kernel is not
 * asked. */
static uint64_t next_question_ns(const struct released *one, uint64_t now_ns)
{
	uint64_t half_ns = settings->grace_ns / 2, left_ns = half_ns;

	if (one->is_unconfirmed)
		return now_ns; /* in the next pass */
	if (one->end.gone_id == one->entry.socket_id && !is_leak(one)) {
		uint64_t idle_ns = fd_table_since_ns(one->end.idle_since_ns, now_ns);

		if (idle_ns < settings->grace_ns &&
		    settings->grace_ns - idle_ns < left_ns)
			left_ns = settings->grace_ns - idle_ns;
	}
	return now_ns + left_ns;
}

static void ask(struct released *one, long netlink)
{
	struct probe_ends ends = {
		.family = one->family,
		.local_port = one->local_port,
		.peer_port = one->entry.peer_port,
		.interface = one->interface,
	};
	struct sock_diag_answer answer;

	memcpy(ends.local, one->local, sizeof(ends.local));
	memcpy(ends.peer, one->entry.peer, sizeof(ends.peer));
	enum sock_diag_result result =
		sock_diag_ask(netlink, &ends, one->entry.cookie, &answer);
	uint64_t now_ns = clock_now_ns();
	if (result == SOCK_DIAG_NONE) {
		take_end(one, now_ns);
		return;
	}
	if (result == SOCK_DIAG_FOUND && probe_peer_is_gone(&answer.probe)) {
		take_answer(one, &answer, now_ns);
		judge_released(one, now_ns);
	} else if (result == SOCK_DIAG_FOUND) {
		one->end.gone_id = 0;
	}
	one->next_ns = next_question_ns(one, now_ns);
}

/* ---- all of them ---- */

static void resolve_origin(struct released *one)
{
	uint32_t was = atomic_load(&one->entry.origin);

	atomic_store(&one->entry.origin, origin_resolve(was));
}

static bool is_due(const struct released *one, uint64_t now_ns)
{
	return !one->is_final && now_ns >= one->next_ns;
}

void scan_released_ask(uint64_t now_ns, const struct fd_access *access, bool is_the_end)
{
	static bool was_end_asked;
	struct stat is;
	long netlink = -1;

	if (was_end_asked || guard_has_filter || guard_is_sandboxed)
		return;
	was_end_asked = is_the_end;
	/* A hook must not open hundreds of files of /proc; the last scan may. */
	may_search = access->pidfd >= 0 || is_the_end;
	for (unsigned i = 0, n = released_top(); i < n; i++) {
		struct released *one = released_at(i);

		if (!one || !(is_due(one, now_ns) || (is_the_end && !one->is_final)))
			continue;
		if (netlink < 0 && (netlink = sock_diag_open(&is)) < 0)
			return;
		ask(one, netlink);
		if (is_the_end && one->is_not_ours_to_report &&
		    (!one->holder_pid || one->is_unconfirmed)) {
			one->next_search_ns = 0;
			ask(one, netlink);
		}
		guard_progressed();
	}
	if (netlink >= 0)
		guard_close(netlink, &is);
}

uint64_t scan_released_search_ns(void)
{
	uint64_t so_far_ns = search_ns;

	search_ns = 0;
	return so_far_ns;
}

uint64_t scan_released_count(uint64_t now_ns, bool list_pending)
{
	uint64_t n_leaks = 0;

	for (unsigned i = 0, n = released_top(); i < n; i++) {
		struct released *one = released_at(i);

		if (!one)
			continue;
		resolve_origin(one);
		if (one->end.gone_id != one->entry.socket_id ||
		    !(is_leak(one) || list_pending))
			continue;
		const struct leak_holder holder = {one->holder_pid, one->holder_fd,
						   one->program};
		one->end.leak_group = leak_groups_count_elsewhere(
			&holder, &one->entry, &one->end, !is_leak(one), now_ns);
		one->end.counted = one->entry;
		n_leaks += is_leak(one) && one->end.leak_group;
	}
	return n_leaks;
}
