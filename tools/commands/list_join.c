/* See list_join.h. */
#include "commands/list_join.h"

#include "commands/list_elsewhere.h"
#include "read/reader_rows.h"
#include "support/say.h"

#include <stdlib.h>

#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

struct group {
	uint64_t cookie;
	struct list_socket *home; /* the entry that stays; of the process home_in */
	size_t home_in;
	int home_rank, opening_rank;
	UT_hash_handle hh;
};

static bool was_opened_here(const struct sl_descriptor *row)
{
	return row->origin_kind != SL_ORIGIN_INHERITED &&
	       row->origin_kind != SL_ORIGIN_RECEIVED &&
	       row->origin_kind != SL_ORIGIN_UNKNOWN && !(row->flags & SL_ROW_INHERITED);
}

static int rank_of_home(const struct list_socket *socket)
{
	return socket->is_elsewhere ? 0 : was_opened_here(&socket->row->row) ? 2 : 1;
}

static int rank_of_opening(const struct sl_descriptor *row)
{
	return (row->origin && row->origin != SL_ORIGIN_PENDING ? 4 : 0) +
	       (was_opened_here(row) ? 2 : 0) + (row->call != SL_CALL_NONE);
}

/* A socket without a cookie is not joined with any other. */
static struct group *find(struct group *groups, uint64_t cookie)
{
	struct group *group = NULL;

	if (cookie)
		HASH_FIND(hh, groups, &cookie, sizeof cookie, group);
	return group;
}

static struct group *find_or_add(struct group **groups, uint64_t cookie)
{
	struct group *group = find(*groups, cookie);

	if (group || !cookie)
		return group;
	group = say_calloc(1, sizeof *group);
	group->cookie = cookie;
	group->home_rank = group->opening_rank = -1;
	HASH_ADD(hh, *groups, cookie, sizeof group->cookie, group);
	return group;
}

static void add(struct group **groups, size_t process, struct list_socket *socket)
{
	struct group *group = find_or_add(groups, socket->row->row.cookie);

	socket->opening = socket->row->row;
	socket->opener = process;
	socket->used = socket->row->row;
	socket->user = process;
	if (!group || rank_of_home(socket) <= group->home_rank)
		return;
	group->home = socket;
	group->home_in = process;
	group->home_rank = rank_of_home(socket);
}

static void take_use(struct list_socket *home, size_t process,
		     const struct sl_descriptor *row)
{
	if (row->used_ns <= home->used.used_ns)
		return;
	home->used = *row;
	home->user = process;
}

static void take_opening(struct group *groups, size_t process,
			 const struct sl_descriptor *row)
{
	struct group *group = find(groups, row->cookie);

	if (group)
		take_use(group->home, process, row);
	if (!group || rank_of_opening(row) <= group->opening_rank)
		return;
	group->opening_rank = rank_of_opening(row);
	group->home->opening = *row;
	group->home->opener = process;
}

/* Rows of descriptors that were closed since, and what was handed over, tell of it, too.
 */
static void take_openings(struct group *groups, size_t process,
			  const struct reader_ledger *ledger)
{
	for (size_t i = 0; i < ledger->n_rows; i++)
		take_opening(groups, process, &ledger->rows[i].row);
	for (size_t i = 0; i < ledger->n_events; i++) {
		const struct sl_event *event = &ledger->events[i];
		struct sl_descriptor row = reader_row_of_passed(event);

		take_opening(groups, process, &row);
	}
}

static void merge(struct list_socket *home, struct list_socket *socket)
{
	unsigned why = home->judged.why | socket->judged.why;

	for (size_t i = 0; i < socket->n_holders; i++)
		list_add_holder(home, socket->holders[i].pid, socket->holders[i].fd);
	if (!socket->is_elsewhere && socket->judged.verdict > home->judged.verdict) {
		struct reader_row *former = home->asked;

		home->judged = socket->judged;
		home->row = socket->row;
		home->asked = socket->asked;
		socket->asked = former;
	}
	home->judged.why = why;
	list_free_socket(socket);
}

static void join(struct group *groups, struct list_process *process, size_t in)
{
	size_t n = 0;

	for (size_t i = 0; i < process->n_sockets; i++) {
		struct list_socket *socket = &process->sockets[i];
		struct group *group = find(groups, socket->row->row.cookie);

		if (group && group->home != socket) {
			process->n_joined +=
				group->home_in != in && !socket->is_elsewhere;
			merge(group->home, socket);
			continue;
		}
		process->sockets[n] = *socket;
		if (group)
			group->home = &process->sockets[n];
		n++;
	}
	process->n_sockets = n;
}

void list_join(struct list *list)
{
	struct group *groups = NULL, *group, *next;

	for (size_t i = 0; i < list->n_processes; i++)
		for (size_t j = 0; j < list->processes[i].n_sockets; j++)
			add(&groups, i, &list->processes[i].sockets[j]);
	for (size_t i = 0; i < list->n_processes; i++)
		take_openings(groups, i, &list->processes[i].ledger);
	for (size_t i = 0; i < list->n_processes; i++)
		join(groups, &list->processes[i], i);
	HASH_ITER(hh, groups, group, next)
	{
		HASH_DEL(groups, group);
		free(group);
	}
}
