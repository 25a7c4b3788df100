/* Lines of languages, in numbered order: what a frame of a backtrace names that is not
 * native code.  Looking up: any thread.  Entering: the unwinding thread (origin.h). */
#ifndef SOCKLEAK_LINES_H
#define SOCKLEAK_LINES_H

#include "languages/languages.h"
#include "unwind/backtrace.h"

#include <stdint.h>

/* The id of what the frame says, the same for what has the same texts; 0 = no memory, or
 * its code is not known. */
uint32_t lines_id(const struct language_frame *frame);
/* NULL = there is no such id.  The memory stays for ever. */
const struct origin_line *lines_by_id(uint32_t id);
uint32_t lines_count(void); /* ids run from 1 to this */

/* In a child that was copied while a thread was entering a line. */
void lines_forget_index(void);

#endif
