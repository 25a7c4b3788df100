/* The texts of CPython's str objects. */
#ifndef SOCKLEAK_PYTHON_TEXT_H
#define SOCKLEAK_PYTHON_TEXT_H

#include "languages/reader.h"

struct python_text {
	const void *at;  /* with a NUL character behind it */
	uint32_t length; /* characters */
	uint32_t width;  /* bytes a character: 1, 2 or 4 */
	bool is_ascii;
};

/* What a walk wants of one, before it reads it. */
void python_text_want(struct reader *reader, uint64_t str);
/* false = it is none, or cannot be read; or it is longer than a name is. */
bool python_text_read(struct reader *reader, uint64_t str, struct python_text *text);
/* There is no NUL but the one at its end, and its characters are what it says. */
bool python_text_is_sound(const struct python_text *text);
/* UTF-8, cut at its end or at its beginning.  A byte of a path that could not be decoded
 * (a lone surrogate, by surrogateescape) is that byte again. */
void python_text_copy(const struct python_text *text, bool keeps_end, char *to,
		      uint32_t size);

#endif
