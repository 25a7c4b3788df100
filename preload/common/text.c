/* The text report: the block of a place, the count line, the summary.
 *
 * A block reads from the most useful to the least: how many sockets and how bad, where
 * they were opened, where the program was told, why they count and one of them as an
 * example, what is known of the peer.  No sentence claims what the library cannot know
 * (whether the peer closed or half-closed). */
#include "common/text.h"

/* A Linux host of default settings keeps FIN_WAIT_2 of a closed socket so long. */
#define DEFAULT_FIN_TIMEOUT_MS 60000
/* Frames named in a count line: one is often a wrapper, three tell places apart. */
#define COUNT_LINE_FRAMES 3

/* " (/srv/app+0x1234)"; of a frame without a name also the build-id, by which its file
 * is found. */
static void module_of(struct text *text, const struct text_frame *frame)
{
	if (!frame->module) {
		text_string(text, " (outside all modules)");
		return;
	}
	text_string(text, " (");
	text_escaped(text, frame->module);
	text_string(text, "+0x");
	text_hex(text, frame->offset);
	text_string(text, ")");
	if (frame->function || frame->build_id_bytes == 0)
		return;
	text_string(text, " (BuildId: ");
	for (unsigned i = 0; i < frame->build_id_bytes; i++) {
		text_string(text, frame->build_id[i] < 16 ? "0" : "");
		text_hex(text, frame->build_id[i]);
	}
	text_string(text, ")");
}

/* "accept_client+0x34", or with a line "accept_client /src/app.c:41". */
static void function_of(struct text *text, const struct text_frame *frame)
{
	if (frame->function)
		text_escaped(text, frame->function);
	if (frame->file) {
		text_string(text, frame->function ? " " : "");
		text_escaped(text, frame->file + frame->file_prefix_bytes);
		if (frame->line > 0) {
			text_string(text, ":");
			text_unsigned(text, frame->line);
		}
	} else if (frame->function && frame->module) {
		text_string(text, "+0x");
		text_hex(text, frame->function_offset);
	}
	text_string(text, frame->inlined ? " (inlined)" : "");
}

static void native_frame(struct text *text, const struct text_frame *frame)
{
	text_string(text, " 0x");
	text_hex(text, frame->address ? frame->address : frame->offset);
	if (frame->function || frame->file) {
		text_string(text, frame->function ? " in " : " ");
		function_of(text, frame);
	}
	module_of(text, frame);
}

/* " Pool.checkout at /srv/app.py:42" */
static void language_frame(struct text *text, const struct text_frame *frame)
{
	text_string(text, frame->language == SL_LANGUAGE_NOTE ? " note: " : " ");
	text_escaped(text, frame->function);
	if (!frame->file)
		return;
	text_string(text, " at ");
	text_escaped(text, frame->file + frame->file_prefix_bytes);
	if (frame->line > 0) {
		text_string(text, ":");
		text_unsigned(text, frame->line);
	}
}

void text_frames(struct text *text, const struct text_frame *frames, unsigned n_frames)
{
	unsigned n_shown = 0;

	for (unsigned i = 0; i < n_frames; i++) {
		const struct text_frame *frame = &frames[i];

		if (frame->is_folded)
			continue;
		text_string(text, "    #");
		text_unsigned(text, n_shown++);
		if (frame->language)
			language_frame(text, frame);
		else
			native_frame(text, frame);
		text_string(text,
			    frame->by_frame_pointer ? TEXT_BY_FRAME_POINTER "\n" : "\n");
	}
	if (n_shown == n_frames)
		return;
	text_string(text, "    (");
	text_unsigned(text, n_frames - n_shown);
	text_string(text, n_frames - n_shown == 1 ? " frame" : " frames");
	text_string(text, " of the interpreter left out)\n");
}

/* A line that did not fit still ends. */
static void finish(struct text *text)
{
	if (!text->cut || text->used == 0)
		return;
	/* In the place of the last character, not of its last byte. */
	while (text->used > 1 && (text->at[text->used - 1] & 0xc0) == 0x80)
		text->used--;
	text->at[text->used - 1] = '\n';
}

