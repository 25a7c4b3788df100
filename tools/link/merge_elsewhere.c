/* Sockets that a process opened and closed, or left behind when it ended, and that
 * another process holds which keeps no ledger: the kernel says that the socket is there,
 * /proc which process holds it.  Each such holder becomes a row of the opener's. */
#include "link/linked.h"

#include "kernel/held_elsewhere.h"
#include "kernel/process.h"

#include <string.h>

/* Then what is held is judged by the ledger of that process. */
static bool is_held_by_one_that_runs(const struct merge *merge,
				     const struct joined *socket)
{
	for (const struct row *row = socket->rows; row; row = row->next)
		if (row->row.held && !row->is_overruled && !row->is_elsewhere &&
		    merge->processes[row->process].facts.ended == FINDINGS_RUNNING)
			return true;
	return false;
}

static bool is_wanted(const struct merge *merge, const struct joined *socket)
{
	const struct row *row = socket->rows;

	return row->row.cookie && !(row->row.flags & SL_ROW_EXPECTED) &&
	       merge->findings->processes[row->process].is_of_this_boot &&
	       !is_held_by_one_that_runs(merge, socket);
}

void linked_take_elsewhere(struct merge *merge, struct row *row,
			   const struct sl_elsewhere *from,
			   const struct backtrace *origin)
{
	char name[sizeof(from->program) + 1] = "";

	memcpy(name, from->program, sizeof(from->program));
	row->is_elsewhere = true;
	row->origin = origin;
	row->holder_pid = from->pid;
	row->program = *name ? findings_keep_string(merge->findings, name) : NULL;
	row->record = ++merge->n_elsewhere;
}

/* Of the records of one process on a socket the last counts. */
static void keep_the_last(struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next)
		for (const struct row *other = socket->rows; row->is_elsewhere && other;
		     other = other->next)
			if (other->is_elsewhere && other->process == row->process &&
			    other->record > row->record)
				row->row.held = 0;
}

/* What the kernel says now takes the place of the records. */
static void drop_recorded(struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next)
		if (row->is_elsewhere)
			row->row.held = 0;
}

static void add_holder(struct merge *merge, struct joined *socket,
		       const struct row *opener, const struct sl_descriptor *row,
		       const struct holder *holder)
{
	struct row *added = findings_keep(merge->findings, sizeof(*added));
	char name[PROCESS_NAME_BYTES];

	process_name(holder->pid, name);
	*added = (struct row){
		.row = *row,
		.origin = opener->origin,
		.test = opener->test,
		.process = opener->process,
		.fd = holder->fd,
		.is_elsewhere = true,
		.is_from_kernel = true,
		.holder_pid = holder->pid,
		.program = *name ? findings_keep_string(merge->findings, name) : NULL,
	};
	*socket->end = added;
	socket->end = &added->next;
}

static void add_holders(struct merge *merge, struct joined *socket,
			struct held_elsewhere *all)
{
	static const struct holder unseen = {0};
	const struct row *opener = linked_origin_row(socket);
	const struct diag_socket *found = held_elsewhere_find(
		all, opener->row.cookie,
		merge->findings->processes[opener->process].net_namespace);
	size_t n;

	if (!found)
		return;
	drop_recorded(socket);
	const struct holder *holders = held_elsewhere_by(all, found, &n);
	struct sl_descriptor row =
		held_elsewhere_row(all, found, &opener->row,
				   merge->processes[opener->process].facts.grace_ns);
	for (size_t i = 0; i < n; i++)
		add_holder(merge, socket, opener, &row, &holders[i]);
	if (n == 0) /* of another user's, or in another PID namespace */
		add_holder(merge, socket, opener, &row, &unseen);
}

void linked_add_elsewhere(struct merge *merge)
{
	struct held_elsewhere all;
	bool was_asked = false;

	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next) {
		keep_the_last(socket);
		if (!is_wanted(merge, socket))
			continue;
		if (!was_asked)
			held_elsewhere_look(&all);
		was_asked = true;
		add_holders(merge, socket, &all);
	}
	if (was_asked)
		held_elsewhere_free(&all);
}
