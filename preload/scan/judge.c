/* The verdict on one socket: gathers what verdict.h asks for. */
#include "scan/scan_internal.h"

#include "base/clock.h"
#include "common/verdict.h"
#include "scan/scan.h"

#include <errno.h>
#include <string.h>

#define STALLED_NS (10 * MS) /* an ACK may be on its way */

bool scan_sent_since_told(const struct fd_entry *entry, const struct probe *probe)
{
	uint64_t now_ns = clock_now_ns(), since_sent_ns = probe->last_sent_ms * MS;
	struct eof_notice notice;

	if (probe->last_sent_ms == UINT32_MAX || since_sent_ns > now_ns)
		return false;
	notice_read(entry, &notice);
	return verdict_sent_since(notice.eof_ns, now_ns - since_sent_ns);
}

bool is_inherited(const struct fd_entry *entry)
{
	return entry->fork_depth != fork_depth ||
	       entry->origin_kind == SL_ORIGIN_INHERITED;
}

bool scan_peer_is_gone(uint64_t word, struct probe *probe)
{
	probe->was_connected |= (word & ENTRY_ESTABLISHED) != 0;
	return probe_peer_is_gone(probe);
}

/* For MPTCP only poll tells whether the peer has gone, and it says the same of a side
 * that was shut here: what was not known before the shutdown cannot be known after it. */
static bool may_be_our_shutdown(const struct fd_scan *scanned)
{
	struct fd_entry now; /* the scan's copy may be older than the shutdown */
	bool is_there = fd_table_read(scanned->fd, &now);

	return (notice_shut_how(is_there ? &now : &scanned->entry) & 1) &&
	       !socket_is_gone(socket_of(&scanned->entry), scanned->entry.socket_id);
}

/* A connection that was never made: connect() failed, at once or later. */
static bool has_failed_to_connect(uint64_t word, const struct probe *probe)
{
	return probe->state == STATE_CLOSE && !probe->was_connected &&
	       (word & ENTRY_TRIED) && !(word & ENTRY_MPTCP);
}

bool judge_has_lost_peer(struct fd_scan *scanned)
{
	uint64_t word = atomic_load(&scanned->entry.word);

	if (scan_peer_is_gone(word, &scanned->probe))
		return !((word & ENTRY_MPTCP) && may_be_our_shutdown(scanned));
	return has_failed_to_connect(word, &scanned->probe);
}

static unsigned reasons(const struct fd_entry *entry, const struct socket_end *end,
			const struct eof_notice *notice, const struct probe *probe)
{
	uint64_t word = atomic_load(&entry->word);
	const struct verdict_reasons why = {
		.kind = end->kind,
		.connect_failed = has_failed_to_connect(word, probe),
		.was_told = notice->eof_ns != 0,
		.error = notice->error,
		.shut_sending = notice->shut_how & 2,
		/* With MPTCP the FIN is not in the receive queue, so the queue does not
		 * show whether it was read: if the program was not told, it has probably
		 * not read it. */
		.fin_unread = end->fin_unread || ((word & ENTRY_MPTCP) &&
						  !notice->eof_ns && !notice->shut_ns),
		.is_stalled = end->is_sending && end->acked == probe->acked &&
			      end->idle_since_ns + STALLED_NS <= end->scanned_ns,
		.is_duplicate = (word & ENTRY_DUPLICATED) &&
				(socket_facts(socket_of(entry), entry->socket_id) &
				 SOCKET_ONE_CLOSED),
		.is_inherited = is_inherited(entry),
		.parent_knew = notice_before_fork(entry),
		.timed_out = end->timed_out,
		.may_time_out = probe->gave_up,
	};

	return verdict_why(&why);
}

/* What came over exec as a standard stream, or by socket activation, is not the program's
 * to close: a server that runs a program with its client as standard input and output
 * ends the connection by the program's exit.  While the program runs it may still wait
 * for ever with it. */
bool ends_with_the_program(const struct fd_scan *scanned)
{
	return scanned->entry.origin_kind == SL_ORIGIN_INHERITED &&
	       (scanned->fd <= 2 || adopt_is_activated(scanned->fd));
}

