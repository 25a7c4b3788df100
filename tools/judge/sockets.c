/* One socket: its rows, as many processes see it, become what is found of it: who holds
 * it, how bad it is, since when. */
#include "judge/judge.h"
#include "judge/judging.h"

#include <string.h>

#define NS_PER_MS UINT64_C(1000000)

/* Something was sent since the former program's leak.  That one still counts at the end,
 * as any former leak does, where more than the age counts there. */
static bool is_outlived(const struct process_facts *facts, const struct row *former,
			const struct row *next)
{
	bool counts =
		facts->ended != FINDINGS_RUNNING &&
		(facts->at_exit == SL_AT_EXIT_TOLD || facts->at_exit == SL_AT_EXIT_ALL);

	return !counts && next->row.sent_ns > former->row.scanned_ns;
}

/* A socket that was a leak before the exec and is still held.  The ledger of the later
 * program has its present state, if a scan has been made there. */
static void carry_verdict(const struct process_facts *facts, const struct row *former,
			  struct row *next)
{
	if (!next->row.held || former->judged.verdict != SL_LEAK_GRACE ||
	    is_outlived(facts, former, next))
		return;
	if (!next->row.state)
		next->judged = former->judged;
	else if (next->judged.verdict != SL_NO_VERDICT)
		next->judged.verdict = SL_LEAK_GRACE;
}

static struct judged_row judge_one(const struct merge *merge, const struct row *row)
{
	const struct sl_descriptor *from = &row->row;

	if (judge_was_closed_late(from))
		return (struct judged_row){SL_LEAK_GRACE, from->kind, from->why,
					   from->state};
	if (row->is_elsewhere)
		return (struct judged_row){from->verdict, from->kind, from->why,
					   from->state};
	if (!from->held)
		return (struct judged_row){0};
	return judge_row(&merge->processes[row->process].facts, from, row->fd);
}

void judging_rows(const struct merge *merge, struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next)
		row->judged = judge_one(merge, row);
	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!row->is_overruled)
			continue;
		for (struct row *next = socket->rows; next; next = next->next)
			if (!next->is_from_kernel && linked_overrules(merge, next, row))
				carry_verdict(&merge->processes[next->process].facts, row,
					      next);
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

/* A process that ended before the socket was a leak does not count as its holder. */
static bool is_holder(const struct merge *merge, const struct joined *socket,
		      const struct row *row)
{
	if (!row->row.held || row->is_overruled || row->judged.verdict == SL_NO_VERDICT)
		return false;
	return !socket->is_leak || is_leak(row) ||
	       merge->processes[row->process].facts.ended == FINDINGS_RUNNING;
}

/* A process that ended before the socket was a leak has let go of it. */
static bool is_held_still(const struct merge *merge, const struct row *row)
{
	return row->row.held && !row->is_overruled &&
	       (row->is_elsewhere || is_leak(row) ||
		merge->processes[row->process].facts.ended == FINDINGS_RUNNING);
}

/* Closed was one descriptor: the process held the socket by another at its end. */
static bool was_kept(const struct joined *socket, const struct row *closed)
{
	for (const struct row *row = socket->rows; row; row = row->next)
		if (row->process == closed->process && row->row.held &&
		    !row->is_elsewhere)
			return true;
	return false;
}

/* The row of the process that closed the leak last, if no process holds it any more; NULL
 * = it is held, or was no leak. */
static const struct row *last_closer(const struct merge *merge,
				     const struct joined *socket)
{
	const struct row *last = NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		if (is_held_still(merge, row))
			return NULL;
		if (judge_was_closed_late(&row->row) && !was_kept(socket, row) &&
		    (!last || row->row.ended_ns >= last->row.ended_ns))
			last = row;
	}
	return last;
}

/* For a leak that was closed after all: whether this row is of the process that closed it
 * last. */
bool judging_is_found_by(const struct merge *merge, const struct joined *socket,
			 const struct row *row)
{
	return socket->found.closed == FINDINGS_HELD ? is_holder(merge, socket, row)
						     : row == last_closer(merge, socket);
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
	uint64_t last = merge->processes[row->process].facts.last_ns;

	if (!row->row.held)
		return row->row.ended_ns;
	raise_to(&last, row->row.scanned_ns);
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

/* Asked only once the peer has gone. */
static void take_unread(struct findings_socket *found, const struct sl_descriptor *row)
{
	if (row->kind == SL_KIND_NONE || row->unread_bytes == SL_UNREAD_UNKNOWN)
		return;
	if (found->unread_bytes == SL_UNREAD_UNKNOWN ||
	    row->unread_bytes > found->unread_bytes)
		found->unread_bytes = row->unread_bytes;
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
	found->why |= (uint16_t)row->judged.why;
	found->cookie = row->row.cookie;
	if (row->row.inode)
		found->inode = row->row.inode;
	take_unread(found, &row->row);
	if (row->row.kernel_bytes + SL_SLAB_BYTES > found->kernel_bytes)
		found->kernel_bytes = row->row.kernel_bytes + SL_SLAB_BYTES;
	if (row->row.flags & SL_ROW_FORGOTTEN_PEER)
		found->peer_state = TEXT_PEER_FORGOTTEN;
	raise_to(&found->age_ms,
		 ms_between(row->row.peer_gone_since_ns ? row->row.peer_gone_since_ns
							: row->row.told_ns,
			    last));
	raise_to(&found->told_ms, ms_between(row->row.told_ns, last));
	if (!opened_ns) {
		found->opened_ms = TEXT_MS_UNKNOWN;
	} else {
		raise_to(&found->opened_ms, ms_between(opened_ns, last));
		raise_to(&found->opened_ms, found->age_ms);
	}
	take_addresses(found, &row->row);
}

/* 0 = no process saw it. */
static uint64_t opened_ns(const struct joined *socket)
{
	uint64_t first = 0;

	for (const struct row *row = socket->rows; row; row = row->next)
		if (sl_opening_was_seen(row->row.call, row->row.origin_kind) &&
		    row->row.opened_ns && (!first || row->row.opened_ns < first))
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
		if (!linked_was_opened_here(row) || row->is_elsewhere)
			continue;
		if (row->row.held)
			return;
		opener = row;
	}
	if (!opener)
		return;
	for (uint32_t i = 0; i < found->n_holders; i++)
		if (!found->holders[i].is_elsewhere &&
		    merge->processes[found->holders[i].process].program ==
			    merge->processes[opener->process].program)
			return;
	found->opener_closed = true;
	found->opener_pid = merge->findings->processes[opener->process].pid;
}

