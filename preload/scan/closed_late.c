/* See closed_late.h.
 *
 * A note is free, or one hook's while it is filled, or that of the record that refers to
 * it (`late_close`): it is the scanning thread's from the moment the record is ENDED, and
 * given back by it.
 *
 * Given up on purpose: where two threads close the last two descriptors of a socket at
 * once neither knows that it closes the last one; and what another process may hold is
 * noted by track/released.c alone. */
#include "scan/closed_late.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/freelist.h"
#include "base/guard.h"
#include "base/sections.h"
#include "base/unchecked.h"
#include "report/leak_groups.h"
#include "scan/downtime.h"
#include "track/released.h"
#include "unwind/origin.h"

#include <string.h>

#define MAX_NOTES 4096 /* between two scans: 1.3 MiB, mapped when the first is needed */

struct late_close {
	struct fd_scan scanned;
	struct socket_end end;
};
static struct late_close *_Atomic notes; /* by number, from 1 */
ARENA_TABLE static uint32_t next_note[MAX_NOTES + 1];
static uint64_t free_notes;       /* atomic; a free list, see freelist.h */
static _Atomic uint32_t n_before; /* used at least once */

/* 0 = there is none. */
static uint32_t take_note(void)
{
	if (!arena_map_once((void *_Atomic *)&notes,
			    (MAX_NOTES + 1) * sizeof(struct late_close)))
		return 0;
	uint32_t number = freelist_pop(&free_notes, next_note);
	uint32_t n = atomic_load(&n_before);

	while (!number && n < MAX_NOTES)
		if (atomic_compare_exchange_weak(&n_before, &n, n + 1))
			number = n + 1;
	return number;
}

static void give_note(uint32_t number)
{
	freelist_push(&free_notes, next_note, number);
}

/* The program was told longer ago than the grace: the kernel is asked. */
static bool was_kept_for_grace(const struct fd_entry *was)
{
	uint64_t grace_ns = scan_settings->grace_ns; /* 0 = not read yet */
	struct eof_notice notice;

	notice_read(was, &notice);
	uint64_t told_ns = notice.eof_ns ? notice.eof_ns : notice.refused_ns;
	return grace_ns && told_ns &&
	       fd_table_since_ns(told_ns, clock_now_ns()) >= grace_ns;
}

static bool is_last(const struct socket *one)
{
	return (uint32_t)atomic_load(&one->holders) == 1;
}

/* A scan has counted it as a leak, and the next one finds that it was closed. */
static UNCHECKED bool was_counted(const struct socket *one, uint32_t socket_id)
{
	return socket_is_gone(one, socket_id) && one->end.leak_group;
}

/* What scans know of its end so far, if it is that of this socket. */
static UNCHECKED void copy_end(struct socket_end *end, const struct socket *one,
			       uint32_t socket_id)
{
	if (socket_is_gone(one, socket_id))
		*end = one->end;
	else
		end->gone_id = 0;
	end->leak_group = NULL;
}

/* As a scan does, of a descriptor that is still open. */
static bool is_leak(struct fd_scan *scanned)
{
	const struct fd_entry *entry = &scanned->entry;
	uint64_t word = atomic_load(&entry->word);
	uint64_t cookie = entry->scanned_gen == scanned->generation
				  ? entry->cookie
				  : notice_cookie_of(entry);
	struct eof_notice notice;

	if (ask_in_time(scanned, scanned->fd, word & ENTRY_MPTCP, cookie) != PROBE_TCP)
		return false;
	scanned->is_gone = judge_has_lost_peer(scanned);
	if (!scanned->is_gone)
		return false;
	ask_details(scanned, scanned->fd);
	scanned->entry.cookie = scanned->probe.cookie;
	judge(scanned, &(struct scan_pass){.now_ns = scanned->asked_ns}, &notice);
	return scanned->end->verdict == SL_LEAK_GRACE;
}

static void fill(struct late_close *note, int fd, const struct fd_entry *was)
{
	struct fd_scan *scanned = &note->scanned;

	memset(scanned, 0, sizeof(*scanned));
	memcpy(&scanned->entry, was, sizeof(*was));
	scanned->fd = fd;
	scanned->end = &note->end;
	scanned->generation = ENTRY_GENERATION(atomic_load(&was->word));
	copy_end(&note->end, socket_of(was), was->socket_id);
}

