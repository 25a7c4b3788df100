/* The text report: the block of a place, the count line, the summary.
 *
 * A block reads from the most useful to the least: how many sockets and how bad, where
 * they were opened, where the program was told, why they count and one of them as an
 * example, what is known of the peer.  What the library cannot know (whether the peer
 * closed or half-closed) no sentence claims. */
#include "text.h"

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
		text_escaped(text, frame->file);
		if (frame->line > 0) {
			text_string(text, ":");
			text_unsigned(text, frame->line);
		}
	} else if (frame->function) {
		text_string(text, "+0x");
		text_hex(text, frame->function_offset);
	}
	text_string(text, frame->inlined ? " (inlined)" : "");
}

void text_frames(struct text *text, const struct text_frame *frames, unsigned n_frames)
{
	for (unsigned i = 0; i < n_frames; i++) {
		const struct text_frame *frame = &frames[i];

		text_string(text, "    #");
		text_unsigned(text, i);
		text_string(text, " 0x");
		text_hex(text, frame->address ? frame->address : frame->offset);
		if (frame->function || frame->file) {
			text_string(text, frame->function ? " in " : " ");
			function_of(text, frame);
		}
		module_of(text, frame);
		text_string(text, "\n");
	}
}

/* A line that did not fit still ends. */
static void finish(struct text *text)
{
	if (text->cut && text->used > 0)
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
	text_string(text, one ? "its owner" : "their owner");
	text_string(text, place->at_exit && !place->runs_on ? " at exit" : "");
	text_string(text, dead ? " although the connection is dead" : "");
	text_string(text, one ? ", for " : ", oldest ");
	text_duration(text, place->oldest_ms);
}

static void origin_of(struct text *text, const struct text_place *place)
{
	static const char *const reasons[] = {
		[SL_NOTE_INHERITED] = "inherited, open already when this process started",
		[SL_NOTE_RECEIVED] = "received, over a Unix socket or by pidfd_getfd",
		[SL_NOTE_SHORT] = "short, the backtrace could not be followed to its end",
		[SL_NOTE_UNKNOWN] = "unknown, opened by a call the library does not see",
	};
	unsigned note = (unsigned)place->note;
	const char *reason =
		note < sizeof reasons / sizeof *reasons ? reasons[note] : NULL;

	text_frames(text, place->origin, place->n_origin);
	if (place->origin_is_pending)
		reason = "pending, its backtrace was captured and not unwound yet";
	else if (!reason && place->n_origin == 0)
		reason = "lost, the backtrace could not be kept";
	if (!reason)
		return;
	text_string(text, "  origin: ");
	text_string(text, reason);
	text_string(text, ".\n");
}

static bool call_reads(enum sl_call call)
{
	return call >= SL_CALL_read && call <= SL_CALL___recvfrom_chk;
}

/* A read call may have told by an error: that was no end of stream. */
static void told(struct text *text, const struct text_place *place)
{
	bool reset = place->why & SL_WHY_RESET;

	if (place->eof_call == SL_CALL_NONE)
		return;
	if (call_reads(place->eof_call) && !reset)
		text_string(text, "  end of stream was read ");
	else
		text_string(text, "  the program was told ");
	text_duration(text, place->told_ms);
	text_string(text, " ago by ");
	text_string(text, text_call_name(place->eof_call));
	text_string(text, place->n_eof > 0 ? "():\n" : "()\n");
	text_frames(text, place->eof, place->n_eof);
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
	text_string(text, " (fd ");
	text_unsigned(text, (uint64_t)place->fd);
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

static void why_of(struct text *text, const struct text_place *place)
{
	text_string(text, "  why: ");
	text_whys(text, place->why);
	text_string(text, ". ");
	example(text, place);
	text_string(text, ". Unread: ");
	number_of(text, place->unread_bytes, "byte");
	text_string(text, ".\n");
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

static void body(struct text *text, const struct text_place *place)
{
	text_string(text, "\n");
	origin_of(text, place);
	told(text, place);
	why_of(text, place);
	peer_of(text, place);
	finish(text);
}

void text_place(struct text *text, const struct text_place *place)
{
	tag(text, place->pid, "ERROR");
	headline(text, place, "");
	body(text, place);
}

void text_pending(struct text *text, const struct text_place *place)
{
	bool one = place->n_sockets == 1;

	tag(text, place->pid, "PENDING");
	number_of(text, place->n_sockets, "socket");
	text_string(text, " whose peer has gone, not (yet) a leak");
	text_string(text, one ? ", for " : ", oldest ");
	text_duration(text, place->oldest_ms);
	body(text, place);
}

/* The innermost frame in full, the next by function only. */
static void place_in_short(struct text *text, const struct text_place *place)
{
	if (place->n_origin == 0) {
		const char *note = text_note_name(place->note);

		text_string(text, ", origin ");
		text_string(text, note ? note : "lost");
		return;
	}
	text_string(text, ", from ");
	if (place->origin->function || place->origin->file)
		function_of(text, place->origin);
	else
		text_string(text, "code without a name");
	module_of(text, place->origin);
	for (unsigned i = 1; i < place->n_origin && i < COUNT_LINE_FRAMES; i++)
		if (place->origin[i].function) {
			text_string(text, ", ");
			text_escaped(text, place->origin[i].function);
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

void text_summary(struct text *text, const struct text_summary *summary)
{
	tag(text, summary->pid, "SUMMARY");
	number_of(text, summary->n_leaked, "socket");
	text_string(text, " leaked at ");
	number_of(text, summary->n_places, "place");
	text_string(text, "; ");
	text_unsigned(text, summary->opened);
	text_string(text, " opened, ");
	text_unsigned(text, summary->closed);
	text_string(text, " closed; ");
	text_unsigned(text, summary->missed);
	text_string(text, " missed, ");
	text_unsigned(text, summary->dropped);
	text_string(text, " dropped");
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
