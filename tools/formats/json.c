/* The JSON report, by jansson: one object, written piece by piece so that a report of a
 * hundred thousand sockets needs the memory of one. */
#include "formats.h"

#include "say.h"
#include "values.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* -- parts ------------------------------------------------------------------------ */

static json_t *whys(unsigned why)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & (1U << i))
			values_append(array, json_string(text_why_name(1U << i)));
	return array;
}

static json_t *frame(const struct text_frame *from)
{
	json_t *object = json_object();
	char offset[24];

	snprintf(offset, sizeof(offset), "0x%llx", (unsigned long long)from->offset);
	values_set(object, "function", values_string(from->function));
	values_set(object, "file", values_string(from->file));
	values_set(object, "line", from->line ? json_integer(from->line) : json_null());
	values_set(object, "module", values_string(from->module ? from->module : ""));
	values_set(object, "offset", json_string(offset));
	values_set(object, "build_id", values_hex(from->build_id, from->build_id_bytes));
	values_set(object, "inlined", json_boolean(from->inlined));
	return object;
}

static json_t *frames(const struct text_frame *from, unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		values_append(array, frame(&from[i]));
	return array;
}

/* "-" = not known */
static json_t *address(uint16_t family, const uint8_t bytes[16], uint16_t port)
{
	char buffer[64];
	struct text text = {.at = buffer, .size = sizeof(buffer) - 1};

	text_address(&text, port ? family : 0, bytes, port);
	buffer[text.used] = 0;
	return json_string_nocheck(buffer);
}

static json_t *verdict(unsigned from)
{
	return from == SL_LEAK_GRACE  ? json_string("grace")
	       : from == SL_LEAK_EXIT ? json_string("exit")
				      : json_null();
}

static json_t *holders(const struct findings *findings,
		       const struct findings_socket *socket)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < socket->n_holders; i++) {
		const struct findings_holder *holder = &socket->holders[i];
		json_t *object = json_object();

		values_set(object, "pid",
			   json_integer(findings->processes[holder->process].pid));
		values_set(object, "fd", json_integer(holder->fd));
		values_append(array, object);
	}
	return array;
}

static json_t *socket_object(const struct findings *findings,
			     const struct findings_socket *from)
{
	json_t *object = json_object();

	values_set(object, "holders", holders(findings, from));
	values_set(object, "cookie", values_cookie(from->cookie));
	values_set(object, "inode", values_number(from->inode));
	values_set(object, "local", address(from->family, from->local, from->local_port));
	values_set(object, "peer",
		   from->family && from->peer_port
			   ? address(from->family, from->peer, from->peer_port)
			   : json_null());
	values_set(object, "state", json_string_nocheck(text_state_name(from->state)));
	values_set(object, "verdict", verdict(from->verdict));
	values_set(object, "kind", json_string_nocheck(text_kind_name(from->kind)));
	values_set(object, "why", whys(from->why));
	values_set(object, "age_ms", values_number(from->age_ms));
	values_set(object, "opened_ms", values_number(from->opened_ms));
	values_set(object, "unread_bytes", json_integer(from->unread_bytes));
	values_set(object, "test", values_string(from->test));
	values_set(object, "peer_state",
		   json_string_nocheck(text_peer_name(from->peer_state)));
	return object;
}

/* All of a place but its sockets. */
static json_t *place_object(const struct findings_place *place)
{
	json_t *object = json_object();
	const char *note = text_note_name(place->note);

	values_set(object, "id", json_string(place->id));
	values_set(object, "kind", json_string(text_kind_name(place->kind)));
	values_set(object, "why", whys(place->why));
	values_set(object, "count", values_number(place->n_sockets));
	values_set(object, "call", values_string(text_call_name(place->call)));
	values_set(object, "origin", frames(place->origin, place->n_origin));
	values_set(object, "origin_note", values_string(note));
	values_set(object, "eof_call", values_string(text_call_name(place->eof_call)));
	values_set(object, "eof",
		   place->eof_call ? frames(place->eof, place->n_eof) : json_null());
	values_set(object, "oldest_ms", values_number(place->oldest_ms));
	values_set(object, "newest_ms", values_number(place->newest_ms));
	values_set(object, "unread_bytes", values_number(place->unread_bytes));
	values_set(object, "kernel_bytes", values_number(place->kernel_bytes));
	return object;
}

static json_t *process_object(const struct findings_process *process)
{
	json_t *object = json_object(), *late = json_object();

	values_set(late, "count", values_number(process->closed_late));
	values_set(late, "max_ms", values_number(process->closed_late_max_ms));
	values_set(object, "pid", json_integer(process->pid));
	values_set(object, "exe", values_string(process->exe));
	values_set(object, "host", values_string(process->host));
	values_set(object, "ended", json_string(findings_ended_name(process->ended)));
	values_set(object, "opened", values_number(process->opened));
	values_set(object, "closed", values_number(process->closed));
	values_set(object, "open", values_number(process->open));
	values_set(object, "leaked", values_number(process->leaked));
	values_set(object, "pending", values_number(process->pending));
	values_set(object, "closed_late", late);
	values_set(object, "missed", values_number(process->missed));
	values_set(object, "dropped", values_number(process->dropped));
	return object;
}

/* -- the whole -------------------------------------------------------------------- */

static void dump(json_t *value, FILE *file)
{
	if (!value || json_dumpf(value, file, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		/* an error of the file is found by ferror(), anything else is ours */
		if (!ferror(file))
			say_die(say_memory_status, "out of memory");
	json_decref(value);
}

/* The place's object, reopened at its end for the sockets, which may be many. */
static void dump_place(const struct findings *findings,
		       const struct findings_place *place, FILE *file)
{
	json_t *object = place_object(place);
	char *text = json_dumps(object, JSON_COMPACT);

	if (!text)
		say_die(say_memory_status, "out of memory");
	json_decref(object);
	fwrite(text, 1, strlen(text) - 1, file);
	free(text);
	fputs(",\"sockets\":[", file);
	for (size_t i = 0; i < place->n_sockets; i++) {
		fputs(i ? ",\n  " : "\n  ", file);
		dump(socket_object(findings, &place->sockets[i]), file);
	}
	fputs("]}", file);
}

static void dump_places(const struct findings *findings, const char *key,
			const struct findings_place *places, size_t n, FILE *file)
{
	fprintf(file, ",\n\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",\n " : "\n ", file);
		dump_place(findings, &places[i], file);
	}
	fputs("]", file);
}

void format_json(const struct findings *findings, FILE *file)
{
	fprintf(file, "{\"tool\":\"sockleak\",\"version\":\"%s\",\n\"processes\":[",
		SL_VERSION);
	for (size_t i = 0; i < findings->n_processes; i++) {
		fputs(i ? ",\n " : "\n ", file);
		dump(process_object(&findings->processes[i]), file);
	}
	fputs("]", file);
	dump_places(findings, "leaks", findings->leaks, findings->n_leaks, file);
	dump_places(findings, "pending", findings->pending, findings->n_pending, file);
	fputs(",\n\"suppressed\":[", file);
	for (size_t i = 0; i < findings->n_suppressed; i++) {
		json_t *object = json_object();

		values_set(object, "rule", values_string(findings->suppressed[i].rule));
		values_set(object, "count", values_number(findings->suppressed[i].count));
		fputs(i ? "," : "", file);
		dump(object, file);
	}
	fputs("]}\n", file);
}
