/* To 3.9 (co_lnotab) and in 3.10 (co_linetable) pairs of bytes: how much code, how many
 * lines.  To 3.9 the lines are added after that code, in 3.10 before it.  From 3.11 on
 * the location table: entries of a first byte with the highest bit set, which holds the
 * form and the number of code units, and of others without that bit.
 *
 * See Objects/lnotab_notes.txt and Objects/locations.md in CPython's source. */
#include "languages/python_lines.h"

#define NO_LINE_3_10 (-128)

enum location_form {
	FORM_ONE_LINE_0 = 10,
	FORM_ONE_LINE_2 = 12,
	FORM_NO_COLUMNS = 13,
	FORM_LONG = 14,
	FORM_NONE = 15,
};

static bool is_first(unsigned byte)
{
	return byte & 0x80;
}

static uint32_t code_bytes_of(unsigned first)
{
	return ((first & 7) + 1) * 2;
}

static bool locations_cover(const struct python_lines *lines, uint32_t code_bytes)
{
	uint64_t sum = 0;

	if (lines->bytes && !is_first(lines->table[0]))
		return false;
	for (uint32_t i = 0; i < lines->bytes; i++)
		if (is_first(lines->table[i]))
			sum += code_bytes_of(lines->table[i]);
	return sum == code_bytes;
}

bool python_lines_cover(const struct python_lines *lines, uint32_t code_bytes)
{
	uint64_t sum = 0;

	if (lines->minor >= 11)
		return locations_cover(lines, code_bytes);
	if (lines->bytes & 1)
		return false;
	for (uint32_t i = 0; i < lines->bytes; i += 2)
		sum += lines->table[i];
	return lines->minor == 10 ? sum == code_bytes : sum <= code_bytes;
}

static int signed_byte(unsigned byte)
{
	return byte < 0x80 ? (int)byte : (int)byte - 0x100;
}

static uint32_t shown(int64_t line)
{
	return line > 0 && line <= INT32_MAX ? (uint32_t)line : 0;
}

static uint32_t find_in_lnotab(const struct python_lines *lines, int offset)
{
	int64_t line = lines->first_line, end = 0;

	for (uint32_t i = 0; i + 1 < lines->bytes; i += 2) {
		end += lines->table[i];
		if (end > offset)
			break;
		line += signed_byte(lines->table[i + 1]);
	}
	return shown(line);
}

static uint32_t find_in_linetable(const struct python_lines *lines, int offset)
{
	int64_t line = lines->first_line, end = 0;

	for (uint32_t i = 0; i + 1 < lines->bytes; i += 2) {
		int more = signed_byte(lines->table[i + 1]);

		line += more == NO_LINE_3_10 ? 0 : more;
		end += lines->table[i];
		if (end > offset)
			return more == NO_LINE_3_10 ? 0 : shown(line);
	}
	return 0;
}

/* A number of six bits a byte, the lowest first; bit 6 says that more follow. */
static int64_t read_signed(const struct python_lines *lines, uint32_t at)
{
	uint64_t value = 0;

	for (unsigned shift = 0; at < lines->bytes && shift < 36; at++, shift += 6) {
		value |= (uint64_t)(lines->table[at] & 63) << shift;
		if (!(lines->table[at] & 64))
			break;
	}
	return value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
}

static int64_t lines_added(const struct python_lines *lines, uint32_t at, unsigned form)
{
	if (form >= FORM_ONE_LINE_0 && form <= FORM_ONE_LINE_2)
		return form - FORM_ONE_LINE_0;
	if (form == FORM_NO_COLUMNS || form == FORM_LONG)
		return read_signed(lines, at + 1);
	return 0;
}

static uint32_t find_in_locations(const struct python_lines *lines, int offset)
{
	int64_t line = lines->first_line, end = 0;

	for (uint32_t i = 0; i < lines->bytes; i++) {
		unsigned first = lines->table[i], form = first >> 3 & 15;

		if (!is_first(first))
			continue;
		line += lines_added(lines, i, form);
		end += code_bytes_of(first);
		if (end > offset)
			return form == FORM_NONE ? 0 : shown(line);
	}
	return 0;
}

uint32_t python_lines_find(const struct python_lines *lines, int offset)
{
	if (offset < 0)
		return shown(lines->first_line);
	if (lines->minor <= 9)
		return find_in_lnotab(lines, offset);
	if (lines->minor == 10)
		return find_in_linetable(lines, offset);
	return find_in_locations(lines, offset);
}
