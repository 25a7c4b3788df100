/* What several formats share. */
#include "formats.h"

#include "frames.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_BUFFER_BYTES 4096

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

void format_put_place(struct text *text, const void *of)
{
	text_place(text, of);
}

void format_put_pending(struct text *text, const void *of)
{
	text_pending(text, of);
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

struct text_place format_place(const struct findings *findings,
			       const struct findings_place *place)
{
	const struct findings_socket *first = &place->sockets[0];
	struct text_place shown = {
		.pid = (pid_t)findings->processes[first->holders[0].process].pid,
		.kind = place->kind,
		.why = place->why,
		.call = place->call,
		.note = place->note,
		.origin = place->origin,
		.n_origin = place->n_origin,
		.origin_is_pending = place->origin_is_pending,
		.eof_call = place->eof_call,
		.eof = place->eof,
		.n_eof = place->n_eof,
		.n_sockets = place->n_sockets,
		.oldest_ms = place->oldest_ms,
		.newest_ms = place->newest_ms,
		.unread_bytes = place->unread_bytes,
		.kernel_bytes = place->kernel_bytes,
		.at_exit = true,
		.peer_state = peer_of(findings, place),
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
	if (shown.note == SL_NOTE_UNKNOWN && shown.call != SL_CALL_NONE)
		shown.note = SL_NOTE_NONE;
	memcpy(shown.local, first->local, sizeof(shown.local));
	memcpy(shown.peer, first->peer, sizeof(shown.peer));
	for (size_t i = 0; i < place->n_sockets; i++) {
		shown.at_exit &= place->sockets[i].verdict == SL_LEAK_EXIT;
		if (place->sockets[i].told_ms > shown.told_ms)
			shown.told_ms = place->sockets[i].told_ms;
	}
	return shown;
}

static void put_frame(struct text *text, const struct text_frame *frame)
{
	if (frame->function) {
		text_escaped(text, frame->function);
	} else if (frame->module) {
		text_escaped(text, frame->module);
		text_string(text, "+0x");
		text_hex(text, frame->offset);
	} else {
		text_string(text, "code outside all modules");
	}
	if (!frame->file)
		return;
	text_string(text, " (");
	text_escaped(text, frame->file);
	text_string(text, ":");
	text_unsigned(text, frame->line);
	text_string(text, ")");
}

void format_headline(const struct findings_place *place, char *line, size_t size)
{
	struct text text = {.at = line, .size = size - 1};
	const struct text_frame *frame =
		frames_first_of_user(place->origin, place->n_origin);

	text_unsigned(&text, place->n_sockets);
	text_string(&text, place->n_sockets == 1 ? " socket " : " sockets ");
	text_string(&text, place->kind == SL_KIND_DEAD
				   ? "held although the connection is dead"
				   : "left in CLOSE_WAIT");
	if (frame) {
		text_string(&text, ", opened in ");
		put_frame(&text, frame);
	} else if (place->note != SL_NOTE_NONE) {
		text_string(&text, ", origin ");
		text_string(&text, place->origin_is_pending
					   ? "pending"
					   : text_note_name(place->note));
	}
	line[text.used] = 0;
}
