/* The text report: the block of a place, the count line, the summary, and the building
 * blocks of every other form.
 *
 * A block reads from the most useful to the least: how many sockets and how bad, where
 * they were opened, where the program was told, why they count and one of them as an
 * example, what is known of the peer.  What the library cannot know (whether the peer
 * closed or half-closed) no sentence claims. */
#include "text.h"

#include <string.h>

#include "text_characters.h"

/* A Linux host of default settings keeps FIN_WAIT_2 of a closed socket so long. */
#define DEFAULT_FIN_TIMEOUT_MS 60000
/* Frames named in a count line: one is often a wrapper, three tell places apart. */
#define COUNT_LINE_FRAMES 3

static void put(struct text *text, const char *bytes, size_t n)
{
	size_t room = text->size - text->used;

	if (n > room) {
		text->cut = true;
		n = room;
	}
	if (n > 0)
		memcpy(text->at + text->used, bytes, n);
	text->used += n;
}

void text_string(struct text *text, const char *string)
{
	put(text, string, strlen(string));
}

void text_unsigned(struct text *text, uint64_t number)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + number % 10);
	while (number /= 10);
	put(text, digits + at, sizeof digits - at);
}

void text_hex(struct text *text, uint64_t number)
{
	char digits[16];
	size_t at = sizeof digits;

	do
		digits[--at] = "0123456789abcdef"[number & 15];
	while (number >>= 4);
	put(text, digits + at, sizeof digits - at);
}

/* Two digits: minutes behind hours, bytes in hexadecimal. */
static void two_digits(struct text *text, unsigned number)
{
	text_string(text, number < 10 ? "0" : "");
	text_unsigned(text, number);
}

static void escaped_byte(struct text *text, unsigned char byte)
{
	text_string(text, byte < 16 ? "\\x0" : "\\x");
	text_hex(text, byte);
}

/* The backslash is escaped too, so that what stands in a log can be read back. */
void text_escaped(struct text *text, const char *string)
{
	while (*string) {
		uint32_t code;
		unsigned n = text_character(string, &code);

		if (n > 0 && code != '\\' && !text_is_control(code)) {
			put(text, string, n);
			string += n;
			continue;
		}
		for (n += n == 0; n > 0; n--)
			escaped_byte(text, (unsigned char)*string++);
	}
}

void text_duration(struct text *text, uint64_t ms)
{
	static const struct {
		const char *unit, *part;
		uint64_t ms, part_ms;
	} scales[] = {
		{"d", "h", 86400000, 3600000},
		{"h", "m", 3600000, 60000},
		{"m", "s", 60000, 1000},
	};

	for (unsigned i = 0; i < sizeof scales / sizeof *scales; i++) {
		if (ms < scales[i].ms)
			continue;
		text_unsigned(text, ms / scales[i].ms);
		text_string(text, scales[i].unit);
		two_digits(text, (unsigned)(ms % scales[i].ms / scales[i].part_ms));
		text_string(text, scales[i].part);
		return;
	}
	text_unsigned(text, ms < 1000 ? ms : ms / 1000);
	if (ms >= 1000) {
		text_string(text, ".");
		text_unsigned(text, ms % 1000 / 100);
	}
	text_string(text, ms < 1000 ? "ms" : "s");
}

static void address4(struct text *text, const uint8_t bytes[4])
{
	for (int i = 0; i < 4; i++) {
		text_string(text, i ? "." : "");
		text_unsigned(text, bytes[i]);
	}
}

static unsigned group6(const uint8_t address[16], int at)
{
	return (unsigned)address[2 * at] << 8 | address[2 * at + 1];
}

/* The longest run of two or more zero groups (the first of equals) is written "::". */
static int zero_groups(const uint8_t address[16], int *length)
{
	int best = -1;

	*length = 1;
	for (int at = 0; at < 8; at++) {
		int n = 0;

		while (at + n < 8 && group6(address, at + n) == 0)
			n++;
		if (n > *length) {
			best = at;
			*length = n;
		}
		at += n;
	}
	return best;
}

