/* What several formats share. */
#include "formats/text_internal.h"

#include "findings/stack.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUFFER_BYTES 4096
/* Of a function and of a file in the line that says what a place is. */
#define HEADLINE_COLUMNS 200

char *format_block(void (*put)(struct text *text, const void *of), const void *of,
		   size_t *bytes)
{
	struct text text = {.size = FIRST_BUFFER_BYTES};

	for (;; text.size *= 2) {
		text.at = say_realloc(text.at, text.size, 1);
		text.used = 0;
		text.cut = false;
		put(&text, of);
		if (!text.cut)
			break;
	}
	*bytes = text.used;
	return text.at;
}

void format_flush(struct text *text, FILE *file)
{
	fwrite(text->at, 1, text->used, file);
	text->used = 0;
}

void format_put_count(struct text *text, uint64_t n, const char *word)
{
	text_unsigned(text, n);
	text_string(text, word);
}

void format_put_place(struct text *text, const void *of)
{
	text_place(text, of);
}

void format_put_pending(struct text *text, const void *of)
{
	text_pending(text, of);
}

void format_put_late(struct text *text, const void *of)
{
	text_closed_late(text, of);
}

/* Of all its sockets, as a sentence in the present tense can tell. */
static enum text_peer peer_of(const struct findings *findings,
			      const struct findings_place *place)
{
	enum text_peer peer = place->sockets[0].peer_state;

	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];

		if (socket->peer_state != peer ||
		    (peer == TEXT_PEER_FIN_WAIT_2 && !findings_is_held(findings, socket)))
			return TEXT_PEER_UNKNOWN;
	}
	return peer;
}

static bool is_elsewhere(const struct findings_place *place)
{
	for (size_t i = 0; i < place->n_sockets; i++)
		if (!place->sockets[i].holders[0].is_elsewhere)
			return false;
	return true;
}

/* What is told of all its sockets. */
static void add_sockets(struct text_place *shown, const struct findings_place *place)
{
	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];

		shown->n_closed_by_end += socket->closed == FINDINGS_CLOSED_BY_END;
		shown->at_exit &= socket->verdict == SL_LEAK_EXIT;
		if (socket->told_ms > shown->told_ms)
			shown->told_ms = socket->told_ms;
	}
}

struct text_place format_place(const struct findings *findings,
			       const struct findings_place *place)
{
	const struct findings_socket *first = &place->sockets[0];
	struct text_place shown = {
		.pid = (pid_t)findings->processes[first->holders[0].process].pid,
		.kind = place->kind,
		.why = place->why,
		.call = place->call,
		.origin_kind = place->origin_kind,
		.origin = place->origin,
		.n_origin = place->n_origin,
		.origin_is_pending = place->origin_is_pending,
		.has_ended = findings->processes[first->holders[0].process].ended !=
			     FINDINGS_RUNNING,
		.eof_call = place->eof_call,
		.eof = place->eof,
		.n_eof = place->n_eof,
		.uses = place->uses,
		.n_uses = (unsigned)place->n_uses,
		.n_sockets = place->n_sockets,
		.oldest_ms = place->oldest_ms,
		.newest_ms = place->newest_ms,
		.unread_bytes = place->unread_bytes,
		.kernel_bytes = place->kernel_bytes,
		.at_exit = true,
		.runs_on =
			first->verdict == SL_PENDING && findings_is_held(findings, first),
		.peer_state = peer_of(findings, place),
		.is_elsewhere = is_elsewhere(place),
		.holder_pid = (pid_t)first->holders[0].pid,
		.program = first->holders[0].program,
		.fd = (int)first->holders[0].fd,
		.cookie = first->cookie,
		.inode = first->inode,
		.state = first->state,
		.opened_ms = first->opened_ms,
		.family = first->family,
		.local_port = first->local_port,
		.peer_port = first->peer_port,
		.test = first->test,
	};

	/* The call was seen, and its backtrace lost. */
	if (shown.origin_kind == SL_ORIGIN_UNKNOWN && shown.call != SL_CALL_NONE)
		shown.origin_kind = SL_ORIGIN_KIND_NONE;
	memcpy(shown.local, first->local, sizeof(shown.local));
	memcpy(shown.peer, first->peer, sizeof(shown.peer));
	add_sockets(&shown, place);
	return shown;
}

static void put_frame(struct text *text, const struct text_frame *frame)
{
	if (!frame->function && frame->module) {
		text_where(text, frame, HEADLINE_COLUMNS);
		return;
	}
	if (frame->language == SL_LANGUAGE_NOTE)
		text_escaped(text, frame->function);
	else
		text_function(text, frame, HEADLINE_COLUMNS);
	if (!frame->file && !frame->module)
		return;
	text_string(text, " (");
	text_where(text, frame, HEADLINE_COLUMNS);
	text_string(text, ")");
}

/* " from Api.login (api.py:9)", where others were opened by the same line. */
static void put_caller(struct text *text, const struct findings_place *place)
{
	if (!place->caller)
		return;
	text_string(text, " from ");
	put_frame(text, place->caller);
}

/* Why there is no origin. */
static void put_reason(struct text *text, const struct findings_place *place)
{
	text_string(text, place->origin_is_pending ? "pending"
						   : text_note_name(place->origin_kind));
}

void format_headline(const struct findings_place *place, char *line, size_t size)
{
	struct text text = {.at = line, .size = size - 1};
	const struct text_frame *frame = text_first_row(place);

	text_unsigned(&text, place->n_sockets);
	text_string(&text, place->n_sockets == 1 ? " socket " : " sockets ");
	text_string(&text, place->kind == SL_KIND_DEAD
				   ? "held although the connection is dead"
				   : "left in CLOSE_WAIT");
	if (place->sockets[0].closed == FINDINGS_CLOSED_LATE)
		text_string(&text, ", then closed");
	if (frame) {
		text_string(&text, ", opened in ");
		put_frame(&text, frame);
		put_caller(&text, place);
	} else if (place->origin_kind != SL_ORIGIN_KIND_NONE) {
		text_string(&text, ", origin ");
		put_reason(&text, place);
	}
	line[text.used] = 0;
}

void format_where(const struct findings_place *place, char *line, size_t size)
{
	struct text text = {.at = line, .size = size - 1};
	const struct text_frame *frame = text_first_row(place);

	if (frame) {
		put_frame(&text, frame);
		put_caller(&text, place);
	} else if (place->origin_kind != SL_ORIGIN_KIND_NONE)
		put_reason(&text, place);
	line[text.used] = 0;
}

static const struct text_frame *first_line(const struct text_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (frames[i].file && frames[i].line && !stack_is_library(&frames[i]))
			return &frames[i];
	return NULL;
}

const struct text_frame *format_source_line(const struct findings_place *place)
{
	const struct text_frame *line = first_line(place->origin, place->n_origin);

	return line ? line : first_line(place->eof, place->n_eof);
}

static size_t n_without_line(const struct findings_place *places, size_t n)
{
	size_t count = 0;

	for (size_t i = 0; i < n; i++)
		count += format_source_line(&places[i]) == NULL;
	return count;
}

size_t format_n_without_line(const struct findings *findings)
{
	return n_without_line(findings->leaks, findings->n_leaks) +
	       n_without_line(findings->late, findings->n_late);
}
