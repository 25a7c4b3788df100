/* One descriptor in a scan: asks the kernel, and counts what is a leak. */
#include "scan/closed_late.h"
#include "scan/scan_internal.h"

#include "base/clock.h"
#include "base/guard.h"
#include "ledger/ledger_writer.h"
#include "report/leak_groups.h"
#include "unwind/origin.h"

#include <errno.h>
#include <string.h>

#define ANSWER_NS       (4 * MS) /* what the kernel needs at most, unless preempted */
#define LISTENER_PASSES 64       /* a listener is probed in one of so many */

/* The descriptor is another file now: it was closed unseen, or never was that socket. */
static void drop_stale(struct fd_scan *scanned)
{
	fd_table_forget_stale(scanned->fd, atomic_load(&scanned->entry.word));
}

/* The first probe of an entry: its cookie is its identity from now on. */
static void first_scan(struct fd_scan *scanned, struct fd_entry *entry, int imported)
{
	uint16_t family = 0, port = 0;
	uint8_t peer[16] = {0};

	entry->cookie = scanned->entry.cookie = scanned->probe.cookie;
	entry->scanned_gen = scanned->entry.scanned_gen = scanned->generation;
	if (scanned->entry.family || !probe_peer(imported, &family, peer, &port))
		return;
	scanned->entry.family = (uint8_t)family;
	scanned->entry.peer_port = port;
	memcpy(scanned->entry.peer, peer, sizeof(peer));
	fd_table_learn_peer(scanned->fd, scanned->generation, &scanned->entry);
}

/* The program was told before the first scan: the number may have been closed and used
 * again, unseen, in between.  The address that accept() gave shows it. */
static bool is_another_connection(const struct fd_scan *scanned, int imported)
{
	const struct fd_entry *entry = &scanned->entry;
	uint16_t family, port;
	uint8_t peer[16] = {0};

	return sl_call_accepts(entry->call) && entry->family &&
	       notice_was_eof_of(scanned->fd) &&
	       probe_peer(imported, &family, peer, &port) &&
	       (family != entry->family || port != entry->peer_port ||
		memcmp(peer, entry->peer, sizeof(peer)) != 0);
}

/* Whether an ENTRY_UNSEEN is a TCP socket; one that is not is forgotten. */
static bool is_tcp_after_all(const struct fd_access *access, struct fd_scan *scanned)
{
	struct adopted what;

	if (access->pidfd >= 0 && !adopt_is_socket(scanned->fd)) {
		drop_stale(scanned);
		return false;
	}
	int imported = probe_import_fd(access, scanned->fd, fd_table_has_generation,
				       scanned->generation);

	if (!adopt_identify(access, imported, &what)) {
		/* Where it could not be imported the next scan tries again. */
		if (imported >= 0 || imported == -EBADF)
			drop_stale(scanned);
		return false;
	}
	return fd_table_is_tcp(scanned->fd, scanned->generation, what.bits) &&
	       fd_table_read(scanned->fd, &scanned->entry);
}

static void resolve_origin(struct fd_scan *scanned, struct fd_entry *entry)
{
	uint32_t was = atomic_load(&scanned->entry.origin);
	uint32_t now = origin_resolve(was);

	if (now == was)
		return;
	atomic_store(&scanned->entry.origin, now);
	atomic_compare_exchange_strong(&entry->origin, &was, now);
	entry->published = 0;
}

/* The kernel tells how long ago something was sent.  If this thread does not run between
 * the answer and the reading of the clock, that seems to be later than it was, perhaps
 * later than the program was told: a leak would be taken for a half-closed connection
 * that is still served.  So the clock is read right behind the answer, and where an
 * answer took long the kernel is asked again. */
enum probe_result ask_in_time(struct fd_scan *scanned, int imported, bool is_mptcp,
			      uint64_t wanted_cookie)
{
	enum probe_result result = PROBE_REFUSED;

	for (int i = 0; i < 4; i++) {
		scanned->asking_ns = clock_now_ns();
		result = probe_socket(imported, is_mptcp, wanted_cookie, &scanned->probe);
		scanned->asked_ns = clock_now_ns();
		if (scanned->asked_ns - scanned->asking_ns < ANSWER_NS)
			break;
	}
	return result;
}

