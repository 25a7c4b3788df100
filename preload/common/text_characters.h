/* One character of a string from outside, for the text and the JSON writers. */
#ifndef SOCKLEAK_TEXT_CHARACTERS_H
#define SOCKLEAK_TEXT_CHARACTERS_H

#include <stdbool.h>
#include <stdint.h>

/* As in <sys/socket.h>, which the writers do without. */
#define TEXT_AF_INET  2
#define TEXT_AF_INET6 10

/* Bytes of the UTF-8 character at `string` (not at its end), its number in `*code`; 0 if
 * the first byte begins none: overlong forms, surrogates and what lies above U+10FFFF
 * are none. */
static inline unsigned text_character(const char *string, uint32_t *code)
{
	static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *at = (const unsigned char *)string;
	unsigned n = at[0] < 0x80   ? 1
		     : at[0] < 0xc0 ? 0
		     : at[0] < 0xe0 ? 2
		     : at[0] < 0xf0 ? 3
		     : at[0] < 0xf8 ? 4
				    : 0;

	if (n <= 1) {
		*code = at[0];
		return n;
	}
	*code = at[0] & (0x7fU >> n);
	for (unsigned i = 1; i < n; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (at[i] & 0x3fU);
	}
	if (*code < smallest[n] || *code > 0x10ffff ||
	    (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return n;
}

/* Characters that steer a terminal or turn the direction of what stands beside them. */
static inline bool text_is_control(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) ||
	       (code >= 0x200e && code <= 0x200f) || (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069);
}

#endif
