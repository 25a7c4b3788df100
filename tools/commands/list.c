/* sockleak list: the sockets of running processes that keep a ledger.
 *
 * The steps are those of a report (sockleak.c), but that ledgers are found by process
 * (read/running.c), nothing is joined over processes, and one frame is named. */
#include "formats/list.h"
#include "annotate/frames.h"
#include "annotate/peers.h"
#include "commands/commands.h"
#include "commands/list_elsewhere.h"
#include "commands/list_join.h"
#include "commands/list_now.h"
#include "commands/view.h"
#include "common/ledger.h"
#include "formats/prometheus.h"
#include "judge/judge.h"
#include "read/process_facts.h"
#include "read/running.h"
#include "support/clock.h"
#include "support/say.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct listing {
	struct list list;
	struct symbols *symbols;          /* owned; the names in frames */
	struct held_elsewhere *elsewhere; /* owned; NULL = not asked for yet */
};

/* Whether `what` of the process ("root/", "ns/mnt") is the same as ours. */
static bool is_shared(uint32_t pid, const char *what)
{
	char path[64], own[64];
	struct stat its, ours;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/%s", pid, what);
	snprintf(own, sizeof own, "/proc/self/%s", what);
	return stat(path, &its) == 0 && stat(own, &ours) == 0 &&
	       its.st_dev == ours.st_dev && its.st_ino == ours.st_ino;
}

/* Before the paths of its modules, "" or "/proc/PID/root". */
static void find_root(struct list_process *process)
{
	if (!is_shared(process->pid, "root/") || !is_shared(process->pid, "ns/mnt"))
		snprintf(process->root, sizeof process->root, "/proc/%" PRIu32 "/root",
			 process->pid);
}

static unsigned take_frames(struct generated_names *names, uint32_t origin,
			    struct text_frame frames[SL_MAX_FRAMES])
{
	const struct reader_ledger *ledger = names->ledger;
	const struct reader_backtrace *backtrace = reader_backtrace(ledger, origin);
	unsigned n = backtrace ? backtrace->n_frames : 0;
	for (unsigned i = 0; i < n; i++) {
		frames[i] = reader_frame(ledger, backtrace->frames[i]);
		generated_names_give(names, &frames[i]);
	}
	text_fold(frames, n);
	return n;
}

/* One frame is shown: the innermost of the first that is the program's own. */
static struct text_frame find_origin(struct symbols *symbols, struct list_process *of,
				     uint32_t origin, enum sl_kind kind,
				     char id[TEXT_ID_BYTES])
{
	struct text_frame frames[SL_MAX_FRAMES];
	of->names.ledger = &of->ledger;
	unsigned n = take_frames(&of->names, origin, frames);
	text_place_id(id, kind, frames, n);
	const struct text_frame *first = frames_first_of_user(frames, n);
	if (!first || !(first->module || first->function))
		return (struct text_frame){0};
	return frames_name_innermost(symbols, of->root, first);
}

static void name_origins(struct listing *listing, struct list_process *process)
{
	for (size_t i = 0; i < process->n_sockets; i++) {
		struct list_socket *socket = &process->sockets[i];
		struct list_process *opener = &listing->list.processes[socket->opener];
		struct list_process *user = &listing->list.processes[socket->user];
		char no_id[TEXT_ID_BYTES];
		socket->test = reader_name(&opener->ledger, socket->opening.name);
		socket->origin =
			find_origin(listing->symbols, opener, socket->opening.origin,
				    socket->judged.kind, socket->id);
		socket->use = find_origin(listing->symbols, user, socket->used.use_origin,
					  socket->judged.kind, no_id);
	}
}

static void add_process(void *of, uint32_t pid, struct reader_ledger *ledger)
{
	struct listing *listing = of;
	struct list *list = &listing->list;
	list->processes =
		say_one_more(list->processes, list->n_processes, sizeof *list->processes);
	struct list_process *process = &list->processes[list->n_processes++];
	*process = (struct list_process){.pid = pid, .ledger = *ledger};
	process->sockets = say_calloc(ledger->n_rows + 1, sizeof *process->sockets);
	struct process_facts judged = process_facts(ledger->head);
	find_root(process);
	/* The process has the ledger mapped, so it runs, whatever else is known of its
	 * pid. */
	if (ledger->head->ended == SL_RUNNING)
		judged.ended = FINDINGS_RUNNING;
	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct reader_row *row = &ledger->rows[i];
		if (!row->row.held)
			continue;
		struct list_socket *socket = &process->sockets[process->n_sockets++];
		socket->row = row;
		socket->judged = judge_row(&judged, &row->row, row->fd);
		list_add_holder(socket, pid, row->fd);
	}
	process->n_held = process->n_sockets;
	list_ask_kernel(&listing->elsewhere, process);
	list_add_elsewhere(&listing->elsewhere, process);
}