/* A peer that has gone is noted in the socket's record. */
static bool take_record(struct fd_scan *scanned)
{
	struct fd_entry entry;
	struct socket *one = fd_table_make_socket(scanned->fd, &entry);

	if (!one || ENTRY_GENERATION(atomic_load(&entry.word)) != scanned->generation)
		return false;
	scanned->entry.socket_id = entry.socket_id;
	atomic_store(&scanned->entry.word, atomic_load(&entry.word));
	scanned->end = &one->end;
	return true;
}

void ask_details(struct fd_scan *scanned, int imported)
{
	struct socket_end *end = scanned->end;
	struct probe_details details;

	probe_details(imported, &scanned->probe, &details);
	end->inode = details.inode;
	end->unread_bytes = details.unread_bytes;
	end->kernel_bytes = details.kernel_bytes;
	end->family = details.family;
	end->local_port = details.local_port;
	memcpy(end->local, details.local, sizeof(end->local));
	end->fin_unread = details.fin_unread;
	end->timed_out = details.timed_out;
}

/* The peer of a socket made for MPTCP may speak plain TCP: then so does the socket. */
static void settle_protocol(struct fd_scan *scanned, int imported)
{
	uint64_t word = atomic_load(&scanned->entry.word);

	if (!(word & ENTRY_MPTCP) || probe_protocol(imported) == IPPROTO_MPTCP)
		return;
	fd_table_change_bits(scanned->fd, scanned->generation, 0, ENTRY_MPTCP);
	atomic_store(&scanned->entry.word, word & ~(uint64_t)ENTRY_MPTCP);
}

/* What the kernel says of the socket, into `scanned`.  false = it cannot be scanned now:
 * closed meanwhile, or no memory for a record. */
static bool take_answer(struct fd_scan *scanned, int imported)
{
	scanned->is_gone = judge_has_lost_peer(scanned);
	if (!scanned->is_gone)
		return true;
	if (!take_record(scanned))
		return false;
	ask_details(scanned, imported);
	return true;
}

static bool ask_imported(struct fd_scan *scanned, struct fd_entry *entry, int imported)
{
	bool is_first = scanned->entry.scanned_gen != scanned->generation;

	if (is_first)
		settle_protocol(scanned, imported);
	enum probe_result result = ask_in_time(
		scanned, imported, atomic_load(&scanned->entry.word) & ENTRY_MPTCP,
		is_first ? notice_cookie_of(&scanned->entry) : scanned->entry.cookie);
	if (result == PROBE_TCP && is_first && is_another_connection(scanned, imported))
		result = PROBE_OTHER;
	if (result == PROBE_REFUSED)
		return false;
	if (result != PROBE_TCP) {
		drop_stale(scanned);
		return false;
	}
	if (is_first) {
		first_scan(scanned, entry, imported);
		scanned->first_ns = clock_now_ns() - scanned->asked_ns;
	}
	return take_answer(scanned, imported);
}

/* false = nothing was learned of the socket, or it is not there any more. */
static bool ask(const struct fd_access *access, struct fd_scan *scanned,
		struct fd_entry *entry)
{
	int imported = probe_import_fd(access, scanned->fd, fd_table_has_generation,
				       scanned->generation);

	if (imported == -EBADF)
		drop_stale(scanned);
	if (imported < 0)
		return false;
	bool is_known = ask_imported(scanned, entry, imported);
	probe_release_fd(access, imported);
	return is_known;
}

static void note_state(const struct fd_scan *scanned)
{
	if (scanned->probe.state == STATE_LISTEN)
		fd_table_change_bits(scanned->fd, scanned->generation, ENTRY_LISTENS, 0);
	if (scanned->probe.was_connected || scanned->is_gone)
		ledger_keep();
	if (scanned->probe.was_connected && scanned->probe.state != STATE_CLOSE &&
	    !(atomic_load(&scanned->entry.word) & ENTRY_ESTABLISHED))
		fd_table_change_bits(scanned->fd, scanned->generation, ENTRY_ESTABLISHED,
				     0);
}

