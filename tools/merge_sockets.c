/* One socket: its rows, as many processes see it, become what is found of it: who holds
 * it, how bad it is, since when. */
#include "merging.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

static bool overrules(const struct merge *merge, const struct row *later,
		      const struct row *row)
{
	const struct process *former = &merge->processes[row->process],
			     *next = &merge->processes[later->process];

	return next->program == former->program && next->sequence > former->sequence;
}

static void overrule(struct row *former, struct row *next)
{
	former->is_overruled = true;
	if (!next->row.held || former->judged.verdict != SL_LEAK_GRACE)
		return;
	/* It was a leak before the exec, and is still held; how it is now the later
	 * program knows, if it has looked. */
	if (!next->row.state)
		next->judged = former->judged;
	else if (next->judged.verdict != SL_NO_VERDICT)
		next->judged.verdict = SL_LEAK_GRACE;
}

static bool has_successor(const struct merge *merge, const struct row *row)
{
	const struct process *process = &merge->processes[row->process];

	return process->sequence < process->program->last_sequence;
}

void merging_judge_rows(struct merge *merge, struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next)
		if (row->row.held)
			row->judged = judge_row(&merge->processes[row->process].judged,
						&row->row, row->fd);
	for (struct row *row = socket->rows; row; row = row->next) {
		if (!has_successor(merge, row))
			continue;
		for (struct row *next = socket->rows; next; next = next->next)
			if (overrules(merge, next, row))
				overrule(row, next);
	}
}

/* grace > exit > pending > none */
static int weight(enum sl_verdict verdict)
{
	static const int weights[] = {[SL_NO_VERDICT] = 0,
				      [SL_PENDING] = 1,
				      [SL_LEAK_EXIT] = 2,
				      [SL_LEAK_GRACE] = 3};

	return weights[verdict];
}

static bool is_leak(const struct row *row)
{
	return row->row.held && !row->is_overruled &&
	       weight(row->judged.verdict) > weight(SL_PENDING);
}

/* Of a leak, whoever ended before it was one has let go of it. */
bool merging_is_holder(const struct merge *merge, const struct joined *socket,
		       const struct row *row)
{
	if (!row->row.held || row->is_overruled || row->judged.verdict == SL_NO_VERDICT)
		return false;
	return !socket->is_leak || is_leak(row) ||
	       merge->processes[row->process].judged.ended == FINDINGS_RUNNING;
}

static bool was_opened_here(const struct row *row)
{
	return row->row.note != SL_NOTE_INHERITED && row->row.note != SL_NOTE_RECEIVED &&
	       row->row.note != SL_NOTE_UNKNOWN && !(row->row.flags & SL_ROW_INHERITED);
}

const struct row *merging_origin_row(const struct joined *socket)
{
	const struct row *best = socket->rows;
	int best_rank = -1;

	for (const struct row *row = socket->rows; row; row = row->next) {
		int rank = (row->origin ? 4 : 0) + (was_opened_here(row) ? 2 : 0) +
			   (row->row.call != SL_CALL_NONE ? 1 : 0);

		if (rank > best_rank) {
			best = row;
			best_rank = rank;
		}
	}
	return best;
}

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns > from_ns ? (to_ns - from_ns) / NS_PER_MS : 0;
}

static void raise_to(uint64_t *value, uint64_t least)
{
	if (*value < least)
		*value = least;
}

/* When this row was last known to be as it says. */
static uint64_t last_ns(const struct merge *merge, const struct row *row)
{
	uint64_t last = merge->processes[row->process].judged.last_ns;

	raise_to(&last, row->row.looked_ns);
	raise_to(&last, row->row.told_ns);
	return last;
}

static void take_addresses(struct findings_socket *found, const struct sl_descriptor *row)
{
	if (found->family || !row->family)
		return;
	found->family = row->family;
	found->local_port = row->local_port;
	found->peer_port = row->peer_port;
	memcpy(found->local, row->local, sizeof(found->local));
	memcpy(found->peer, row->peer, sizeof(found->peer));
}

static void take_row(const struct merge *merge, struct findings_socket *found,
		     const struct row *row, uint64_t opened_ns)
{
	uint64_t last = last_ns(merge, row);

	if (weight(row->judged.verdict) > weight(found->verdict)) {
		found->verdict = (uint8_t)row->judged.verdict;
		found->kind = (uint8_t)row->judged.kind;
		found->state = row->judged.state;
	}
	found->why |= (uint8_t)row->judged.why;
	found->cookie = row->row.cookie;
	if (row->row.inode)
		found->inode = row->row.inode;
	if (row->row.unread_bytes > found->unread_bytes)
		found->unread_bytes = row->row.unread_bytes;
	if (row->row.kernel_bytes + SL_SLAB_BYTES > found->kernel_bytes)
		found->kernel_bytes = row->row.kernel_bytes + SL_SLAB_BYTES;
	if (row->row.flags & SL_ROW_FORGOTTEN_PEER)
		found->peer_state = TEXT_PEER_FORGOTTEN;
	raise_to(
		&found->age_ms,
		ms_between(row->row.gone_ns ? row->row.gone_ns : row->row.told_ns, last));
	raise_to(&found->told_ms, ms_between(row->row.told_ns, last));
	raise_to(&found->opened_ms, ms_between(opened_ns, last));
	raise_to(&found->opened_ms, found->age_ms);
	take_addresses(found, &row->row);
}

static uint64_t opened_ns(const struct joined *socket)
{
	uint64_t first = 0;

	for (const struct row *row = socket->rows; row; row = row->next)
		if (row->row.opened_ns && (!first || row->row.opened_ns < first))
			first = row->row.opened_ns;
	return first;
}

/* The opener let go of it, but another process, which inherited or received it, did not.
 */
static void find_closed_opener(const struct merge *merge, const struct joined *socket,
			       struct findings_socket *found)
{
	const struct row *opener = NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!was_opened_here(row))
			continue;
		if (row->row.held)
			return;
		opener = row;
	}
	if (!opener)
		return;
	for (uint32_t i = 0; i < found->n_holders; i++)
		if (merge->processes[found->holders[i].process].program ==
		    merge->processes[opener->process].program)
			return;
	found->opener_closed = true;
	found->opener_pid = merge->findings->processes[opener->process].pid;
}

bool merging_find_socket(struct merge *merge, struct joined *socket)
{
	struct findings_socket *found = &socket->found;
	struct findings_holder *holders;
	uint32_t n = 0;

	for (const struct row *row = socket->rows; row; row = row->next)
		socket->is_leak |= is_leak(row);
	for (const struct row *row = socket->rows; row; row = row->next)
		n += merging_is_holder(merge, socket, row);
	if (!n)
		return false;
	found->holders = holders = findings_keep(merge->findings, n * sizeof(*holders));
	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!found->test)
			found->test = row->test;
		if (!merging_is_holder(merge, socket, row))
			continue;
		holders[found->n_holders++] =
			(struct findings_holder){row->process, row->fd};
		take_row(merge, found, row, opened_ns(socket));
	}
	if (found->verdict != SL_PENDING)
		find_closed_opener(merge, socket, found);
	return true;
}
