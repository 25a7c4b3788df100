/* What may be executed, and lies in no module, as the kernel lists it.  The list may be
 * out of date by the time it is used: then an address is taken for no code, or what lies
 * there cannot be read. */
#include "unwind/generated_code.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/own_memory.h"
#include "base/sections.h"
#include "unwind/capture.h"
#include "unwind/modules.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define MAX_RANGES 1024
#define KEPT_NS    (10 * MS) /* reading the list takes up to a millisecond */

struct range {
	uint64_t start, end;
};

ARENA_TABLE static struct range ranges[MAX_RANGES]; /* ascending */
static unsigned n_ranges;
static uint64_t read_ns; /* 0 = never */

/* Where in a line of the list the reader is: "START-END rwxp ...". */
struct line {
	uint64_t start, end;
	unsigned n_blanks, n_flags;
	bool is_behind_dash, is_code;
};

static uint64_t add_digit(uint64_t number, char c)
{
	unsigned digit = c >= 'a' ? (unsigned)(c - 'a') + 10 : (unsigned)(c - '0');

	return number << 4 | (digit & 15);
}

static bool end_line(const struct line *line)
{
	if (!line->is_code)
		return true;
	if (n_ranges && ranges[n_ranges - 1].end == line->start) {
		ranges[n_ranges - 1].end = line->end;
		return true;
	}
	if (n_ranges == MAX_RANGES)
		return false;
	ranges[n_ranges++] = (struct range){line->start, line->end};
	return true;
}

static bool take_character(struct line *line, char c)
{
	if (c == '\n') {
		bool is_kept = end_line(line);

		*line = (struct line){0};
		return is_kept;
	}
	line->n_blanks += c == ' ';
	if (c == ' ')
		return true;
	if (line->n_blanks == 1)
		line->is_code |= line->n_flags++ == 2 && c == 'x';
	else if (line->n_blanks == 0 && c == '-')
		line->is_behind_dash = true;
	else if (line->n_blanks == 0 && line->is_behind_dash)
		line->end = add_digit(line->end, c);
	else if (line->n_blanks == 0)
		line->start = add_digit(line->start, c);
	return true;
}

/* false: it cannot be read, or is too long. */
static bool read_list(void)
{
	ARENA_TABLE static char piece[4096];
	struct line line = {0};
	struct stat is;
	bool is_kept = true;
	long fd = guard_open(AT_FDCWD, "/proc/thread-self/maps", O_RDONLY, 0, &is), n;

	n_ranges = 0;
	if (fd < 0)
		return false;
	while (is_kept && (n = guard_sys(SYS_read, fd, piece, sizeof(piece))) > 0) {
		for (long i = 0; i < n && is_kept; i++)
			is_kept = take_character(&line, piece[i]);
		guard_progressed();
	}
	guard_close(fd, &is);
	return is_kept && n == 0;
}

bool generated_code_find(void)
{
	uint64_t now = clock_now_ns();

	if (!own_memory_may_ask())
		return false;
	if (read_ns && now - read_ns < KEPT_NS)
		return n_ranges > 0;
	read_ns = now;
	if (!read_list())
		n_ranges = 0;
	return n_ranges > 0;
}

static bool is_code(uint64_t address)
{
	unsigned low = 0, high = n_ranges;

	while (low < high) {
		unsigned middle = (low + high) / 2;

		if (ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n_ranges && address >= ranges[low].start;
}

/* `before`: the eight bytes in front of the address to return to. */
static bool is_call(const unsigned char before[8])
{
#if defined __x86_64__
	const unsigned char *b = before;

	if (b[3] == 0xe8) /* call rel32 */
		return true;
	/* call r/m64: ff /2, by how long its operand is */
	return (b[6] == 0xff && ((b[7] & 0xf8) == 0xd0 || (b[7] & 0xf8) == 0x10)) ||
	       (b[5] == 0xff && ((b[6] & 0xf8) == 0x50 || b[6] == 0x14)) ||
	       (b[4] == 0xff && b[5] == 0x54) ||
	       (b[2] == 0xff && ((b[3] & 0xf8) == 0x90 || b[3] == 0x15)) ||
	       (b[1] == 0xff && (b[2] == 0x94 || b[2] == 0x14));
#else
	(void)before;
	return false; /* not tried on other machines */
#endif
}

static bool read_before(uint64_t address, unsigned char before[8])
{
	uint64_t word;

	if (!modules_at(address - 1))
		return own_memory_read(address - 8, before, 8) == 8;
	if (!modules_read(address - 8, false, &word))
		return false;
	memcpy(before, &word, sizeof(word));
	return true;
}

/* Behind a call. */
static bool is_returned_to(uint64_t address)
{
	unsigned char before[8];

	return is_code(address - 1) && read_before(address, before) && is_call(before);
}

bool generated_code_is_called(uint64_t address)
{
	return !modules_at(address - 1) && is_returned_to(address);
}

static uint64_t word_at(const struct capture *capture, uint64_t address)
{
	uint64_t word;

	memcpy(&word, capture->copy.at + (address - capture->words[REGISTERS_SP]),
	       sizeof(word));
	return registers_plain(word);
}

/* The word lies in the copy, at an address that a frame pointer may have. */
static bool is_in_copy(const struct capture *capture, uint64_t address)
{
	uint64_t from = capture->words[REGISTERS_SP], end = from + capture->copy.bytes;

	return address % 8 == 0 && address >= from && address < end &&
	       end - address >= 16;
}

/* A frame ends with the frame pointer of its caller and the address to return to.  Were
 * the frame pointer that of a frame further out, because this code has none or uses the
 * register otherwise, then another address to return to would lie before. */
bool generated_code_step(const struct capture *capture, struct generated_frame *frame)
{
	uint64_t at = frame->sp, end = frame->fp + 8;

	if (!is_in_copy(capture, at) || !is_in_copy(capture, frame->fp) || frame->fp < at)
		return false;
	while (at < end && !is_returned_to(word_at(capture, at)))
		at += 8;
	uint64_t caller = word_at(capture, frame->fp);
	bool is_inside = is_in_copy(capture, caller) && caller <= frame->fp;
	if (at < end || is_inside || !is_returned_to(word_at(capture, end)))
		return false;
	*frame = (struct generated_frame){word_at(capture, end), end + 8, caller};
	return true;
}

bool generated_code_returns_by(const struct capture *capture,
			       const struct generated_frame *frame)
{
	return is_in_copy(capture, frame->sp - 16) &&
	       word_at(capture, frame->sp - 8) == frame->ip;
}
