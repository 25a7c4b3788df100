/* sockleak list: what a process has closed and another one holds, as the kernel tells
 * now. */
#include "commands/list_elsewhere.h"

#include "commands/list_now.h"
#include "kernel/process.h"
#include "read/reader_rows.h"
#include "support/say.h"

#include <stdlib.h>

void list_add_holder(struct list_socket *socket, uint32_t pid, uint32_t fd)
{
	for (size_t i = 0; i < socket->n_holders; i++)
		if (socket->holders[i].pid == pid && socket->holders[i].fd == fd)
			return;
	socket->holders = say_realloc(socket->holders, socket->n_holders + 1,
				      sizeof *socket->holders);
	struct list_holder *holder = &socket->holders[socket->n_holders++];
	*holder = (struct list_holder){.pid = pid, .fd = fd};
	if (pid)
		process_name(pid, holder->program);
}

static bool is_shown(const struct list_process *process, uint64_t cookie)
{
	for (size_t i = 0; i < process->n_sockets; i++)
		if (process->sockets[i].row->row.cookie == cookie)
			return true;
	return false;
}

static void add_socket(struct list_process *process, const struct sl_descriptor *row,
		       const struct holder *holders, size_t n)
{
	struct reader_row *kept = say_calloc(1, sizeof *kept);

	*kept = (struct reader_row){holders->fd, *row};
	process->sockets = say_realloc(process->sockets, process->n_sockets + 1,
				       sizeof *process->sockets);
	struct list_socket *socket = &process->sockets[process->n_sockets++];
	*socket = (struct list_socket){
		.row = kept,
		.asked = kept,
		.judged = {row->verdict, row->kind, row->why, row->state},
		.is_elsewhere = true,
	};
	for (size_t i = 0; i < n; i++)
		list_add_holder(socket, holders[i].pid, holders[i].fd);
}

static void add_elsewhere(struct held_elsewhere *all, struct list_process *process,
			  const struct sl_event *event)
{
	static const struct holder unseen = {0};
	const struct sl_header *head = process->ledger.head;
	struct sl_descriptor opened = reader_row_of_passed(event);
	size_t n;

	const struct diag_socket *found =
		held_elsewhere_find(all, event->cookie, head->net_namespace);
	if (!found || is_shown(process, event->cookie))
		return;
	const struct holder *holders = held_elsewhere_by(all, found, &n);
	struct sl_descriptor row =
		held_elsewhere_row(all, found, &opened, head->grace_ns);
	add_socket(process, &row, n ? holders : &unseen, n ? n : 1);
}

void list_add_elsewhere(struct held_elsewhere **all, struct list_process *process)
{
	const struct reader_ledger *ledger = &process->ledger;

	for (size_t i = 0; i < ledger->n_events; i++) {
		const struct sl_event *event = &ledger->events[i];

		if (!event->cookie)
			continue;
		add_elsewhere(list_kernel(all), process, event);
	}
}

void list_free_socket(struct list_socket *socket)
{
	free(socket->asked);
	free(socket->holders);
}
