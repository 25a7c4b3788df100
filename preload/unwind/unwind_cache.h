/* Backtraces recognised by the words that the unwinder read.  Looking up: any thread, any
 * signal, no lock.  Remembering and forgetting: the unwinding thread (origin.h). */
#ifndef SOCKLEAK_UNWIND_CACHE_H
#define SOCKLEAK_UNWIND_CACHE_H

#include "unwind/registers.h"
#include "unwind/unwinder.h"

#include <stdint.h>

/* Once. */
void unwind_cache_start(void);

/* Of the place a capture comes from: its first return address outside the library and the
 * distance of the frame pointer there.  `words` are the registers of a function that is
 * being called from a hook, both with frame pointers.  `frame_end`: see stack.h. */
uint64_t unwind_cache_key(const uint64_t words[REGISTERS_N], uint64_t *frame_end);

/* The backtrace remembered under `key` that is the one of this very moment;
 * 0 = none.  `words` lie on the stack, at the same place of the same function each time.
 */
uint32_t unwind_cache_find(uint64_t key, uint64_t frame_end,
			   const uint64_t words[REGISTERS_N]);
/* The same in the copy of a capture just taken: there every word may be read. */
uint32_t unwind_cache_find_copied(const struct capture *capture);

/* `backtrace` was found in a capture of this key and is backtrace `id`. */
void unwind_cache_remember(const struct capture *capture,
			   const struct unwinder_backtrace *backtrace, uint32_t id);

/* The list of modules has changed: what depends on it is forgotten. */
void unwind_cache_forget_gone(void);

#endif