static struct findings_holder holder_of(const struct merge *merge, const struct row *row)
{
	const struct findings_process *process =
		&merge->findings->processes[row->process];

	return (struct findings_holder){
		.process = row->process,
		.fd = row->fd,
		.pid = row->is_elsewhere ? row->holder_pid : process->pid,
		.program = row->is_elsewhere ? row->program : process->exe,
		.is_elsewhere = row->is_elsewhere,
	};
}

/* A child that keeps a ledger is found by its opener, too: it holds it once. */
static void list_holder(struct findings_holder *holders, uint32_t *n,
			struct findings_holder holder)
{
	for (uint32_t i = 0; i < *n; i++) {
		if (holders[i].fd != holder.fd || holders[i].pid != holder.pid ||
		    holders[i].is_elsewhere == holder.is_elsewhere)
			continue;
		if (holders[i].is_elsewhere)
			holders[i] = holder;
		return;
	}
	holders[(*n)++] = holder;
}

static void find_closed(const struct merge *merge, struct joined *socket)
{
	const struct row *closer = last_closer(merge, socket);

	if (!closer)
		return;
	socket->found.closed =
		!closer->is_elsewhere && judge_was_closed_by_end(
						 &merge->processes[closer->process].facts,
						 &closer->row)
			? FINDINGS_CLOSED_BY_END
			: FINDINGS_CLOSED_LATE;
}

/* Of all processes, those that have closed it among them: the last use counts. */
static const struct row *last_used(const struct joined *socket)
{
	const struct row *last = NULL;

	for (const struct row *row = socket->rows; row; row = row->next)
		if (row->row.used_ns && (!last || row->row.used_ns > last->row.used_ns))
			last = row;
	return last;
}

/* `last`: when the socket was last known to be as it was found. */
static void take_use(struct joined *socket, uint64_t last)
{
	struct findings_socket *found = &socket->found;

	socket->used = last_used(socket);
	if (!socket->used)
		return;
	found->used_ms = ms_between(socket->used->row.used_ns, last);
	found->use_bytes = socket->used->row.use_bytes;
	found->use_thread = socket->used->row.use_thread;
}

/* From when on scans of its process had it as a leak: by the grace, or only the last one.
 * 0 = none had. */
static uint64_t leaked_since_ns(const struct merge *merge, const struct row *row)
{
	const struct sl_descriptor *from = &row->row;
	const struct process_facts *process = &merge->processes[row->process].facts;
	uint64_t past_grace_ns = from->idle_since_ns + process->grace_ns;

	if (from->verdict == SL_LEAK_GRACE && past_grace_ns <= from->scanned_ns)
		return past_grace_ns;
	return from->verdict >= SL_LEAK_GRACE ? process->scanned_ns : 0;
}

static void find_span(const struct merge *merge, const struct joined *socket,
		      struct findings_socket *found)
{
	const struct row *by_end = found->closed == FINDINGS_CLOSED_BY_END
					   ? last_closer(merge, socket)
					   : NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		struct linked_span span = {row->process, leaked_since_ns(merge, row),
					   row->row.held ? 0 : row->row.ended_ns,
					   row == by_end};

		if (span.from_ns && !row->is_from_kernel &&
		    (row->row.held || row->row.ended_ns))
			linked_add_span(merge, &span, found);
	}
}

bool judging_find_socket(struct merge *merge, struct joined *socket)
{
	struct findings_socket *found = &socket->found;
	struct findings_holder *holders;
	uint64_t last = 0;
	uint32_t n = 0;

	found->unread_bytes = SL_UNREAD_UNKNOWN;
	for (const struct row *row = socket->rows; row; row = row->next)
		socket->is_leak |= is_leak(row);
	find_closed(merge, socket);
	for (const struct row *row = socket->rows; row; row = row->next)
		n += judging_is_found_by(merge, socket, row);
	if (!n)
		return false;
	found->holders = holders = findings_keep(merge->findings, n * sizeof(*holders));
	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!found->test)
			found->test = row->test;
		if (!judging_is_found_by(merge, socket, row))
			continue;
		list_holder(holders, &found->n_holders, holder_of(merge, row));
		take_row(merge, found, row, opened_ns(socket));
		raise_to(&last, last_ns(merge, row));
	}
	take_use(socket, last);
	find_span(merge, socket, found);
	if (found->verdict != SL_PENDING && !found->closed)
		find_closed_opener(merge, socket, found);
	return true;
}
