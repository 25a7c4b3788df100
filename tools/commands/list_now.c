/* sockleak list: the last look of a process may be long ago, or before a socket was
 * there: with thread=no nobody looks while the program calls nothing, and the helper's
 * scans are seconds apart where there are many sockets.  So of what the ledger does not
 * call a leak the kernel is asked here.
 *
 * One look has no history.  Since when the peer is gone is what the kernel tells (when
 * its last segment came in), or what the ledger knew before; what was sent since is known
 * by the acknowledgement, a segment, too.  So the age is never more than it is.  What the
 * kernel does not list (CLOSE), MPTCP, and other network namespaces stay as the ledger
 * has them. */
#include "commands/list_now.h"

#include "common/address.h"
#include "common/verdict.h"
#include "kernel/process.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define JUST_SCANNED_NS UINT64_C(1000000000)

struct held_elsewhere *list_kernel(struct held_elsewhere **all)
{
	if (!*all) {
		*all = say_calloc(1, sizeof **all);
		held_elsewhere_look(*all);
	}
	return *all;
}

static bool may_have_changed(const struct list_socket *socket)
{
	return socket->judged.verdict < SL_LEAK_GRACE &&
	       !(socket->row->row.flags & (SL_ROW_EXPECTED | SL_ROW_MPTCP));
}

/* By the address that accept() gave, IPv4 in an IPv6 socket or not.  The row of a socket
 * that was connected since has none: the descriptor is all that there is, as it is for
 * the library's first look. */
static bool may_be(const struct sl_descriptor *row, const struct diag_socket *found)
{
	const uint8_t *ipv4 = row->family == AF_INET6 && found->family == AF_INET
				      ? address_mapped_ipv4(row->peer)
				      : NULL;
	const uint8_t *peer = ipv4 ? ipv4 : row->peer;

	return !row->family ||
	       (row->peer_port == found->peer_port &&
		(ipv4 || row->family == found->family) &&
		!memcmp(peer, found->peer, found->family == AF_INET ? 4 : 16));
}

/* The descriptor must refer to it now, and it must be the socket of the row: by its
 * cookie or, where nobody has asked for that, by its peer. */
static const struct diag_socket *find(const struct held_elsewhere *all,
				      const struct list_process *process,
				      const struct reader_row *row)
{
	const struct sl_descriptor *was = &row->row;
	uint64_t in = process->ledger.head->net_namespace;
	const struct diag_socket *found = held_elsewhere_find(all, was->cookie, in);

	if (was->cookie && !found)
		return NULL;
	uint32_t inode = holders_inode(process->pid, row->fd);
	if (!found)
		found = held_elsewhere_find_inode(all, inode, in);
	return found && found->inode == inode && (was->cookie || may_be(was, found))
		       ? found
		       : NULL;
}

static unsigned why_now(const struct sl_descriptor *was, const struct diag_socket *found)
{
	const struct verdict_reasons reasons = {
		.kind = SL_KIND_CLOSE_WAIT,
		.was_told = was->told_ns && was->eof_call != SL_CALL_shutdown,
		.shut_sending = was->told_ns && was->eof_call == SL_CALL_shutdown,
		.fin_unread = found->fin_unread,
		.is_inherited = was->flags & SL_ROW_INHERITED,
	};
	unsigned known = was->why & ~(unsigned)SL_WHY_NEVER_READ;

	/* What the ledger knew tells how the end was read, or that nobody did. */
	return known ? known | (found->fin_unread ? SL_WHY_NEVER_READ : 0)
		     : verdict_why(&reasons);
}

/* As of when to judge: until then the process could close what it holds.  Its helper alone
 * knows when it could not, so what has just been scanned is left to the helper. */
static uint64_t judged_ns(const struct held_elsewhere *all,
			  const struct list_process *process)
{
	uint64_t scanned_ns = process->ledger.head->scanned_ns;
	bool is_known = process_is_stopped(process->pid) ||
			all->now_ns - scanned_ns < JUST_SCANNED_NS;

	return is_known && scanned_ns < all->now_ns ? scanned_ns : all->now_ns;
}

static void update(const struct held_elsewhere *all, const struct diag_socket *found,
		   const struct list_process *process, struct sl_descriptor *row)
{
	const struct sl_descriptor was = *row;

	held_elsewhere_update(all, found, row);
	if (was.peer_gone_since_ns)
		row->peer_gone_since_ns = was.peer_gone_since_ns;
	if (was.idle_since_ns > row->idle_since_ns)
		row->idle_since_ns = was.idle_since_ns;
	row->why = (uint16_t)why_now(&was, found);
	row->verdict = (uint8_t)verdict_of(
		&(struct verdict_facts){.kind = row->kind,
					.idle_since_ns = row->idle_since_ns,
					.now_ns = judged_ns(all, process)},
		&(struct verdict_rules){.grace_ns = process->ledger.head->grace_ns});
}

void list_ask_kernel(struct held_elsewhere **all, struct list_process *process)
{
	for (size_t i = 0; i < process->n_sockets; i++) {
		struct list_socket *socket = &process->sockets[i];

		if (!may_have_changed(socket))
			continue;
		const struct held_elsewhere *kernel = list_kernel(all);
		const struct diag_socket *found = find(kernel, process, socket->row);
		if (!found)
			continue;
		struct reader_row *now = say_calloc(1, sizeof *now);
		*now = *socket->row;
		update(kernel, found, process, &now->row);
		socket->row = socket->asked = now;
		socket->judged = (struct judged_row){now->row.verdict, now->row.kind,
						     now->row.why, now->row.state};
	}
}
