/* The texts of code objects: copied once, kept for ever, known by a number.  What a code
 * object is known by is a fingerprint of all that is shown of it; its address may be
 * another's a moment later. */
#ifndef SOCKLEAK_CODES_H
#define SOCKLEAK_CODES_H

#include "languages/languages.h"

#define CODES_MAX 12288u

/* A fingerprint that is being taken; begins with anything. */
struct codes_print {
	uint64_t chains[4];
};

void codes_mix(struct codes_print *print, const void *bytes, uint32_t n);
uint64_t codes_fingerprint(const struct codes_print *print);

/* 0 = it was never met. */
uint32_t codes_find(uint64_t fingerprint);
/* 0 = no memory, or CODES_MAX are known.  Two threads may add the same: both get its
 * number. */
uint32_t codes_add(uint64_t fingerprint, uint8_t language, const char *function,
		   const char *file);

/* Copies a text, terminated.  Of one that is too long the end of a function and the
 * beginning of a path are cut off, between two characters of UTF-8. */
void codes_write_function(const char *from, uint32_t bytes,
			  char to[LANGUAGE_FUNCTION_BYTES]);
void codes_write_file(const char *from, uint32_t bytes, char to[LANGUAGE_FILE_BYTES]);

/* Which line an instruction of this code is in, as it was last noted.  false = it is not
 * noted (any more). */
bool codes_line(uint32_t identity, uint32_t instruction, uint32_t *line);
void codes_note_line(uint32_t identity, uint32_t instruction, uint32_t line);

#endif
