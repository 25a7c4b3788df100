/* Running processes and their sockets, as text and as JSON. */
#include "formats/list.h"

#include "formats/formats.h"
#include "formats/groups.h"
#include "formats/values.h"

#include <netinet/tcp.h>
#include <string.h>

#define LINE_BYTES 4096

size_t list_n_leaks(const struct list *list)
{
	size_t n = 0;
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		for (size_t j = 0; j < process->n_sockets; j++)
			n += process->sockets[j].judged.verdict >= SL_LEAK_GRACE;
	}
	return n;
}

/* 0 for 0 */
static uint64_t ms_since(const struct list *list, uint64_t then_ns)
{
	return then_ns && then_ns < list->now_ns ? (list->now_ns - then_ns) / 1000000 : 0;
}

static void put_process(struct text *text, const struct list *list,
			const struct list_process *process)
{
	const struct sl_header *head = process->ledger.head;
	text_escaped(text, head->exe);
	text_string(text, " (pid ");
	format_put_count(text, process->pid, "): ");
	format_put_count(text, head->opened, " opened, ");
	format_put_count(text, head->closed, " closed, ");
	format_put_count(text, process->n_held,
			 process->n_held == 1 ? " descriptor held" : " descriptors held");
	if (process->n_joined) {
		text_string(text, " (");
		format_put_count(text, process->n_joined,
				 " listed with another process)");
	}
	if (head->missed || head->dropped) {
		text_string(text, "; ");
		format_put_count(text, head->missed, " missed, ");
		format_put_count(text, head->dropped, " dropped");
	}
	if (head->scanned_ns) {
		text_string(text, "; looked at ");
		text_duration(text, ms_since(list, head->scanned_ns));
		text_string(text, " ago");
	}
	text_string(text, process->n_sockets ? ":\n" : ".\n");
}

static bool knows_opening(const struct sl_descriptor *row)
{
	return row->opened_ns && sl_opening_was_seen(row->call, row->origin_kind);
}

static void put_verdict(struct text *text, const struct list *list,
			const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	bool is_leak = socket->judged.verdict >= SL_LEAK_GRACE;
	if (socket->judged.verdict != SL_NO_VERDICT) {
		text_string(text, is_leak ? ", leak for " : ", pending for ");
		text_duration(text, ms_since(list, row->peer_gone_since_ns));
		text_string(text, " (");
		text_whys(text, socket->judged.why);
		text_string(text, ")");
	} else if (row->flags & SL_ROW_EXPECTED) {
		text_string(text, ", expected");
	}
	if (socket->peer == TEXT_PEER_FORGOTTEN)
		text_string(text, ", forgotten by its peer");
	else if (socket->peer == TEXT_PEER_FIN_WAIT_2)
		text_string(text, ", its peer in FIN_WAIT_2");
	text_string(text, ", opened");
	if (!knows_opening(&socket->opening))
		return;
	text_string(text, " ");
	text_duration(text, ms_since(list, socket->opening.opened_ns));
	text_string(text, " ago");
}

/* The process that opened the socket, if another one than it is listed with; else 0. */
static uint32_t opener_pid(const struct list *list, const struct list_process *process,
			   const struct list_socket *socket)
{
	const struct list_process *opener = &list->processes[socket->opener];
	return opener == process ? 0 : opener->pid;
}

/* " in accept_client app.c:41", or where no line is known " (/srv/app+0x123)". */
static void put_frame(struct text *text, const struct text_frame *frame)
{
	if (frame->function) {
		text_string(text, " in ");
		text_escaped(text, frame->function);
	}
	if (frame->file) {
		text_string(text, " ");
		text_escaped(text, frame->file + frame->file_prefix_bytes);
		text_string(text, ":");
		text_unsigned(text, frame->line);
	} else if (frame->module) {
		text_string(text, " (");
		text_escaped(text, frame->module);
		text_string(text, "+0x");
		text_hex(text, frame->offset);
		text_string(text, ")");
	}
}