static void scan_connected(struct fd_scan *scanned, struct fd_entry *entry)
{
	struct socket *one = socket_of(&scanned->entry);

	if (one) /* connected anew; what was counted is taken back by the next pass */
		one->end.gone_id = 0;
	if (notice_withdraw(&scanned->entry, scanned->asking_ns))
		entry->published = 0; /* the row says so, too */
	uint64_t before_ns = scanned->first_ns ? clock_now_ns() : 0;
	publish_connected(scanned, entry);
	if (before_ns)
		scanned->first_ns += clock_now_ns() - before_ns;
}

static void scan_gone(struct fd_scan *scanned, struct scan_pass *pass)
{
	struct socket_end *end = scanned->end;
	struct eof_notice notice;

	judge(scanned, pass, &notice);
	publish(scanned, &notice);
	bool is_leak = end->verdict >= SL_LEAK_GRACE;
	if (!is_leak && !pass->at_exit)
		return;
	struct leak_group *leak_group = leak_groups_count(scanned->fd, &scanned->entry,
							  end, !is_leak, pass->now_ns);
	pass->n_leaks += is_leak && leak_group;
	/* Of its descriptors one stands for the socket. */
	if (end->verdict == SL_LEAK_GRACE && leak_group) {
		end->leak_group = leak_group;
		end->counted_fd = scanned->fd;
		end->counted = scanned->entry;
	}
}

/* Reads the entry.  false = it holds nothing that is to be scanned in this pass. */
static bool begin_fd(struct fd_scan *scanned, const struct fd_access *access)
{
	int fd = scanned->fd;

	if (!fd_table_read(fd, &scanned->entry)) {
		/* A hook that was interrupted has not ended the row of its entry: end it
		 * here. */
		if (ledger_has(fd) && !fd_table_knows(fd))
			fd_table_end_row(fd, 0);
		return false;
	}
	scanned->generation = ENTRY_GENERATION(atomic_load(&scanned->entry.word));
	if ((atomic_load(&scanned->entry.word) & ENTRY_UNSEEN) &&
	    !is_tcp_after_all(access, scanned))
		return false;
	uint64_t word = atomic_load(&scanned->entry.word);
	/* While a duplicate of a listener is held its port stays in use, even if the host
	 * closes it: listeners are imported rarely.  A listener is never reported. */
	return !(word & ENTRY_NOT_TCP) &&
	       (!(word & ENTRY_LISTENS) || scan_n_passes % LISTENER_PASSES == 0);
}

/* Asked in this order, as a close clears the entry and then ends the row: a row that has
 * ended since the entry was read is none that is missing. */
static bool lacks_row(const struct fd_scan *scanned)
{
	bool is_missing = is_unwritten(scanned->fd);

	atomic_thread_fence(memory_order_acquire);
	return is_missing && fd_table_has_generation(scanned->fd, scanned->generation);
}

void scan_fd(int fd, struct scan_pass *pass)
{
	struct fd_entry *entry = fd_table_entry(fd);
	struct fd_scan scanned = {.fd = fd, .runs_on = pass->runs_on};

	if (!begin_fd(&scanned, pass->access))
		return;
	struct socket *one = socket_of(&scanned.entry);
	if (one)
		closed_late_settle(one, pass);
	resolve_origin(&scanned, entry);
	notice_resolve(&scanned.entry);
	uses_resolve(fd, &scanned.entry);
	if (pass->since && (int32_t)(scanned.generation - pass->since) <= 0)
		return;
	if (!ask(pass->access, &scanned, entry))
		return;
	pass->n_held++;
	note_state(&scanned);
	pass->n_connected += !scanned.is_gone &&
			     (atomic_load(&scanned.entry.word) & ENTRY_ESTABLISHED);
	if (scanned.is_gone)
		scan_gone(&scanned, pass);
	else
		scan_connected(&scanned, entry);
	pass->first_ns += scanned.first_ns;
	pass->n_unwritten += lacks_row(&scanned);
}
