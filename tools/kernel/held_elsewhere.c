/* See held_elsewhere.h. */
#include "kernel/held_elsewhere.h"

#include "common/verdict.h"
#include "support/clock.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static int by_cookie(const void *a, const void *b)
{
	const struct diag_socket *left = a, *right = b;

	return (left->cookie > right->cookie) - (left->cookie < right->cookie);
}

void held_elsewhere_look(struct held_elsewhere *all)
{
	*all = (struct held_elsewhere){.now_ns = clock_now_ns()};
	if (diag_add(&all->sockets, VERDICT_PEER_GONE_STATES) != 0)
		return;
	all->net_namespace = diag_namespace();
	if (all->sockets.n)
		qsort(all->sockets.at, all->sockets.n, sizeof(*all->sockets.at),
		      by_cookie);
}

void held_elsewhere_free(struct held_elsewhere *all)
{
	diag_free(&all->sockets);
	if (all->has_holders)
		holders_free(&all->holders);
}

const struct diag_socket *held_elsewhere_find(const struct held_elsewhere *all,
					      uint64_t cookie, uint64_t net_namespace)
{
	struct diag_socket wanted = {.cookie = cookie};

	if (!cookie || !all->sockets.n || net_namespace != all->net_namespace)
		return NULL;
	const struct diag_socket *found = bsearch(
		&wanted, all->sockets.at, all->sockets.n, sizeof(*found), by_cookie);
	/* Without an inode no descriptor refers to it: the kernel is about to end it. */
	return found && found->inode && !found->is_mptcp ? found : NULL;
}

const struct diag_socket *held_elsewhere_find_inode(const struct held_elsewhere *all,
						    uint32_t inode,
						    uint64_t net_namespace)
{
	if (!inode || net_namespace != all->net_namespace)
		return NULL;
	for (size_t i = 0; i < all->sockets.n; i++)
		if (all->sockets.at[i].inode == inode)
			return all->sockets.at[i].is_mptcp ? NULL : &all->sockets.at[i];
	return NULL;
}

const struct holder *held_elsewhere_by(struct held_elsewhere *all,
				       const struct diag_socket *socket, size_t *n)
{
	if (!all->has_holders)
		holders_find(&all->holders);
	all->has_holders = true;
	return holders_of(&all->holders, socket->inode, n);
}

/* Since when its peer is gone: the last segment from there was the FIN, or came later. */
static uint64_t gone_since_ns(const struct held_elsewhere *all,
			      const struct diag_socket *socket, uint64_t opened_ns)
{
	uint64_t age_ns = socket->has_age ? socket->quiet_ms * NS_PER_MS : 0;
	uint64_t since_ns = age_ns < all->now_ns ? all->now_ns - age_ns : 1;

	return since_ns > opened_ns ? since_ns : opened_ns;
}

void held_elsewhere_update(const struct held_elsewhere *all,
			   const struct diag_socket *socket, struct sl_descriptor *row)
{
	row->held = 1;
	row->state = socket->state;
	row->kind = SL_KIND_CLOSE_WAIT;
	row->cookie = socket->cookie;
	row->inode = socket->inode;
	row->peer_gone_since_ns = gone_since_ns(all, socket, row->opened_ns);
	row->idle_since_ns = socket->unsent_bytes ? all->now_ns : row->peer_gone_since_ns;
	row->scanned_ns = all->now_ns;
	row->unread_bytes = socket->unread_bytes < 0 ? SL_UNREAD_UNKNOWN
						     : (uint32_t)socket->unread_bytes;
	row->kernel_bytes = 0;
	row->family = socket->family;
	row->local_port = socket->local_port;
	row->peer_port = socket->peer_port;
	memcpy(row->local, socket->local, sizeof(row->local));
	memcpy(row->peer, socket->peer, sizeof(row->peer));
}

struct sl_descriptor held_elsewhere_row(const struct held_elsewhere *all,
					const struct diag_socket *socket,
					const struct sl_descriptor *from,
					uint64_t grace_ns)
{
	struct sl_descriptor row = *from;

	held_elsewhere_update(all, socket, &row);
	row.why = (uint16_t)(SL_WHY_HELD_BY_CHILD |
			     (socket->fin_unread ? SL_WHY_NEVER_READ : 0));
	/* The process that holds the socket does not know what its opener was told, or
	 * did afterwards. */
	row.told_ns = row.sent_ns = 0;
	row.eof_call = SL_CALL_NONE;
	row.eof_origin = 0;
	row.used_ns = 0;
	row.verdict = (uint8_t)verdict_of(
		&(struct verdict_facts){.kind = row.kind,
					.idle_since_ns = row.idle_since_ns,
					.now_ns = all->now_ns},
		&(struct verdict_rules){.grace_ns = grace_ns});
	return row;
}