void closed_late_note(int fd, const struct fd_entry *was)
{
	struct socket *one = socket_of(was);

	if (guard_is_sandboxed || (atomic_load(&was->word) & ENTRY_EXPECTED) ||
	    !is_last(one) || !was_kept_for_grace(was) || was_counted(one, was->socket_id))
		return;
	downtime_check(clock_now_ns());
	uint32_t number = take_note();
	if (!number) {
		atomic_fetch_add(&fd_table_counts.missed, 1);
		return;
	}
	struct late_close *note = &atomic_load(&notes)[number];
	fill(note, fd, was);
	if (!is_leak(&note->scanned)) {
		give_note(number);
		return;
	}
	atomic_store(&one->late_close, number);
	socket_change_facts(one, was->socket_id, SOCKET_CLOSED_LATE, 0);
}

/* A leak that was closed, as its descriptor `was`; `is_counted`: a scan has counted it. */
static void count_closed(const struct fd_scan *was, uint64_t closed_ns, bool is_counted)
{
	uint64_t after_ms =
		fd_table_since_ns(was->end->peer_gone_since_ns, closed_ns) / MS;
	struct eof_notice notice;

	notice_read(&was->entry, &notice);
	if (!is_counted) {
		leak_groups_closed_unseen(was->fd, was->end, &notice, closed_ns,
					  after_ms);
	} else if (!released_has(was->entry.cookie)) {
		/* What another process may hold is not closed yet: scan_released.h. */
		leak_groups_closed_late(was->fd, was->end, &notice, closed_ns, after_ms);
	}
	publish_closed(was, closed_ns);
}

static void count_note(struct late_close *note, uint64_t closed_ns)
{
	struct fd_scan *was = &note->scanned;

	atomic_store(&was->entry.origin, origin_resolve(atomic_load(&was->entry.origin)));
	notice_resolve(&was->entry);
	note->end.counted = was->entry;
	note->end.counted_fd = was->fd;
	count_closed(was, closed_ns, false);
}

/* What was noted of this socket, if its last descriptor was closed, is counted; with
 * `is_counted` a scan has found it after all. */
static void take_note_of(struct socket *one, bool is_counted)
{
	uint64_t holders = atomic_load(&one->holders);
	uint32_t socket_id = (uint32_t)(holders >> 32);

	if ((uint32_t)holders || !(socket_facts(one, socket_id) & SOCKET_CLOSED_LATE))
		return;
	uint32_t number = atomic_exchange(&one->late_close, 0);
	if (!is_counted)
		count_note(&atomic_load(&notes)[number], atomic_load(&one->ended_ns));
	give_note(number);
	socket_change_facts(one, socket_id, 0, SOCKET_CLOSED_LATE);
}

/* A leak whose last descriptor was closed, or whose peer turned out to be there after
 * all. */
static void take_back(struct socket *one, const struct scan_pass *pass)
{
	struct socket_end *end = &one->end;
	const struct fd_scan was = {.fd = end->counted_fd,
				    .entry = end->counted,
				    .end = end,
				    .probe.state = end->state,
				    .is_gone = true};
	uint64_t closed_ns =
		socket_id_of(one) == end->gone_id ? atomic_load(&one->ended_ns) : 0;

	count_closed(&was, closed_ns ? closed_ns : pass->now_ns, true);
}

/* Whether `end` is about the socket that the record is of now, and still holds. */
static bool end_is_current(const struct socket *one)
{
	uint64_t holders = atomic_load(&one->holders);

	return holders >> 32 == one->end.gone_id && (uint32_t)holders &&
	       socket_is_gone(one, one->end.gone_id);
}

void closed_late_settle(struct socket *one, const struct scan_pass *pass)
{
	if (end_is_current(one))
		return;
	take_note_of(one, one->end.leak_group != NULL);
	if (one->end.leak_group) {
		if (!(socket_facts(one, one->end.gone_id) & SOCKET_JOINED))
			take_back(one, pass);
		one->end.leak_group = NULL;
	}
	if (one->end.gone_id)
		one->end.gone_id = 0;
	if (atomic_load(&one->facts) & SOCKET_DISSOLVED)
		socket_change_facts(one, socket_id_of(one), 0, SOCKET_DISSOLVED);
}

void closed_late_settle_all(const struct scan_pass *pass)
{
	for (uint32_t record = 1; record < socket_top(); record++) {
		closed_late_settle(socket_at(record), pass);
		socket_free(record, socket_id_of(socket_at(record)));
	}
}

void closed_late_fork_child(void)
{
	__atomic_store_n(&free_notes, 0, __ATOMIC_RELAXED);
	atomic_store(&n_before, 0);
}
