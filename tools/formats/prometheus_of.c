/* What report, list and scan know, as metrics. */
#include "formats/text_internal.h"

#include "formats/prometheus.h"

#include <string.h>

#define PLACE_BYTES 512

/* --- report --- */

static void add_place(struct prometheus *prometheus, const struct findings *findings,
		      const struct findings_place *place)
{
	char name[PLACE_BYTES];
	const char *note = text_note_name(place->origin_kind);

	prometheus_place(name, sizeof(name), text_first_row(place), note);
	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];
		const char *exe = findings->processes[socket->holders[0].process].exe;

		prometheus_add_leak(prometheus, exe ? exe : "unknown", name,
				    text_kind_name(place->kind), 1, socket->age_ms);
	}
}

static void add_process(struct prometheus *prometheus,
			const struct findings_process *process)
{
	const struct prometheus_program counts = {
		.n_processes = 1,
		.open = process->ended == FINDINGS_RUNNING ? process->open : 0,
		.opened = process->opened,
		.closed = process->closed,
		.missed = process->missed,
		.dropped = process->dropped,
	};

	prometheus_add_program(prometheus, process->exe ? process->exe : "unknown",
			       &counts);
}

void format_prometheus(const struct findings *findings, FILE *file)
{
	struct prometheus *prometheus = prometheus_open("report");
	uint64_t n_pending = 0;

	for (size_t i = 0; i < findings->n_leaks; i++)
		add_place(prometheus, findings, &findings->leaks[i]);
	for (size_t i = 0; i < findings->n_pending; i++)
		n_pending += findings->pending[i].n_sockets;
	for (size_t i = 0; i < findings->n_processes; i++)
		add_process(prometheus, &findings->processes[i]);
	prometheus_set_pending(prometheus, n_pending);
	prometheus_set_unseen(prometheus, findings_n_unwatched(findings));
	prometheus_close(prometheus, file);
}

/* --- list --- */

static uint64_t age_ms(const struct list *list, uint64_t since_ns)
{
	return since_ns && since_ns < list->now_ns ? (list->now_ns - since_ns) / 1000000
						   : 0;
}

/* Returns whether it is pending. */
static bool add_listed(struct prometheus *prometheus, const struct list *list,
		       const struct list_process *process,
		       const struct list_socket *socket)
{
	const struct text_frame *origin = &socket->origin;
	bool has_origin = origin->module || origin->language;
	char name[PLACE_BYTES];

	if (socket->judged.verdict < SL_LEAK_GRACE)
		return socket->judged.verdict == SL_PENDING;
	prometheus_place(name, sizeof(name), has_origin ? origin : NULL,
			 text_note_name(socket->opening.origin_kind));
	prometheus_add_leak(prometheus, process->ledger.head->exe, name,
			    text_kind_name(socket->judged.kind), 1,
			    age_ms(list, socket->row->row.peer_gone_since_ns));
	return false;
}

static size_t add_running(struct prometheus *prometheus, const struct list *list,
			  const struct list_process *process)
{
	const struct sl_header *head = process->ledger.head;
	size_t n_pending = 0;
	const struct prometheus_program counts = {
		.n_processes = 1,
		.open = process->n_held,
		.opened = head->opened,
		.closed = head->closed,
		.missed = head->missed,
		.dropped = head->dropped,
	};

	prometheus_add_program(prometheus, head->exe, &counts);
	for (size_t i = 0; i < process->n_sockets; i++)
		n_pending += add_listed(prometheus, list, process, &process->sockets[i]);
	return n_pending;
}

void list_prometheus(const struct list *list, FILE *file)
{
	struct prometheus *prometheus = prometheus_open("list");
	size_t n_pending = 0;

	for (size_t i = 0; i < list->n_processes; i++)
		n_pending += add_running(prometheus, list, &list->processes[i]);
	prometheus_set_pending(prometheus, n_pending);
	prometheus_set_unseen(prometheus, list->n_unseen);
	prometheus_close(prometheus, file);
}

/* --- scan --- */

/* By the port of the server, on whichever side it is: the other one is different each
 * time. */
static void put_port(char *place, size_t size, const struct scan_socket *found)
{
	if (found->listener)
		snprintf(place, size, "port %u", found->listener->local_port);
	else
		snprintf(place, size, "to port %u", found->socket->peer_port);
}

static void add_found(struct prometheus *prometheus, const struct scan_socket *found)
{
	const char *name = found->n_holders ? found->holders[0].name : "";
	char place[PLACE_BYTES];

	put_port(place, sizeof(place), found);
	prometheus_add_leak(prometheus, *name ? name : "unknown", place,
			    found->in_queue ? "never-accepted"
					    : text_state_name(found->socket->state),
			    1, found->socket->quiet_ms);
}

void scan_prometheus(const struct scan *scan, FILE *file)
{
	struct prometheus *prometheus = prometheus_open("scan");
	size_t n_pending = 0;

	for (size_t i = 0; i < scan->n_found; i++) {
		if (scan->found[i].is_leak)
			add_found(prometheus, &scan->found[i]);
		else
			n_pending++;
	}
	prometheus_set_pending(prometheus, n_pending);
	prometheus_set_unseen(prometheus, scan->n_unseen);
	prometheus_close(prometheus, file);
}
