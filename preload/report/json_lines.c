/* See json_lines.h.
 *
 * A line is whole or absent: what does not fit is written again with fewer frames. */
#include "report/json_lines.h"

/* `,"name":` */
static void field(struct text *text, const char *name)
{
	text_string(text, ",\"");
	text_string(text, name);
	text_string(text, "\":");
}

static void string_field(struct text *text, const char *name, const char *string)
{
	field(text, name);
	text_json_string(text, string);
}

static void number_field(struct text *text, const char *name, uint64_t number)
{
	field(text, name);
	text_unsigned(text, number);
}

static void event(struct text *text, const char *name, uint64_t realtime_ms, pid_t pid)
{
	unsigned ms = (unsigned)(realtime_ms % 1000);

	text_string(text, "{\"event\":");
	text_json_string(text, name);
	number_field(text, "ts", realtime_ms / 1000);
	text_string(text, ms < 10 ? ".00" : ms < 100 ? ".0" : ".");
	text_unsigned(text, ms);
	number_field(text, "pid", (uint64_t)pid);
}

static void why_field(struct text *text, unsigned why)
{
	const char *separator = "";

	field(text, "why");
	text_string(text, "[");
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & 1U << i) {
			text_string(text, separator);
			text_json_string(text, text_why_name((enum sl_why)(1U << i)));
			separator = ",";
		}
	text_string(text, "]");
}

static void frame_object(struct text *text, const struct text_frame *frame)
{
	text_string(text, "{\"language\":");
	text_json_string(text, text_language_name(frame->language));
	string_field(text, "function", frame->function);
	string_field(text, "file", frame->file);
	field(text, "line");
	if (frame->line > 0)
		text_unsigned(text, frame->line);
	else
		text_string(text, "null");
	string_field(text, "module", frame->module);
	field(text, "offset");
	text_string(text, frame->language ? "null" : "\"0x");
	if (!frame->language) {
		text_hex(text, frame->offset);
		text_string(text, "\"");
	}
	field(text, "build_id");
	text_string(text, frame->build_id_bytes ? "\"" : "null");
	for (unsigned i = 0; i < frame->build_id_bytes; i++) {
		text_hex(text, frame->build_id[i] >> 4);
		text_hex(text, frame->build_id[i] & 15);
	}
	text_string(text, frame->build_id_bytes ? "\"" : "");
	if (frame->by_frame_pointer)
		string_field(text, "by", "frame-pointer");
	field(text, "inlined");
	text_string(text, frame->inlined ? "true}" : "false}");
}

static void frames_field(struct text *text, const char *name,
			 const struct text_frame *frames, unsigned n_frames)
{
	field(text, name);
	text_string(text, "[");
	for (unsigned i = 0; i < n_frames; i++) {
		text_string(text, i ? "," : "");
		frame_object(text, &frames[i]);
	}
	text_string(text, "]");
}

static void use_fields(struct text *text, const struct text_use *use)
{
	text_string(text, "{\"call\":");
	text_json_string(text, text_call_name(use->call));
	string_field(text, "direction", use->is_sent ? "sent" : "received");
	number_field(text, "ms", use->ms);
	number_field(text, "bytes", use->bytes);
	field(text, "thread");
	if (use->thread)
		text_unsigned(text, (uint64_t)use->thread);
	else
		text_string(text, "null");
}

static void uses_field(struct text *text, const struct text_place *place,
		       unsigned most_frames)
{
	field(text, "last_uses");
	text_string(text, "[");
	for (unsigned i = 0; i < place->n_uses; i++) {
		const struct text_use *use = &place->uses[i];

		text_string(text, i ? "," : "");
		use_fields(text, use);
		number_field(text, "count", use->n_sockets);
		frames_field(text, "frames", use->frames,
			     use->n_frames < most_frames ? use->n_frames : most_frames);
		text_string(text, "}");
	}
	text_string(text, "]");
}

/* Of the socket that is the example. */
static void last_use_field(struct text *text, const struct text_place *place)
{
	field(text, "last_use");
	if (!place->use.n_sockets) {
		text_string(text, "null");
		return;
	}
	use_fields(text, &place->use);
	if (place->use_index < place->n_uses)
		number_field(text, "index", place->use_index);
	else
		string_field(text, "index", NULL);
	text_string(text, "}");
}

/* Digits, a colon and dots only: nothing to escape. */
static void address_field(struct text *text, const char *name, uint16_t family,
			  const uint8_t address[16], uint16_t port)
{
	field(text, name);
	if (!family || !port) {
		text_string(text, "null");
		return;
	}
	text_string(text, "\"");
	text_address(text, family, address, port);
	text_string(text, "\"");
}

static void holder_field(struct text *text, const struct text_place *place)
{
	text_string(text, "{\"holders\":[{\"pid\":");
	if (place->is_elsewhere && !place->holder_pid) {
		text_string(text, "null,\"fd\":null");
	} else {
		text_unsigned(text, (uint64_t)(place->is_elsewhere ? place->holder_pid
								   : place->pid));
		number_field(text, "fd", (uint64_t)place->fd);
	}
	string_field(text, "program", place->is_elsewhere ? place->program : NULL);
	text_string(text, "}]");
	field(text, "cookie");
	text_string(text, place->cookie ? "\"" : "null");
	if (place->cookie) {
		text_unsigned(text, place->cookie);
		text_string(text, "\"");
	}
	if (place->inode)
		number_field(text, "inode", place->inode);
	else
		string_field(text, "inode", NULL);
}