static void put_place(struct text *text, const struct list_socket *socket)
{
	const struct text_frame *origin = &socket->origin;
	const char *origin_kind = text_note_name(socket->opening.origin_kind);
	put_frame(text, origin);
	if (origin->file || origin->module) {
		return;
	} else if (socket->opening.origin == SL_ORIGIN_PENDING) {
		text_string(text, ", origin pending");
	} else if (origin_kind) {
		text_string(text, ", origin ");
		text_string(text, origin_kind);
	}
}

static void put_origin(struct text *text, const struct list *list,
		       const struct list_process *process,
		       const struct list_socket *socket)
{
	uint32_t opener = opener_pid(list, process, socket);
	const char *call = text_call_name(socket->opening.call);
	if (call) {
		text_string(text, " by ");
		text_string(text, call);
	}
	put_place(text, socket);
	if (opener) {
		text_string(text, ", in process ");
		text_unsigned(text, opener);
	}
}

static void put_use(struct text *text, const struct list *list,
		    const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->used;
	const struct text_use use = {
		.call = row->use_call,
		.is_sent = row->use_is_sent,
		.n_sockets = 1,
		.ms = ms_since(list, row->used_ns),
		.bytes = row->use_bytes,
		.thread = (pid_t)row->use_thread,
	};
	if (!row->used_ns)
		return;
	text_string(text, ", ");
	text_use(text, &use, 1);
	put_frame(text, &socket->use);
}

static void put_holder(struct text *text, const struct list_holder *holder)
{
	if (!holder->pid) {
		text_string(text, "a process that may not be looked at");
		return;
	}
	text_string(text, "process ");
	text_unsigned(text, holder->pid);
	text_string(text, " (");
	text_escaped(text, holder->program);
	text_string(text, ") as fd ");
	text_unsigned(text, holder->fd);
}

/* Its own descriptors; returns how many others there are, and one of them. */
static size_t put_own(struct text *text, const struct list_process *process,
		      const struct list_socket *socket, const struct list_holder **other)
{
	size_t n_others = 0;
	text_string(text, socket->is_elsewhere ? "    closed" : "    ");
	for (size_t i = 0, n = 0; i < socket->n_holders; i++) {
		const struct list_holder *holder = &socket->holders[i];
		if (holder->pid == process->pid) {
			text_string(text, n++ ? ", fd " : "fd ");
			text_unsigned(text, holder->fd);
		} else if (!n_others++) {
			*other = holder;
		}
	}
	return n_others;
}

/* "    fd 7 ", "    fd 7, fd 8, held too by process 4711 (worker) as fd 4 and 3 more: ",
 * or "    closed, held by process 4711 (sleep) as fd 4: " */
static void put_holders(struct text *text, const struct list_process *process,
			const struct list_socket *socket)
{
	const struct list_holder *other = NULL;
	size_t n_others = put_own(text, process, socket, &other);
	if (!n_others) {
		text_string(text, " ");
		return;
	}
	text_string(text, socket->is_elsewhere ? ", held by " : ", held too by ");
	put_holder(text, other);
	if (n_others > 1) {
		text_string(text, " and ");
		format_put_count(text, n_others - 1, " more");
	}
	text_string(text, ": ");
}

/* "    fd 7 CLOSE_WAIT 127.0.0.1:80 <- 127.0.0.1:40112, leak for 1m04s, opened ..." */
static void put_socket(struct text *text, const struct list *list,
		       const struct list_process *process,
		       const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	put_holders(text, process, socket);
	text_string(text, row->state ? text_state_name(row->state) : "not looked at yet");
	if (row->family) {
		text_string(text, " ");
		/* Asked for when the peer is gone, not before. */
		if (row->local_port)
			text_address(text, row->family, row->local, row->local_port);
		else
			text_string(text, "?");
		text_string(text, text_arrow(socket->opening.call));
		text_address(text, row->family, row->peer, row->peer_port);
	}
	put_verdict(text, list, socket);
	if (socket->test) {
		text_string(text, " in test ");
		text_escaped(text, socket->test);
	}
	put_origin(text, list, process, socket);
	put_use(text, list, socket);
	text_string(text, "\n");
}