/* Once for all: the kernel is asked for the whole system. */
static void look_at_peers(struct list *list)
{
	struct peers *peers = NULL;
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		for (size_t j = 0; j < process->n_sockets; j++) {
			struct list_socket *socket = &process->sockets[j];
			const struct sl_descriptor *row = &socket->row->row;
			if (row->kind == SL_KIND_NONE)
				continue;
			if (row->flags & SL_ROW_FORGOTTEN_PEER)
				socket->peer = TEXT_PEER_FORGOTTEN;
			else if (peers || (peers = peers_look()))
				socket->peer = peers_state_by_cookie(peers, row->cookie,
								     row->local_port);
		}
	}
	peers_free(peers);
}

static int add_one(struct listing *listing, const char *argument)
{
	struct reader_ledger ledger;
	char *end;
	errno = 0;
	unsigned long pid = strtoul(argument, &end, 10);
	if (!isdigit((unsigned char)argument[0]) || *end || errno || pid > INT32_MAX)
		say_usage("list", "'%s' is no process id", argument);
	int found = running_ledger((uint32_t)pid, &ledger);
	if (found == 1)
		add_process(listing, (uint32_t)pid, &ledger);
	else if (found == 0)
		say_warn("process %lu keeps no ledger", pid);
	else if (found == -1) {
		errno = errno == ENOENT ? ESRCH : errno;
		say_warn("cannot look at process %lu:", pid);
	}
	return found == 1 ? 0 : -1;
}

static int by_pid(const void *a, const void *b)
{
	const struct list_process *x = a, *y = b;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

static void free_list(struct listing *listing)
{
	const struct list *list = &listing->list;
	if (listing->elsewhere)
		held_elsewhere_free(listing->elsewhere);
	free(listing->elsewhere);
	for (size_t i = 0; i < list->n_processes; i++) {
		for (size_t j = 0; j < list->processes[i].n_sockets; j++)
			list_free_socket(&list->processes[i].sockets[j]);
		generated_names_free(&list->processes[i].names);
		reader_free(&list->processes[i].ledger);
		free(list->processes[i].sockets);
	}
	free(list->processes);
	symbols_close(listing->symbols);
}

/* --- the command --- */

static const char usage[] =
	"Usage: sockleak list [OPTION]... [PID]...\n"
	"List the sockets of running processes that keep a ledger (sockleak run, or\n"
	"SOCKLEAK_OPTIONS=ledger=DIRECTORY): how many by listener or peer, state, and\n"
	"where they were opened, by the first frame that is in no system library.\n";

static const char usage_end[] =
	"Exit status: 0, or N of --error-exitcode; 2 on wrong usage, or where a process\n"
	"or its ledger cannot be read.\n"
	"\n"
	"Examples:\n"
	"  sockleak list\n"
	"  sockleak list --json 4711 | jq '.processes[].sockets[].state'\n";

static void take_options(struct view *view, int argc, char **argv)
{
	const struct options options = {
		.subcommand = "list",
		.usage = usage,
		.usage_end = usage_end,
		.tables = {{view_rows, view}},
		.takes = options_is_number,
	};

	options_take(&options, argc, argv);
	view_check(view, "list");
}

static void print_metrics(const void *of, FILE *file)
{
	list_prometheus(of, file);
}

/* -1 after one line on standard error. */
static int write_list(struct view *view, const struct list *list)
{
	FILE *file = view_begin(view);
	if (file)
		list_print(list, view->verbose, file);
	int result = view_end(view, file);
	if (view->json.given && list_write_json(list, view->json.path) != 0)
		result = -1;
	if (view_write_metrics(view, print_metrics, list) != 0)
		result = -1;
	return result;
}

int command_list(int argc, char **argv)
{
	struct view view = {0};
	take_options(&view, argc, argv);
	struct listing listing = {.symbols = symbols_open()};
	struct list *list = &listing.list;
	int status = 0;
	if (optind == argc) {
		struct running_unread unread = running_each(add_process, &listing);
		list->n_unseen = unread.n_unseen;
		status = unread.has_refused ? SAY_USAGE : 0;
	}
	for (int i = optind; i < argc; i++) {
		if (add_one(&listing, argv[i]) != 0)
			status = SAY_USAGE;
	}
	if (list->n_processes)
		qsort(list->processes, list->n_processes, sizeof *list->processes,
		      by_pid);
	list_join(list);
	for (size_t i = 0; i < list->n_processes; i++)
		name_origins(&listing, &list->processes[i]);
	look_at_peers(list);
	list->now_ns = clock_now_ns();
	if (write_list(&view, list) != 0)
		status = SAY_USAGE;
	if (status == 0 && list_n_leaks(list))
		status = view.error_exitcode;
	free_list(&listing);
	return status;
}
