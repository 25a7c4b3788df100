/* Backtraces, each different one once, by number, for ever.  Looking up: any thread.
 * Entering: the unwinding thread (origin.h). */
#ifndef SOCKLEAK_BACKTRACES_H
#define SOCKLEAK_BACKTRACES_H

#include "unwind/backtrace.h"

/* The id of this content, 0 = no memory.  A host whose stacks are endlessly different
 * (recursion) gets new ones by their first frames only from some number on. */
uint32_t backtraces_intern(const uint64_t *frames, unsigned n, bool is_short);
/* What is known of it beside its content. */
void backtraces_describe_place(uint32_t id, uint32_t place);
void backtraces_describe_note(uint32_t id, uint32_t without_note);

/* NULL = there is no such id. */
const struct origin_backtrace *backtraces_by_id(uint32_t id);
uint32_t backtraces_count(void); /* ids run from 1 to this */

/* In a child that was copied while a thread was entering a backtrace: the index is made
 * anew. */
void backtraces_forget_index(void);

#endif