static void address6(struct text *text, const uint8_t address[16])
{
	static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
	int length, zeros = zero_groups(address, &length);

	if (memcmp(address, mapped, sizeof mapped) == 0) {
		text_string(text, "::ffff:");
		address4(text, address + 12);
		return;
	}
	for (int at = 0; at < 8; at++) {
		if (at == zeros) {
			text_string(text, "::");
			at += length - 1;
			continue;
		}
		text_string(text, at && at != zeros + length ? ":" : "");
		text_hex(text, group6(address, at));
	}
}

void text_address(struct text *text, uint16_t family, const uint8_t address[16],
		  uint16_t port)
{
	if (family != TEXT_AF_INET && family != TEXT_AF_INET6) {
		text_string(text, "-");
		return;
	}
	if (family == TEXT_AF_INET) {
		address4(text, address);
	} else {
		text_string(text, "[");
		address6(text, address);
		text_string(text, "]");
	}
	text_string(text, ":");
	text_unsigned(text, port);
}

const char *text_call_name(enum sl_call call)
{
#define NAME(name, need) [SL_CALL_##name] = #name,
	static const char *const names[SL_N_CALLS] = {CALLS(NAME)};
#undef NAME
	return (unsigned)call < SL_N_CALLS ? names[call] : NULL;
}

const char *text_kind_name(enum sl_kind kind)
{
	return kind == SL_KIND_DEAD ? "dead" : "close-wait";
}

static const char *const why_names[TEXT_N_WHYS] = {
	"eof-read", "never-read", "read-unseen",  "shut-not-closed",
	"reset",    "duplicate",  "held-by-child"};

const char *text_why_name(enum sl_why one)
{
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if ((unsigned)one == 1U << i)
			return why_names[i];
	return "unknown";
}

void text_whys(struct text *text, unsigned why)
{
	const char *separator = "";

	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & 1U << i) {
			text_string(text, separator);
			text_string(text, why_names[i]);
			separator = ", ";
		}
}

const char *text_note_name(enum sl_note note)
{
	static const char *const names[] = {NULL, "inherited", "received", "short",
					    "unknown"};

	return (unsigned)note < sizeof names / sizeof *names ? names[note] : "unknown";
}

const char *text_state_name(unsigned tcp_state)
{
	static const char *const names[] = {
		"UNKNOWN",    "ESTABLISHED", "SYN_SENT",    "SYN_RECV",   "FIN_WAIT_1",
		"FIN_WAIT_2", "TIME_WAIT",   "CLOSE",       "CLOSE_WAIT", "LAST_ACK",
		"LISTEN",     "CLOSING",     "NEW_SYN_RECV"};

	return names[tcp_state < sizeof names / sizeof *names ? tcp_state : 0];
}

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
	text_string(text, place->at_exit ? " at exit" : "");
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
	if (!reason && place->n_origin == 0)
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
	if (place->eof_call == SL_CALL_shutdown)
		text_string(text, "  it was shut down ");
	else if (call_reads(place->eof_call) && !reset)
		text_string(text, "  end of stream was read ");
	else
		text_string(text, "  the program was told ");
	text_duration(text, place->told_ms);
	text_string(text, " ago by ");
	text_string(text, text_call_name(place->eof_call));
	text_string(text, place->n_eof > 0 ? "():\n" : "()\n");
	text_frames(text, place->eof, place->n_eof);
}

/* Who called: "local <- peer" was accepted, "local -> peer" connected. */
static const char *arrow(enum sl_call call)
{
	switch (call) {
	case SL_CALL_accept:
	case SL_CALL_accept4:
		return " <- ";
	case SL_CALL_socket:
	case SL_CALL_connect:
	case SL_CALL___connect:
		return " -> ";
	default:
		return " <-> ";
	}
}

static void example(struct text *text, const struct text_place *place)
{
	if (place->family == 0) {
		text_string(text, "Addresses not known");
	} else {
		text_address(text, place->family, place->local, place->local_port);
		text_string(text, arrow(place->call));
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
	} else if (place->forgotten) {
		text_string(text, "  The peer has forgotten ");
		text_string(text, connections);
		text_string(text, ".\n");
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
