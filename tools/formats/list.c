/* Running processes and their sockets, as text and as JSON. */
#include "list.h"

#include "values.h"

#include <string.h>
#include <unistd.h>

#define LINE_BYTES 4096

static void flush(struct text *text, FILE *file)
{
	fwrite(text->at, 1, text->used, file);
	text->used = 0;
}

static void put_count(struct text *text, uint64_t n, const char *word)
{
	text_unsigned(text, n);
	text_string(text, word);
}

static void put_process(struct text *text, const struct list *list,
			const struct list_process *process)
{
	const struct sl_header *head = process->ledger.head;
	text_escaped(text, head->exe);
	text_string(text, " (pid ");
	put_count(text, process->pid, "): ");
	put_count(text, head->opened, " opened, ");
	put_count(text, head->closed, " closed, ");
	put_count(text, process->n_sockets,
		  process->n_sockets == 1 ? " descriptor held" : " descriptors held");
	if (head->missed || head->dropped) {
		text_string(text, "; ");
		put_count(text, head->missed, " missed, ");
		put_count(text, head->dropped, " dropped");
	}
	if (head->looked_ns) {
		text_string(text, "; looked at ");
		text_duration(text, list_ms_since(list, head->looked_ns));
		text_string(text, " ago");
	}
	text_string(text, process->n_sockets ? ":\n" : ".\n");
}

static void put_verdict(struct text *text, const struct list *list,
			const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	bool is_leak = socket->judged.verdict >= SL_LEAK_GRACE;
	if (socket->judged.verdict != SL_NO_VERDICT) {
		text_string(text, is_leak ? ", leak for " : ", pending for ");
		text_duration(text, list_ms_since(list, row->gone_ns));
	} else if (row->flags & SL_ROW_EXPECTED) {
		text_string(text, ", expected");
	}
	if (socket->peer == TEXT_PEER_FORGOTTEN)
		text_string(text, ", forgotten by its peer");
	else if (socket->peer == TEXT_PEER_FIN_WAIT_2)
		text_string(text, ", its peer in FIN_WAIT_2");
	text_string(text, ", opened ");
	text_duration(text, list_ms_since(list, row->opened_ns));
	text_string(text, " ago");
}

static void put_origin(struct text *text, const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	const struct text_frame *origin = &socket->origin;
	const char *call = text_call_name(row->call), *note = text_note_name(row->note);
	if (call) {
		text_string(text, " by ");
		text_string(text, call);
	}
	if (origin->function) {
		text_string(text, " in ");
		text_escaped(text, origin->function);
	}
	if (origin->file) {
		text_string(text, " ");
		text_escaped(text, origin->file);
		text_string(text, ":");
		text_unsigned(text, origin->line);
	} else if (origin->module) {
		text_string(text, " (");
		text_escaped(text, origin->module);
		text_string(text, "+0x");
		text_hex(text, origin->offset);
		text_string(text, ")");
	} else if (row->origin == SL_ORIGIN_PENDING) {
		text_string(text, ", origin pending");
	} else if (note) {
		text_string(text, ", origin ");
		text_string(text, note);
	}
	text_string(text, "\n");
}

/* "    fd 7 CLOSE_WAIT 127.0.0.1:80 <- 127.0.0.1:40112, leak for 1m04s, opened ..." */
static void put_socket(struct text *text, const struct list *list,
		       const struct list_process *process,
		       const struct list_socket *socket)
{
	const struct sl_descriptor *row = &socket->row->row;
	const char *test = reader_name(&process->ledger, row->name);
	text_string(text, "    fd ");
	put_count(text, socket->row->fd, " ");
	text_string(text, row->state ? text_state_name(row->state) : "not looked at yet");
	if (row->family) {
		text_string(text, " ");
		/* Asked for when the peer is gone, not before. */
		if (row->local_port)
			text_address(text, row->family, row->local, row->local_port);
		else
			text_string(text, "?");
		text_string(text, text_arrow(row->call));
		text_address(text, row->family, row->peer, row->peer_port);
	}
	put_verdict(text, list, socket);
	if (test) {
		text_string(text, " in test ");
		text_escaped(text, test);
	}
	put_origin(text, socket);
}

