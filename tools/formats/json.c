/* The JSON report, by jansson: one object, written piece by piece so that a report of a
 * hundred thousand sockets needs the memory of one. */
#include "formats/formats.h"

#include "formats/values.h"
#include "support/say.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* -- parts ------------------------------------------------------------------------ */

static json_t *frames(const struct text_frame *from, unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		values_append(array, values_frame(&from[i]));
	return array;
}

static json_t *holders(const struct findings_socket *socket)
{
	json_t *array = json_array();

	for (uint32_t i = 0; i < socket->n_holders; i++) {
		const struct findings_holder *holder = &socket->holders[i];
		json_t *object = json_object();

		values_set(object, "pid",
			   holder->pid ? json_integer(holder->pid) : json_null());
		values_set(object, "fd",
			   holder->pid ? json_integer(holder->fd) : json_null());
		values_set(object, "program", values_name(holder->program));
		values_append(array, object);
	}
	return array;
}

static json_t *use_object(enum sl_call call, bool is_sent, uint64_t ms, uint64_t bytes,
			  uint32_t thread)
{
	json_t *object = json_object();

	values_set(object, "call", values_string(text_call_name(call)));
	values_set(object, "direction", json_string(is_sent ? "sent" : "received"));
	values_set(object, "ms", values_number(ms));
	values_set(object, "bytes", values_number(bytes));
	values_set(object, "thread", values_known(thread));
	return object;
}

/* `index` = which of the uses of the place it is, from 0. */
static json_t *last_use(const struct findings_place *place,
			const struct findings_socket *socket)
{
	const struct text_use *use = socket->use ? &place->uses[socket->use - 1] : NULL;

	if (!use)
		return json_null();
	json_t *object = use_object(use->call, use->is_sent, socket->used_ms,
				    socket->use_bytes, socket->use_thread);
	values_set(object, "index", values_number(socket->use - 1));
	return object;
}

static json_t *last_uses(const struct findings_place *place)
{
	json_t *array = json_array();

	for (size_t i = 0; i < place->n_uses; i++) {
		const struct text_use *use = &place->uses[i];
		json_t *object = use_object(use->call, use->is_sent, use->ms, use->bytes,
					    (uint32_t)use->thread);

		values_set(object, "count", values_number(use->n_sockets));
		values_set(object, "frames", frames(use->frames, use->n_frames));
		values_append(array, object);
	}
	return array;
}

static json_t *socket_object(const struct findings_place *place,
			     const struct findings_socket *from)
{
	static const char *const closed[] = {NULL, "late", "end"};
	json_t *object = json_object();

	values_set(object, "holders", holders(from));
	values_set(object, "cookie", values_cookie(from->cookie));
	values_set(object, "inode", values_known(from->inode));
	values_set(object, "local",
		   values_address(from->local_port ? from->family : 0, from->local,
				  from->local_port));
	values_set(object, "peer",
		   values_address(from->peer_port ? from->family : 0, from->peer,
				  from->peer_port));
	values_set(object, "state", json_string_nocheck(text_state_name(from->state)));
	values_set(object, "verdict", values_verdict(from->verdict));
	values_set(object, "kind", json_string_nocheck(text_kind_name(from->kind)));
	values_set(object, "why", values_whys(from->why));
	values_set(object, "age_ms", values_number(from->age_ms));
	values_set(object, "opened_ms", values_ms(from->opened_ms));
	values_set(object, "unread_bytes",
		   values_unread(text_add_unread(0, from->unread_bytes)));
	values_set(object, "last_use", last_use(place, from));
	values_set(object, "test", values_string(from->test));
	values_set(object, "closed", values_string(closed[from->closed]));
	values_set(object, "peer_state",
		   json_string_nocheck(text_peer_name(from->peer_state)));
	return object;
}

/* All of a place but its sockets. */
static json_t *place_object(const struct findings_place *place)
{
	json_t *object = json_object();
	const char *origin_kind = text_note_name(place->origin_kind);

	values_set(object, "id", json_string(place->id));
	values_set(object, "kind", json_string(text_kind_name(place->kind)));
	values_set(object, "why", values_whys(place->why));
	values_set(object, "count", values_number(place->n_sockets));
	values_set(object, "call", values_string(text_call_name(place->call)));
	values_set(object, "origin", frames(place->origin, place->n_origin));
	values_set(object, "origin_note", values_string(origin_kind));
	values_set(object, "eof_call", values_string(text_call_name(place->eof_call)));
	values_set(object, "eof",
		   place->eof_call ? frames(place->eof, place->n_eof) : json_null());
	values_set(object, "last_uses", last_uses(place));
	values_set(object, "oldest_ms", values_number(place->oldest_ms));
	values_set(object, "newest_ms", values_number(place->newest_ms));
	values_set(object, "unread_bytes", values_unread(place->unread_bytes));
	values_set(object, "kernel_bytes", values_number(place->kernel_bytes));
	return object;
}

static json_t *process_object(const struct findings_process *process)
{
	json_t *object = json_object(), *late = json_object();

	values_set(late, "count", values_number(process->closed_late));
	values_set(late, "max_ms", values_number(process->closed_late_max_ms));
	values_set(object, "pid", json_integer(process->pid));
	values_set(object, "exe", values_name(process->exe));
	values_set(object, "host", values_name(process->host));
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

static json_t *unwatched_object(const struct unwatched *unwatched)
{
	json_t *object = json_object();

	values_set(object, "pid",
		   unwatched->pid ? json_integer(unwatched->pid) : json_null());
	values_set(object, "exe", values_name(unwatched->exe));
	values_set(object, "reason", json_string(unwatched_name(unwatched->reason)));
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
static void dump_place(const struct findings_place *place, FILE *file)
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
		dump(socket_object(place, &place->sockets[i]), file);
	}
	fputs("]}", file);
}

static void dump_places(const char *key, const struct findings_place *places, size_t n,
			FILE *file)
{
	fprintf(file, ",\n\"%s\":[", key);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ",\n " : "\n ", file);
		dump_place(&places[i], file);
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
	fputs(",\n\"unwatched\":[", file);
	for (size_t i = 0; i < findings->n_unwatched; i++) {
		fputs(i ? ",\n " : "\n ", file);
		dump(unwatched_object(&findings->unwatched[i]), file);
	}
	fputs("]", file);
	dump_places("leaks", findings->leaks, findings->n_leaks, file);
	dump_places("pending", findings->pending, findings->n_pending, file);
	dump_places("closed_late", findings->late, findings->n_late, file);
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