static void addresses(struct text *text, const struct text_place *place)
{
	address_field(text, "local", place->family, place->local, place->local_port);
	address_field(text, "peer", place->family, place->peer, place->peer_port);
}

static void unread_field(struct text *text, const struct text_place *place)
{
	if (place->unread_bytes == TEXT_UNREAD_UNKNOWN)
		string_field(text, "unread_bytes", NULL);
	else
		number_field(text, "unread_bytes", place->unread_bytes);
}

static void sockets_field(struct text *text, const struct text_place *place)
{
	unsigned by_kind = place->kind == SL_KIND_DEAD ? 7 : 8; /* CLOSE, CLOSE_WAIT */

	field(text, "sockets");
	text_string(text, "[");
	holder_field(text, place);
	addresses(text, place);
	string_field(text, "state",
		     text_state_name(place->state ? place->state : by_kind));
	string_field(text, "verdict", place->at_exit ? "exit" : "grace");
	string_field(text, "kind", text_kind_name(place->kind));
	why_field(text, place->why);
	number_field(text, "age_ms", place->oldest_ms);
	if (place->opened_ms == TEXT_MS_UNKNOWN)
		string_field(text, "opened_ms", NULL);
	else
		number_field(text, "opened_ms", place->opened_ms);
	unread_field(text, place);
	last_use_field(text, place);
	string_field(text, "test", place->test);
	string_field(text, "closed", place->closed);
	string_field(text, "peer_state", text_peer_name(place->peer_state));
	text_string(text, "}]");
}

static void place_fields(struct text *text, const struct text_place *place,
			 unsigned most_frames)
{
	unsigned n_origin = place->n_origin, n_eof = place->n_eof;
	char id[TEXT_ID_BYTES];

	text_place_id(id, place->kind, place->origin, place->n_origin);
	string_field(text, "id", id);
	string_field(text, "kind", text_kind_name(place->kind));
	why_field(text, place->why);
	number_field(text, "count", place->n_sockets);
	string_field(text, "call", text_call_name(place->call));
	frames_field(text, "origin", place->origin,
		     n_origin < most_frames ? n_origin : most_frames);
	string_field(text, "origin_note", text_note_name(place->origin_kind));
	string_field(text, "eof_call", text_call_name(place->eof_call));
	if (place->eof_call != SL_CALL_NONE)
		frames_field(text, "eof", place->eof,
			     n_eof < most_frames ? n_eof : most_frames);
	else
		string_field(text, "eof", NULL);
	uses_field(text, place, most_frames);
	number_field(text, "oldest_ms", place->oldest_ms);
	number_field(text, "newest_ms", place->newest_ms);
	unread_field(text, place);
	number_field(text, "kernel_bytes", place->kernel_bytes);
	sockets_field(text, place);
}

static void place_event(struct text *text, const char *name,
			const struct text_place *place, uint64_t realtime_ms)
{
	static const unsigned most_frames[] = {SL_MAX_FRAMES, 16, 4, 0};
	size_t start = text->used;
	bool cut_before = text->cut;

	for (unsigned i = 0; i < sizeof most_frames / sizeof *most_frames; i++) {
		text->cut = false;
		event(text, name, realtime_ms, place->pid);
		place_fields(text, place, most_frames[i]);
		text_string(text, "}\n");
		if (!text->cut) {
			text->cut = cut_before || i > 0;
			return;
		}
		text->used = start;
	}
}

void json_lines_leak(struct text *text, const struct text_place *place,
		     uint64_t realtime_ms)
{
	place_event(text, "leak", place, realtime_ms);
}

void json_lines_closed_late(struct text *text, const struct text_place *place,
			    uint64_t realtime_ms)
{
	place_event(text, "closed-late", place, realtime_ms);
}

void json_lines_summary(struct text *text, const struct text_summary *summary,
			uint64_t realtime_ms)
{
	bool more_opened = summary->opened > summary->closed;
	size_t start = text->used;

	event(text, "summary", realtime_ms, summary->pid);
	number_field(text, "opened", summary->opened);
	number_field(text, "closed", summary->closed);
	number_field(text, "open", more_opened ? summary->opened - summary->closed : 0);
	number_field(text, "leaked", summary->n_leaked);
	number_field(text, "closed_by_end", summary->closed_by_end);
	number_field(text, "places", summary->n_places);
	number_field(text, "pending", summary->pending);
	text_string(text, ",\"closed_late\":{\"count\":");
	text_unsigned(text, summary->closed_late);
	number_field(text, "max_ms", summary->closed_late_max_ms);
	text_string(text, "}");
	number_field(text, "missed", summary->missed);
	number_field(text, "dropped", summary->dropped);
	number_field(text, "suppressed", summary->suppressed);
	text_string(text, "}\n");
	if (text->cut)
		text->used = start;
}