void list_print(const struct list *list, FILE *file)
{
	char line[LINE_BYTES];
	struct text text = {.at = line, .size = sizeof line};
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		put_process(&text, list, process);
		flush(&text, file);
		for (size_t j = 0; j < process->n_sockets; j++) {
			put_socket(&text, list, process, &process->sockets[j]);
			flush(&text, file);
		}
	}
	text_string(&text, "sockleak: ");
	put_count(&text, list->n_processes,
		  list->n_processes == 1 ? " process keeps a ledger, "
					 : " processes keep a ledger, ");
	put_count(&text, list_n_leaks(list), " of their descriptors leaked");
	if (list->n_unseen) {
		text_string(&text, "; ");
		put_count(&text, list->n_unseen,
			  list->n_unseen == 1
				  ? " process of another user could not be looked at"
				  : " processes of other users could not be looked at");
	}
	text_string(&text, ".\n");
	flush(&text, file);
}

/* --- JSON --- */

static json_t *json_frame(const struct text_frame *frame)
{
	char offset[24];
	struct text text = {.at = offset, .size = sizeof offset - 1};
	if (!frame->module)
		return json_null();
	json_t *object = json_object();
	text_string(&text, "0x");
	text_hex(&text, frame->offset);
	offset[text.used] = 0;
	values_set(object, "function", values_string(frame->function));
	values_set(object, "file", values_string(frame->file));
	values_set(object, "line", frame->line ? json_integer(frame->line) : json_null());
	values_set(object, "module", values_string(frame->module));
	values_set(object, "offset", json_string(offset));
	values_set(object, "build_id",
		   values_hex(frame->build_id, frame->build_id_bytes));
	values_set(object, "inlined", json_boolean(frame->inlined));
	return object;
}

static json_t *json_socket(const struct list *list, const struct list_process *process,
			   const struct list_socket *socket)
{
	static const char *const verdicts[] = {NULL, "pending", "grace", "exit"};
	const struct sl_descriptor *row = &socket->row->row;
	json_t *object = json_object();
	values_set(object, "fd", values_number(socket->row->fd));
	values_set(object, "cookie", values_cookie(row->cookie));
	values_set(object, "inode", values_number(row->inode));
	values_set(object, "state",
		   row->state ? json_string(text_state_name(row->state)) : json_null());
	values_set(object, "local",
		   values_address(row->local_port ? row->family : 0, row->local,
				  row->local_port));
	values_set(object, "peer",
		   values_address(row->family, row->peer, row->peer_port));
	values_set(object, "call", values_string(text_call_name(row->call)));
	values_set(object, "origin", json_frame(&socket->origin));
	values_set(object, "origin_note", values_string(text_note_name(row->note)));
	values_set(object, "opened_ms",
		   values_number(list_ms_since(list, row->opened_ns)));
	values_set(object, "age_ms",
		   row->gone_ns ? values_number(list_ms_since(list, row->gone_ns))
				: json_null());
	values_set(object, "verdict", values_string(verdicts[socket->judged.verdict]));
	values_set(object, "peer_state",
		   row->kind == SL_KIND_NONE ? json_null()
					     : json_string(text_peer_name(socket->peer)));
	values_set(object, "unread_bytes", values_number(row->unread_bytes));
	values_set(object, "test",
		   values_string(reader_name(&process->ledger, row->name)));
	return object;
}

static json_t *json_process(const struct list *list, const struct list_process *process)
{
	const struct sl_header *head = process->ledger.head;
	json_t *object = json_object(), *array = json_array();
	for (size_t i = 0; i < process->n_sockets; i++)
		values_append(array, json_socket(list, process, &process->sockets[i]));
	values_set(object, "pid", values_number(process->pid));
	values_set(object, "exe", values_string(head->exe));
	values_set(object, "opened", values_number(head->opened));
	values_set(object, "closed", values_number(head->closed));
	values_set(object, "missed", values_number(head->missed));
	values_set(object, "dropped", values_number(head->dropped));
	values_set(object, "looked_ms",
		   head->looked_ns ? values_number(list_ms_since(list, head->looked_ns))
				   : json_null());
	values_set(object, "sockets", array);
	return object;
}

int list_write_json(const struct list *list, const char *path)
{
	char host[256] = "";
	json_t *object = json_object(), *array = json_array();
	gethostname(host, sizeof host - 1);
	for (size_t i = 0; i < list->n_processes; i++)
		values_append(array, json_process(list, &list->processes[i]));
	values_set(object, "tool", json_string("sockleak"));
	values_set(object, "version", json_string(SL_VERSION));
	values_set(object, "host", values_string(host));
	values_set(object, "leaked", values_number(list_n_leaks(list)));
	values_set(object, "processes", array);
	values_set(object, "unseen_processes", values_number(list->n_unseen));
	return values_write(object, path);
}