static void put_summary(struct text *text, const struct list *list)
{
	size_t n_leaks = list_n_leaks(list);
	text_string(text, "sockleak: ");
	format_put_count(text, list->n_processes,
			 list->n_processes == 1 ? " process keeps a ledger, "
						: " processes keep a ledger, ");
	format_put_count(text, n_leaks, n_leaks == 1 ? " socket" : " sockets");
	text_string(text, " leaked");
	if (!list->n_processes && !list->n_unseen)
		text_string(text, " (`sockleak run` starts a program that keeps one)");
	if (list->n_unseen) {
		text_string(text, "; ");
		format_put_count(
			text, list->n_unseen,
			list->n_unseen == 1
				? " process may not be looked at by this user"
				: " processes may not be looked at by this user");
	}
	text_string(text, ".\n");
}

/* --- the table --- */

/* Where it was accepted or listens; else to whom it is connected. */
static void put_end(struct text *text, const struct sl_descriptor *row, enum sl_call call)
{
	bool is_accepted = sl_call_accepts(call);
	if (row->local_port && (is_accepted || row->state == TCP_LISTEN)) {
		text_string(text, "at ");
		text_address(text, row->family, row->local, row->local_port);
	} else if (is_accepted) {
		text_string(text, "accepted");
	} else if (row->peer_port) {
		text_string(text, text_arrow(call)[1] == '-' ? "to " : "with ");
		text_address(text, row->family, row->peer, row->peer_port);
	} else {
		text_string(text, "-");
	}
}

static void add_to_table(struct groups *groups, struct text *cells,
			 const struct list *list, const struct list_process *process,
			 const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	uint64_t since_ns = row->peer_gone_since_ns;
	put_end(cells, row, socket->opening.call);
	text_string(cells, "\t");
	text_string(cells, row->state ? text_state_name(row->state) : "not known yet");
	text_string(cells, socket->is_elsewhere ? ", closed here\t" : "\t");
	put_origin(cells, list, process, socket);
	if (!since_ns && knows_opening(&socket->opening))
		since_ns = socket->opening.opened_ns;
	groups_add(groups, cells, socket->judged.verdict >= SL_LEAK_GRACE, since_ns,
		   ms_since(list, since_ns));
}

static void print_table(const struct list *list, const struct list_process *process,
			FILE *file)
{
	static const struct groups_columns columns = {
		{"LISTENER OR PEER", "STATE", "OPENED"}, 2};
	char bytes[LINE_BYTES];
	struct text cells = {.at = bytes, .size = sizeof bytes};
	struct groups groups = {0};
	for (size_t i = 0; i < process->n_sockets; i++)
		add_to_table(&groups, &cells, list, process, &process->sockets[i]);
	groups_merge(&groups);
	groups_print(&groups, &columns, NULL, 4, file);
	groups_free(&groups);
}

void list_print(const struct list *list, bool verbose, FILE *file)
{
	char line[LINE_BYTES];
	struct text text = {.at = line, .size = sizeof line};
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		put_process(&text, list, process);
		format_flush(&text, file);
		if (!verbose)
			print_table(list, process, file);
		for (size_t j = 0; verbose && j < process->n_sockets; j++) {
			put_socket(&text, list, process, &process->sockets[j]);
			format_flush(&text, file);
		}
	}
	put_summary(&text, list);
	format_flush(&text, file);
}

/* --- JSON --- */

static json_t *json_holders(const struct list_socket *socket)
{
	json_t *array = json_array();
	for (size_t i = 0; i < socket->n_holders; i++) {
		const struct list_holder *holder = &socket->holders[i];
		json_t *object = json_object();
		values_set(object, "pid", values_known(holder->pid));
		values_set(object, "fd",
			   holder->pid ? values_number(holder->fd) : json_null());
		values_set(object, "program",
			   values_string(holder->pid ? holder->program : NULL));
		values_append(array, object);
	}
	return array;
}

/* null where it is not known. */
static json_t *json_ms_since(const struct list *list, uint64_t then_ns)
{
	return then_ns ? values_number(ms_since(list, then_ns)) : json_null();
}

