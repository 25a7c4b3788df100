/* What a program says of a socket in its own words (sockleak_note()): frames of a
 * language of its own, whose code is a text. */
#ifndef SOCKLEAK_NOTES_H
#define SOCKLEAK_NOTES_H

#include "languages/languages.h"

#include <stdint.h>

/* Lines of one note that are kept. */
#define NOTES_MAX_LINES 32

/* A frame for each line of the text that is not empty, in their order.  Any thread.
 * Returns how many, 0 also where no more texts are kept. */
unsigned notes_read(const char *text, struct language_frame frames[NOTES_MAX_LINES]);
/* NULL = there is no such note. */
const char *notes_text(uint32_t identity);

#endif
