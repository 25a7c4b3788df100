/* A str of one piece: its head, with the length in characters at 16 and the state at 32;
 * then the characters and a NUL.  Older, unready forms are not read: names are never
 * such.
 */
#include "languages/python_text.h"

#include "languages/python_layout.h"

#include <string.h>

#define HEAD_BYTES       40u
#define WANTED           128u /* bytes, of most: the head too */
#define MAX_LENGTH       4096u
#define STATE_KIND       2 /* shift; the width of a character */
#define STATE_IS_COMPACT 0x20u
#define STATE_IS_ASCII   0x40u

void python_text_want(struct reader *reader, uint64_t str)
{
	reader_want(reader, str, HEAD_BYTES, WANTED);
}

bool python_text_read(struct reader *reader, uint64_t str, struct python_text *text)
{
	const char *head = str % 8 ? NULL : reader_at(reader, str, HEAD_BYTES);
	uint64_t type, length;
	uint32_t state;

	if (!head)
		return false;
	memcpy(&type, head + 8, sizeof(type));
	memcpy(&length, head + 16, sizeof(length));
	memcpy(&state, head + 32, sizeof(state));
	text->width = state >> STATE_KIND & 7;
	text->is_ascii = state & STATE_IS_ASCII;
	text->length = (uint32_t)length;
	if (type != python_runtime.str_type || !(state & STATE_IS_COMPACT) ||
	    (text->width != 1 && text->width != 2 && text->width != 4))
		return false;
	reader->is_full |= length > MAX_LENGTH;
	if (length > MAX_LENGTH)
		return false;
	text->at =
		reader_at(reader,
			  str + (uint64_t)(text->is_ascii ? python_layout.ascii_text
							  : python_layout.compact_text),
			  (text->length + 1) * text->width);
	return text->at != NULL;
}

static uint32_t character(const struct python_text *text, uint32_t i)
{
	if (text->width == 1)
		return ((const uint8_t *)text->at)[i];
	if (text->width == 2)
		return ((const uint16_t *)text->at)[i];
	return ((const uint32_t *)text->at)[i];
}

bool python_text_is_sound(const struct python_text *text)
{
	for (uint32_t i = 0; i <= text->length; i++) {
		uint32_t c = character(text, i);

		if ((c == 0) != (i == text->length) || c > 0x10ffff ||
		    (text->is_ascii && (c > 0x7f || text->width != 1)))
			return false;
	}
	return true;
}

#define BYTES_OF_CHARACTER 4
#define REPLACEMENT        0xfffd /* for other halves of a surrogate pair */

/* Returns how many bytes. */
static uint32_t encode(uint32_t c, char to[BYTES_OF_CHARACTER])
{
	static const unsigned char marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

	if (c >= 0xdc80 && c <= 0xdcff) {
		to[0] = (char)(c - 0xdc00);
		return 1;
	}
	if (c >= 0xd800 && c <= 0xdfff)
		c = REPLACEMENT;
	uint32_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (uint32_t i = n - 1; i > 0; i--, c >>= 6)
		to[i] = (char)(0x80 | (c & 0x3f));
	to[0] = (char)(marks[n] | c);
	return n;
}

static uint32_t encoded_bytes(const struct python_text *text, uint32_t i)
{
	char bytes[BYTES_OF_CHARACTER];

	return encode(character(text, i), bytes);
}

#define CUT       "..."
#define CUT_BYTES (sizeof(CUT) - 1)

static uint32_t append(const struct python_text *text, uint32_t from, uint32_t to_end,
		       char *to, uint32_t used)
{
	for (uint32_t i = from; i < to_end; i++)
		used += encode(character(text, i), to + used);
	return used;
}

void python_text_copy(const struct python_text *text, bool keeps_end, char *to,
		      uint32_t size)
{
	uint32_t first = 0, end = text->length, bytes = 0, used = 0;

	for (uint32_t i = 0; i < end; i++)
		bytes += encoded_bytes(text, i);
	bool is_cut = bytes >= size;
	for (; is_cut && bytes + CUT_BYTES >= size && first < end;)
		bytes -= encoded_bytes(text, keeps_end ? first++ : --end);
	if (is_cut && keeps_end) {
		memcpy(to, CUT, CUT_BYTES);
		used = CUT_BYTES;
	}
	used = append(text, first, end, to, used);
	if (is_cut && !keeps_end) {
		memcpy(to + used, CUT, CUT_BYTES);
		used += CUT_BYTES;
	}
	to[used] = 0;
}