/* What is said of the end of a connection; all of it is null before. */
static void set_end(json_t *object, const struct list *list,
		    const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	bool is_gone = socket->judged.kind != SL_KIND_NONE;
	bool was_seen = row->kind != SL_KIND_NONE; /* by the kernel's word */
	values_set(object, "age_ms", json_ms_since(list, row->peer_gone_since_ns));
	values_set(object, "verdict", values_verdict(socket->judged.verdict));
	values_set(object, "kind",
		   values_string(is_gone ? text_kind_name(socket->judged.kind) : NULL));
	values_set(object, "why",
		   is_gone ? values_whys(socket->judged.why) : json_null());
	values_set(object, "id", values_string(is_gone ? socket->id : NULL));
	values_set(object, "peer_state",
		   values_string(was_seen ? text_peer_name(socket->peer) : NULL));
	values_set(object, "unread_bytes",
		   was_seen ? values_unread(text_add_unread(0, row->unread_bytes))
			    : json_null());
}

static json_t *json_frame(const struct text_frame *frame)
{
	return frame->module || frame->language ? values_frame(frame) : json_null();
}

static json_t *json_use(const struct list *list, const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->used;
	if (!row->used_ns)
		return json_null();
	json_t *object = json_object();
	values_set(object, "call", values_string(text_call_name(row->use_call)));
	values_set(object, "direction",
		   json_string(row->use_is_sent ? "sent" : "received"));
	values_set(object, "ms", values_number(ms_since(list, row->used_ns)));
	values_set(object, "bytes", values_number(row->use_bytes));
	values_set(object, "thread", values_known(row->use_thread));
	values_set(object, "frame", json_frame(&socket->use));
	return object;
}

static json_t *json_socket(const struct list *list, const struct list_process *process,
			   const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row, *opening = &socket->opening;
	json_t *object = json_object();
	values_set(object, "fd",
		   socket->is_elsewhere ? json_null() : values_number(socket->row->fd));
	values_set(object, "holders", json_holders(socket));
	values_set(object, "cookie", values_cookie(row->cookie));
	values_set(object, "inode", values_known(row->inode));
	values_set(object, "state",
		   values_string(row->state ? text_state_name(row->state) : NULL));
	values_set(object, "local",
		   values_address(row->local_port ? row->family : 0, row->local,
				  row->local_port));
	values_set(object, "peer",
		   values_address(row->family, row->peer, row->peer_port));
	values_set(object, "call", values_string(text_call_name(opening->call)));
	values_set(object, "origin", json_frame(&socket->origin));
	values_set(object, "origin_note",
		   values_string(text_note_name(opening->origin_kind)));
	values_set(object, "opener_pid", values_known(opener_pid(list, process, socket)));
	values_set(object, "opened_ms",
		   json_ms_since(list, knows_opening(opening) ? opening->opened_ns : 0));
	set_end(object, list, socket);
	values_set(object, "last_use", json_use(list, socket));
	values_set(object, "test", values_string(socket->test));
	return object;
}

static json_t *json_process(const struct list *list, const struct list_process *process)
{
	const struct sl_header *head = process->ledger.head;
	json_t *object = json_object(), *array = json_array();
	for (size_t i = 0; i < process->n_sockets; i++)
		values_append(array, json_socket(list, process, &process->sockets[i]));
	values_set(object, "pid", values_number(process->pid));
	values_set(object, "exe", values_name(head->exe));
	values_set(object, "opened", values_number(head->opened));
	values_set(object, "closed", values_number(head->closed));
	values_set(object, "missed", values_number(head->missed));
	values_set(object, "dropped", values_number(head->dropped));
	values_set(object, "looked_ms", json_ms_since(list, head->scanned_ns));
	values_set(object, "sockets", array);
	return object;
}

int list_write_json(const struct list *list, const char *path)
{
	json_t *object = values_document(), *array = json_array();
	for (size_t i = 0; i < list->n_processes; i++)
		values_append(array, json_process(list, &list->processes[i]));
	values_set(object, "leaked", values_number(list_n_leaks(list)));
	values_set(object, "processes", array);
	values_set(object, "unseen_processes", values_number(list->n_unseen));
	return values_write(object, path);
}
