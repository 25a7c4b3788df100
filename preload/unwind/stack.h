/* The stack of the calling thread, from the stack pointer upwards. */
#ifndef SOCKLEAK_STACK_H
#define SOCKLEAK_STACK_H

#include "unwind/registers.h"

#include <stdbool.h>
#include <stdint.h>

#define STACK_MAX_BYTES (128u << 10) /* copied */

struct stack_copy {
	char *at;        /* NULL = none */
	uint32_t bytes;  /* a multiple of 8 */
	uint32_t buffer; /* its number */
};

/* Once, in the main thread. */
void stack_start(void);

/* What follows runs in a hook.  `stack` is the stack pointer.  All up to `frame_end` may
 * be read in place: the outermost frame of ours ends there, of those that stand there now,
 * or, within the thread's own stack, an earlier copy did. */

/* How many bytes from `stack` up may be read in place, whatever other threads unmap. */
uint64_t stack_certain_bytes(uint64_t stack, uint64_t frame_end);
/* `stack`, and `bytes` below it, lie in the memory that this thread was given as its
 * stack.  (There may be a page at its end that may not be touched.) */
bool stack_is_own(uint64_t stack, uint64_t bytes);
/* Its end is known, or the kernel may be asked. */
bool stack_is_known(uint64_t stack);
/* How many bytes a copy made now would hold at most. */
uint32_t stack_reach(uint64_t stack, uint64_t frame_end);
/* Reads it from `from` on, in words of 8 bytes; never faults.  Returns how many bytes. */
uint32_t stack_read(uint64_t stack, uint64_t frame_end, uint64_t from, void *to,
		    uint32_t bytes);

/* false: no memory. */
bool stack_copy(const uint64_t words[REGISTERS_N], uint64_t frame_end,
		struct stack_copy *copy);
void stack_free(struct stack_copy *copy);

/* The first return addresses, innermost first, as frame pointers lead to them; `words`
 * are the registers of a function with a frame pointer.  Returns how many. */
uint32_t stack_returns(const uint64_t words[REGISTERS_N], uint64_t frame_end,
		       uint64_t returns[], uint32_t max);

/* By the unwinding thread: a copy of `bytes` was too short, `distance` from the stack
 * pointer is where it ought to have reached. */
void stack_was_short(uint32_t bytes, uint64_t distance);

/* In a child of fork: every buffer is free. */
void stack_free_all(void);

#endif