/* Since when the process holds it, at the earliest. */
static uint64_t held_from_ns(const struct fd_scan *scanned, const struct scan_pass *pass)
{
	/* The last scan itself has found it: the program may have held it all the time. */
	bool is_found_at_exit = pass->at_exit &&
				scanned->entry.origin_kind == SL_ORIGIN_UNKNOWN &&
				scanned->entry.opened_ns >= pass->now_ns;
	/* It was there at the start, whenever it was found. */
	bool came_over_exec =
		scanned->entry.origin_kind == SL_ORIGIN_INHERITED && !scan_forked_ns;

	return is_found_at_exit || came_over_exec ? scan_began_ns
						  : scanned->entry.opened_ns;
}

static enum sl_verdict verdict(const struct fd_scan *scanned,
			       const struct eof_notice *notice,
			       const struct scan_pass *pass)
{
	const struct verdict_rules rules = {scan_settings->grace_ns,
					    scan_settings->at_exit, pass->at_exit};
	struct verdict_facts facts = age_facts(scanned->end, notice, pass->now_ns);

	if (atomic_load(&scanned->entry.word) & ENTRY_EXPECTED)
		return SL_PENDING;
	if (pass->all_gone)
		return SL_LEAK_EXIT;
	facts.is_inherited = is_inherited(&scanned->entry);
	facts.ends_with_program = ends_with_the_program(scanned);
	return verdict_of(&facts, &rules);
}

void judge(struct fd_scan *scanned, const struct scan_pass *pass,
	   struct eof_notice *notice)
{
	struct socket_end *end = scanned->end;

	notice_read(&scanned->entry, notice);
	const struct age_bounds bounds = {held_from_ns(scanned, pass), scan_forked_ns};
	age_update(end, scanned->entry.socket_id, &bounds, notice, &scanned->probe,
		   scanned->asked_ns);
	end->why = (uint16_t)reasons(&scanned->entry, end, notice, &scanned->probe);
	/* Our own shutdown, or a peer that no longer answers, may have ended the
	 * connection as well. */
	end->peer_forgot = end->kind == SL_KIND_DEAD && (end->why & SL_WHY_RESET) &&
			   !(notice->shut_how & 2) && !scanned->probe.gave_up;
	end->verdict = (uint8_t)verdict(scanned, notice, pass);
	end->was_leak |= end->verdict == SL_LEAK_GRACE;
	end->was_found_by_check |=
		pass->all_gone && pass->is_printed && end->verdict == SL_LEAK_EXIT;
}

bool judge_is_left(int fd, const struct fd_entry *entry)
{
	struct fd_scan scanned = {.fd = fd, .entry = *entry};
	uint64_t word = atomic_load(&entry->word);
	uint32_t generation = ENTRY_GENERATION(word);
	const struct socket *socket = socket_of(entry);
	struct probe *probe = &scanned.probe;

	if (!socket || (word & (ENTRY_NOT_TCP | ENTRY_MPTCP | ENTRY_EXPECTED)) ||
	    probe_socket(fd, false,
			 entry->scanned_gen == generation ? entry->cookie
							  : notice_cookie_of(entry),
			 probe) != PROBE_TCP ||
	    !judge_has_lost_peer(&scanned))
		return false;
	const struct verdict_rules rules = {scan_settings->grace_ns,
					    scan_settings->at_exit, true};
	const struct socket_end *end = &socket->end;
	bool was_seen = socket_is_gone(socket, entry->socket_id);
	if (was_seen && end->verdict == SL_LEAK_GRACE)
		return true;
	const struct verdict_facts facts = {
		.kind = verdict_kind(probe->state),
		.told_ns = notice_was_eof_of(fd),
		.sent_ns = scan_sent_since_told(entry, probe) ? UINT64_MAX : 0,
		.is_sending = probe->is_sending,
		.was_leak = was_seen && end->was_leak,
		.was_found_by_check = was_seen && end->was_found_by_check,
		.is_inherited = is_inherited(entry),
		.ends_with_program = ends_with_the_program(&scanned),
	};
	return verdict_of(&facts, &rules) >= SL_LEAK_GRACE;
}
