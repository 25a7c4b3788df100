/* The building blocks of every form: numbers, escaped strings, durations, addresses, and
 * the names of calls, kinds, reasons and states. */
#include "common/text.h"

#include <string.h>

#include "common/address.h"
#include "common/text_characters.h"

/* A character of UTF-8 that the end of the buffer cut through becomes dots: no reader of
 * text takes half of one. */
static void end_at_character(struct text *text)
{
	size_t at = text->used, n = 0;

	while (n < 3 && n < at && (text->at[at - 1 - n] & 0xc0) == 0x80)
		n++;
	if (n == at)
		return;
	unsigned char lead = (unsigned char)text->at[at - 1 - n];
	size_t whole = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (n + 1 < whole)
		memset(text->at + at - 1 - n, '.', n + 1);
}

static void put(struct text *text, const char *bytes, size_t n)
{
	size_t room = text->size - text->used;
	bool is_cut = n > room;

	if (is_cut)
		n = room;
	if (n > 0)
		memcpy(text->at + text->used, bytes, n);
	text->used += n;
	if (is_cut && !text->cut)
		end_at_character(text);
	text->cut |= is_cut;
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
	const uint8_t *ipv4 = address_mapped_ipv4(address);
	int length, zeros = zero_groups(address, &length);

	if (ipv4) {
		text_string(text, "::ffff:");
		address4(text, ipv4);
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

const char *text_arrow(enum sl_call call)
{
	if (sl_call_accepts(call))
		return " <- ";
	switch (call) {
	case SL_CALL_socket:
	case SL_CALL_connect:
	case SL_CALL___connect:
		return " -> ";
	default:
		return " <-> ";
	}
}

const char *text_opened(enum sl_call call)
{
	if (sl_call_accepts(call))
		return "accepted by ";
	return call == SL_CALL_socket ? "opened to connect by " : "opened by ";
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
	"eof-read",  "never-read",    "read-unseen", "shut-not-closed", "reset",
	"duplicate", "held-by-child", "timed-out",   "stalled",         "connect-failed"};

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

	if (!why)
		text_string(text, "not known");
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & 1U << i) {
			text_string(text, separator);
			text_string(text, why_names[i]);
			separator = ", ";
		}
}

const char *text_note_name(enum sl_origin_kind origin_kind)
{
	static const char *const names[] = {NULL, "inherited", "received", "short",
					    "unknown"};

	return (unsigned)origin_kind < sizeof names / sizeof *names ? names[origin_kind]
								    : "unknown";
}

const char *text_peer_name(enum text_peer peer)
{
	static const char *const names[] = {"unknown", "FIN_WAIT_2", "forgotten"};

	return names[(unsigned)peer < sizeof names / sizeof *names ? peer : 0];
}

const char *text_state_name(unsigned tcp_state)
{
	static const char *const names[] = {
		"UNKNOWN",    "ESTABLISHED", "SYN_SENT",    "SYN_RECV",   "FIN_WAIT_1",
		"FIN_WAIT_2", "TIME_WAIT",   "CLOSE",       "CLOSE_WAIT", "LAST_ACK",
		"LISTEN",     "CLOSING",     "NEW_SYN_RECV"};

	return names[tcp_state < sizeof names / sizeof *names ? tcp_state : 0];
}

void text_use(struct text *text, const struct text_use *use, uint64_t n_sockets)
{
	if (n_sockets > 1) {
		text_string(text, use->n_sockets < n_sockets ? "" : "all ");
		text_unsigned(text, use->n_sockets);
		text_string(text, " ");
	}
	if (use->n_sockets < n_sockets) {
		text_string(text, "of ");
		text_unsigned(text, n_sockets);
		text_string(text, " ");
	}
	text_string(text, use->n_sockets > 1 ? "last used, e.g. " : "last used ");
	text_duration(text, use->ms);
	text_string(text, " ago");
	if (use->thread) {
		text_string(text, " by thread ");
		text_unsigned(text, (uint64_t)use->thread);
	}
	text_string(text, use->is_sent ? ": sent " : ": received ");
	text_string(text, use->bytes >= UINT32_MAX ? "at least " : "");
	text_unsigned(text, use->bytes);
	text_string(text, use->bytes == 1 ? " byte by " : " bytes by ");
	text_string(text, text_call_name(use->call));
	text_string(text, "()");
}

void text_uses(struct text *text, const struct text_place *place)
{
	for (unsigned i = 0; i < place->n_uses && i < TEXT_MAX_USES; i++) {
		const struct text_use *use = &place->uses[i];

		text_string(text, "  ");
		text_use(text, use, place->n_sockets);
		text_string(text, use->n_frames ? ":\n" : "\n");
		text_frames(text, use->frames, use->n_frames);
	}
}

static void json_escape(struct text *text, uint32_t code)
{
	text_string(text, "\\u");
	for (int shift = 12; shift >= 0; shift -= 4)
		text_hex(text, code >> shift & 15);
}

static void append_bytes(struct text *text, const char *at, unsigned n)
{
	char copy[5] = "";

	memcpy(copy, at, n);
	text_string(text, copy);
}

void text_json_string(struct text *text, const char *string)
{
	if (!string) {
		text_string(text, "null");
		return;
	}
	text_string(text, "\"");
	while (*string) {
		uint32_t code;
		unsigned n = text_character(string, &code);

		if (n == 0) { /* not UTF-8: the byte itself */
			json_escape(text, (unsigned char)*string++);
			continue;
		}
		if (code == '"' || code == '\\')
			text_string(text, "\\");
		if (text_is_control(code))
			json_escape(text, code);
		else
			append_bytes(text, string, n);
		string += n;
	}
	text_string(text, "\"");
}
