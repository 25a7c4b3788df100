/* The JSON report, by jansson: one object, written piece by piece so that a report of a
 * hundred thousand sockets needs the memory of one. */
#include "formats.h"

#include "say.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* Names come from ledgers and ELF files.  What is not UTF-8 is taken as Latin-1: JSON has
 * no other way to say it. */
static json_t *string(const char *text)
{
	json_t *value = text ? json_string(text) : json_null();

	if (value)
		return value;
	unsigned char *latin = say_calloc(2 * strlen(text) + 1, 1), *to = latin;
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at < 0x80) {
			*to++ = *at;
			continue;
		}
		*to++ = (unsigned char)(0xc0 | *at >> 6);
		*to++ = (unsigned char)(0x80 | (*at & 0x3f));
	}
	value = json_string((char *)latin);
	free(latin);
	return value;
}

static json_t *number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

/* Takes the value over. */
static void set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		say_die(say_memory_status, "out of memory");
}

static void append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		say_die(say_memory_status, "out of memory");
}

/* -- parts ------------------------------------------------------------------------ */

static json_t *whys(unsigned why)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & (1U << i))
			append(array, json_string(text_why_name(1U << i)));
	return array;
}

static json_t *build_id(const struct text_frame *frame)
{
	char hex[2 * 32 + 1];

	if (!frame->build_id_bytes)
		return json_null();
	for (unsigned i = 0; i < frame->build_id_bytes && i < 32; i++)
		snprintf(hex + 2 * i, 3, "%02x", frame->build_id[i]);
	return json_string(hex);
}

static json_t *frame(const struct text_frame *from)
{
	json_t *object = json_object();
	char offset[24];

	snprintf(offset, sizeof(offset), "0x%llx", (unsigned long long)from->offset);
	set(object, "function", string(from->function));
	set(object, "file", string(from->file));
	set(object, "line", from->line ? json_integer(from->line) : json_null());
	set(object, "module", string(from->module ? from->module : ""));
	set(object, "offset", json_string(offset));
	set(object, "build_id", build_id(from));
	set(object, "inlined", json_boolean(from->inlined));
	return object;
}

static json_t *frames(const struct text_frame *from, unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		append(array, frame(&from[i]));
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

		set(object, "pid",
		    json_integer(findings->processes[holder->process].pid));
		set(object, "fd", json_integer(holder->fd));
		append(array, object);
	}
	return array;
}

static json_t *socket_object(const struct findings *findings,
			     const struct findings_socket *from)
{
	json_t *object = json_object();
	char cookie[24];

	snprintf(cookie, sizeof(cookie), "%llu", (unsigned long long)from->cookie);
	set(object, "holders", holders(findings, from));
	set(object, "cookie", json_string_nocheck(cookie));
	set(object, "inode", number(from->inode));
	set(object, "local", address(from->family, from->local, from->local_port));
	set(object, "peer",
	    from->family && from->peer_port
		    ? address(from->family, from->peer, from->peer_port)
		    : json_null());
	set(object, "state", json_string_nocheck(text_state_name(from->state)));
	set(object, "verdict", verdict(from->verdict));
	set(object, "kind", json_string_nocheck(text_kind_name(from->kind)));
	set(object, "why", whys(from->why));
	set(object, "age_ms", number(from->age_ms));
	set(object, "opened_ms", number(from->opened_ms));
	set(object, "unread_bytes", json_integer(from->unread_bytes));
	set(object, "test", string(from->test));
	set(object, "peer_state",
	    json_string_nocheck(from->forgotten ? "forgotten" : "unknown"));
	return object;
}

/* All of a place but its sockets. */
static json_t *place_object(const struct findings_place *place)
{
	json_t *object = json_object();
	const char *note = text_note_name(place->note);

	set(object, "id", json_string(place->id));
	set(object, "kind", json_string(text_kind_name(place->kind)));
	set(object, "why", whys(place->why));
	set(object, "count", number(place->n_sockets));
	set(object, "call", string(text_call_name(place->call)));
	set(object, "origin", frames(place->origin, place->n_origin));
	set(object, "origin_note", string(note));
	set(object, "eof_call", string(text_call_name(place->eof_call)));
	set(object, "eof",
	    place->eof_call ? frames(place->eof, place->n_eof) : json_null());
	set(object, "oldest_ms", number(place->oldest_ms));
	set(object, "newest_ms", number(place->newest_ms));
	set(object, "unread_bytes", number(place->unread_bytes));
	set(object, "kernel_bytes", number(place->kernel_bytes));
	return object;
}

static json_t *process_object(const struct findings_process *process)
{
	json_t *object = json_object(), *late = json_object();

	set(late, "count", number(process->closed_late));
	set(late, "max_ms", number(process->closed_late_max_ms));
	set(object, "pid", json_integer(process->pid));
	set(object, "exe", string(process->exe));
	set(object, "host", string(process->host));
	set(object, "ended", json_string(findings_ended_name(process->ended)));
	set(object, "opened", number(process->opened));
	set(object, "closed", number(process->closed));
	set(object, "open", number(process->open));
	set(object, "leaked", number(process->leaked));
	set(object, "pending", number(process->pending));
	set(object, "closed_late", late);
	set(object, "missed", number(process->missed));
	set(object, "dropped", number(process->dropped));
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

		set(object, "rule", string(findings->suppressed[i].rule));
		set(object, "count", number(findings->suppressed[i].count));
		fputs(i ? "," : "", file);
		dump(object, file);
	}
	fputs("]}\n", file);
}