static void tag(struct text *text, pid_t pid, const char *word)
{
	text_string(text, "==");
	text_unsigned(text, (uint64_t)pid);
	text_string(text, "==");
	text_string(text, word);
	text_string(text, ": sockleak: ");
}

static void number_of(struct text *text, uint64_t n, const char *noun)
{
	text_unsigned(text, n);
	text_string(text, " ");
	text_string(text, noun);
	text_string(text, n == 1 ? "" : "s");
}

/* "3 sockets left in CLOSE_WAIT by their owner, oldest 1m04s", without the end of line.
 */
static void headline(struct text *text, const struct text_place *place, const char *now)
{
	bool one = place->n_sockets == 1, dead = place->kind == SL_KIND_DEAD;

	number_of(text, place->n_sockets, "socket");
	text_string(text, now);
	text_string(text, dead ? " held by " : " left in CLOSE_WAIT by ");
	if (place->is_elsewhere)
		text_string(text, one ? "another process" : "other processes");
	else
		text_string(text, one ? "its owner" : "their owner");
	text_string(text, place->at_exit && !place->runs_on ? " at exit" : "");
	if (dead)
		text_string(text, place->why == SL_WHY_CONNECT_FAILED
					  ? " although connect() failed"
					  : " although the connection is dead");
	text_string(text, one ? ", for " : ", oldest ");
	text_duration(text, place->oldest_ms);
	if (!place->n_closed_by_end)
		return;
	text_string(text, ", ");
	if (place->n_closed_by_end < place->n_sockets) {
		text_unsigned(text, place->n_closed_by_end);
		text_string(text, " of them ");
	}
	text_string(text, "closed only by the program's end");
}

/* Before the frames of that call. */
static void opened_by(struct text *text, const struct text_place *place)
{
	const char *name = text_call_name(place->call);

	if (!name || place->n_origin == 0)
		return;
	text_string(text, "  ");
	text_string(text, text_opened(place->call));
	text_string(text, name);
	text_string(text, "():\n");
}

const char *text_origin_reason(const struct text_place *place)
{
	static const char *const reasons[] = {
		[SL_ORIGIN_INHERITED] =
			"inherited, open already when this process started",
		[SL_ORIGIN_RECEIVED] = "received, over a Unix socket or by pidfd_getfd",
		[SL_ORIGIN_SHORT] =
			"short, the backtrace could not be followed to its end",
		[SL_ORIGIN_UNKNOWN] =
			"unknown, opened by a call the library does not see",
	};
	unsigned origin_kind = (unsigned)place->origin_kind;
	const char *reason = origin_kind < sizeof reasons / sizeof *reasons
				     ? reasons[origin_kind]
				     : NULL;

	if (place->origin_is_pending)
		return place->has_ended
			       ? "pending, its backtrace was captured, and the process "
				 "ended before it was unwound"
			       : "pending, its backtrace was captured and not unwound "
				 "yet "
				 "(with thread=no: not before the exit)";
	if (!reason && place->n_origin == 0)
		return "lost, the backtrace could not be kept";
	return reason;
}

static void origin_of(struct text *text, const struct text_place *place)
{
	const char *reason = text_origin_reason(place);

	opened_by(text, place);
	text_frames(text, place->origin, place->n_origin);
	if (!reason)
		return;
	text_string(text, "  origin: ");
	text_string(text, reason);
	text_string(text, ".\n");
}

/* A read call may have returned an error, which is no end of stream. */
static void told(struct text *text, const struct text_place *place)
{
	bool by_error = place->why & (SL_WHY_RESET | SL_WHY_TIMED_OUT);

	if (place->eof_call == SL_CALL_NONE)
		return;
	if (place->eof_call == SL_CALL_shutdown)
		text_string(text, "  it was shut down ");
	else if (sl_call_reads(place->eof_call) && !by_error)
		text_string(text, "  end of stream was read ");
	else
		text_string(text, "  the program was told ");
	text_duration(text, place->told_ms);
	text_string(text, " ago by ");
	text_string(text, text_call_name(place->eof_call));
	text_string(text, place->n_eof > 0 ? "():\n" : "()\n");
	text_frames(text, place->eof, place->n_eof);
}

static void number_named(struct text *text, const char *name, uint64_t number)
{
	text_string(text, name);
	text_unsigned(text, number);
}

