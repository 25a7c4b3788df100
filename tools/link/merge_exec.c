/* A socket that was carried over an exec before anybody had asked for its cookie: the
 * ledger of the former program knows where it was opened, that of the later one which
 * socket it is.
 *
 * An exec keeps descriptors, so the number tells; but a program without a ledger may have
 * run in between, and have put another socket there.  Of a connection that was accepted
 * the peer's address and port tell that it is the same.  Of one that was made from here
 * they do not: it may have been made anew, to the same server. */
#include "link/linked.h"

#include <string.h>

struct carried_key {
	const struct program *program;
	uint32_t sequence;
	uint32_t fd;
};

struct carried {
	struct carried_key key;
	const struct row *row;
	UT_hash_handle hh;
};

static struct carried_key key_of(const struct merge *merge, const struct row *row,
				 uint32_t later)
{
	const struct process *process = &merge->processes[row->process];

	return (struct carried_key){process->program, process->sequence + later, row->fd};
}

static bool was_accepted(const struct sl_descriptor *row)
{
	return sl_call_accepts(row->call) && row->family && row->peer_port;
}

/* By the key that the next program's rows have. */
static struct carried *gather(struct merge *merge)
{
	struct carried *all = NULL;

	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next)
		for (const struct row *row = socket->rows; row; row = row->next) {
			if (row->row.cookie || !row->row.held || !was_accepted(&row->row))
				continue;
			struct carried *one =
				findings_keep(merge->findings, sizeof(*one));
			one->key = key_of(merge, row, 1);
			one->row = row;
			HASH_ADD(hh, all, key, sizeof(one->key), one);
		}
	return all;
}

static bool have_one_peer(const struct sl_descriptor *a, const struct sl_descriptor *b)
{
	return a->family == b->family && a->peer_port == b->peer_port &&
	       memcmp(a->peer, b->peer, sizeof(a->peer)) == 0;
}

/* The earlier row does not hold the socket any more, but has its origin. */
static void join(struct merge *merge, struct joined *socket, const struct row *former)
{
	struct row *row = findings_keep(merge->findings, sizeof(*row));

	*row = *former;
	row->next = NULL;
	row->row.held = 0;
	row->row.cookie = socket->key.cookie;
	*socket->end = row;
	socket->end = &row->next;
}

static void join_carried(struct merge *merge, struct joined *socket,
			 struct carried *carried)
{
	for (const struct row *row = socket->rows; row; row = row->next) {
		struct carried_key key = key_of(merge, row, 0);
		struct carried *found;

		if (!row->row.cookie || row->row.origin_kind != SL_ORIGIN_INHERITED)
			continue;
		HASH_FIND(hh, carried, &key, sizeof(key), found);
		if (found && have_one_peer(&found->row->row, &row->row)) {
			join(merge, socket, found->row);
			return;
		}
	}
}

void linked_join_over_exec(struct merge *merge)
{
	struct carried *carried = gather(merge);

	if (!carried)
		return;
	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next)
		join_carried(merge, socket, carried);
	HASH_CLEAR(hh, carried);
}

bool linked_overrules(const struct merge *merge, const struct row *later,
		      const struct row *row)
{
	const struct process *former = &merge->processes[row->process],
			     *next = &merge->processes[later->process];

	return next->program == former->program && next->sequence > former->sequence;
}

static bool has_successor(const struct merge *merge, const struct row *row)
{
	const struct process *process = &merge->processes[row->process];

	return process->sequence < process->program->last_sequence;
}

void linked_mark_overruled(const struct merge *merge, struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next) {
		if (!has_successor(merge, row))
			continue;
		for (const struct row *next = socket->rows; next; next = next->next)
			row->is_overruled |= linked_overrules(merge, next, row);
	}
}