/* "fd 4 of process 4711 (sleep)" */
static void holder_of(struct text *text, const struct text_place *place)
{
	if (!place->holder_pid) {
		text_string(text, "by a process that may not be looked at");
		return;
	}
	number_named(text, "fd ", (uint64_t)place->fd);
	number_named(text, " of process ", (uint64_t)place->holder_pid);
	if (!place->program)
		return;
	text_string(text, " (");
	text_escaped(text, place->program);
	text_string(text, ")");
}

static void example(struct text *text, const struct text_place *place)
{
	if (place->family == 0) {
		text_string(text, "Addresses not known");
	} else {
		text_address(text, place->family, place->local, place->local_port);
		text_string(text, text_arrow(place->call));
		if (place->peer_port > 0)
			text_address(text, place->family, place->peer, place->peer_port);
		else
			text_string(text, "a peer not known");
	}
	text_string(text, " (");
	if (place->is_elsewhere)
		holder_of(text, place);
	else
		number_named(text, "fd ", (uint64_t)place->fd);
	if (place->test) {
		text_string(text, ", test ");
		text_escaped(text, place->test);
	}
	text_string(text, ")");
	if (place->n_sockets > 1) {
		text_string(text, ", and ");
		text_unsigned(text, place->n_sockets - 1);
		text_string(text, " more");
	}
}

/* Zero bytes are worth no word; the end of stream itself has no length. */
static void unread_of(struct text *text, const struct text_place *place)
{
	bool is_known = place->unread_bytes != TEXT_UNREAD_UNKNOWN;
	bool is_end_unread = place->why & SL_WHY_NEVER_READ;
	bool of_all = place->n_sockets == 1 ||
		      !(place->why & (SL_WHY_EOF_READ | SL_WHY_READ_UNSEEN));

	if (is_end_unread)
		text_string(text, of_all ? " The end of stream is still unread"
					 : " Of some the end of stream is still unread");
	if (is_known && place->unread_bytes > 0) {
		text_string(text, is_end_unread ? ", behind " : " Unread: ");
		number_of(text, place->unread_bytes, "byte");
	}
	text_string(text, is_end_unread || (is_known && place->unread_bytes) ? "." : "");
	text_string(text, is_known ? "" : " Unread: not known.");
}

static void why_of(struct text *text, const struct text_place *place)
{
	text_string(text, "  why: ");
	text_whys(text, place->why);
	text_string(text, ". ");
	example(text, place);
	text_string(text, ".");
	unread_of(text, place);
	text_string(text, "\n");
}

/* A peer that only shut its write side waits for ever; one that closed forgets when its
 * timer ends, and sends nothing then.  This side cannot tell the two apart. */
static void peer_of(struct text *text, const struct text_place *place)
{
	bool one = place->n_sockets == 1;
	const char *connections = one ? "this connection" : "these connections";

	if (place->kind == SL_KIND_DEAD) {
		text_string(text, one ? "  No connection is left behind it; only a close "
					"frees it.\n"
				      : "  No connection is left behind them; only a "
					"close frees them.\n");
	} else if (place->peer_state == TEXT_PEER_FORGOTTEN) {
		text_string(text, "  The peer has forgotten ");
		text_string(text, connections);
		text_string(text, ".\n");
	} else if (place->peer_state == TEXT_PEER_FIN_WAIT_2) {
		text_string(text, one ? "  The peer waits" : "  The peers wait");
		text_string(text, " in FIN_WAIT_2 for this side to close.\n");
	} else {
		bool over = place->newest_ms >= DEFAULT_FIN_TIMEOUT_MS;

		text_string(text, over ? "  A peer that closed fully has forgotten "
				       : "  A peer that closed fully forgets ");
		text_string(text, connections);
		text_string(text, over ? ".\n" : " when its tcp_fin_timeout ends.\n");
	}
}

static void body(struct text *text, const struct text_place *place, bool is_closed)
{
	text_string(text, "\n");
	origin_of(text, place);
	told(text, place);
	text_uses(text, place);
	why_of(text, place);
	if (!is_closed)
		peer_of(text, place);
	finish(text);
}

void text_place(struct text *text, const struct text_place *place)
{
	tag(text, place->pid, "ERROR");
	headline(text, place, "");
	body(text, place, place->n_closed_by_end >= place->n_sockets);
}

void text_pending(struct text *text, const struct text_place *place)
{
	bool one = place->n_sockets == 1;

	tag(text, place->pid, "PENDING");
	number_of(text, place->n_sockets, "socket");
	text_string(text, place->runs_on ? " whose peer has gone, not yet a leak"
					 : " whose peer has gone, held to the end of the "
					   "program, not counted");
	text_string(text, one ? ", for " : ", oldest ");
	text_duration(text, place->oldest_ms);
	body(text, place, false);
}

void text_closed_late(struct text *text, const struct text_place *place)
{
	bool one = place->n_sockets == 1;

	tag(text, place->pid, "CLOSED LATE");
	number_of(text, place->n_sockets, "socket");
	text_string(text, one ? " held " : " held up to ");
	text_duration(text, place->oldest_ms);
	text_string(text, one ? " past its peer's end, then closed"
			      : " past their peers' ends, then closed");
	body(text, place, true);
}

static void frame_in_short(struct text *text, const struct text_frame *frame)
{
	if (frame->language) {
		language_frame(text, frame);
		return;
	}
	text_string(text, " ");
	if (frame->function || frame->file)
		function_of(text, frame);
	else
		text_string(text, "code without a name");
	module_of(text, frame);
}

/* The innermost frame in full, the next by function only. */
static void place_in_short(struct text *text, const struct text_place *place)
{
	if (place->n_origin == 0) {
		const char *origin_kind = text_note_name(place->origin_kind);

		text_string(text, ", origin ");
		text_string(text, origin_kind ? origin_kind : "lost");
		return;
	}
	text_string(text, ", from");
	unsigned n_shown = 0;
	for (unsigned i = 0; i < place->n_origin && n_shown < COUNT_LINE_FRAMES; i++) {
		const struct text_frame *frame = &place->origin[i];

		if (frame->is_folded)
			continue;
		if (!n_shown++) {
			frame_in_short(text, frame);
		} else if (frame->function) {
			text_string(text, ", ");
			text_escaped(text, frame->function);
		}
	}
}

void text_count(struct text *text, const struct text_place *place)
{
	tag(text, place->pid, "ERROR");
	headline(text, place, " now");
	place_in_short(text, place);
	text_string(text, "\n");
	finish(text);
}

void text_hint(struct text *text)
{
	text_string(text, TEXT_HINT "\n");
}

/* "2 sockets leaked at 1 place (1 of them closed only by the program's end)" */
static void put_leaked(struct text *text, const struct text_summary *summary)
{
	number_of(text, summary->n_leaked, "socket");
	text_string(text, " leaked at ");
	number_of(text, summary->n_places, "place");
	if (summary->closed_by_end == 0)
		return;
	text_string(text, " (");
	if (summary->closed_by_end < summary->n_leaked) {
		text_unsigned(text, summary->closed_by_end);
		text_string(text, " of them ");
	}
	text_string(text, "closed only by the program's end)");
}

void text_summary(struct text *text, const struct text_summary *summary)
{
	tag(text, summary->pid, "SUMMARY");
	put_leaked(text, summary);
	text_string(text, "; ");
	text_unsigned(text, summary->opened);
	text_string(text, " opened, ");
	text_unsigned(text, summary->closed);
	text_string(text, " closed");
	if (!summary->is_short || summary->missed || summary->dropped) {
		number_named(text, "; ", summary->missed);
		number_named(text, " missed, ", summary->dropped);
		text_string(text, " dropped");
	}
	if (summary->closed_late > 0) {
		text_string(text, "; ");
		text_unsigned(text, summary->closed_late);
		text_string(text, summary->closed_late == 1
					  ? " closed late, after "
					  : " closed late, after up to ");
		text_duration(text, summary->closed_late_max_ms);
	}
	if (summary->pending > 0) {
		text_string(text, "; ");
		text_unsigned(text, summary->pending);
		text_string(text, " pending");
	}
	if (summary->suppressed > 0) {
		text_string(text, "; ");
		text_unsigned(text, summary->suppressed);
		text_string(text, " suppressed");
	}
	text_string(text, "\n");
	finish(text);
}
