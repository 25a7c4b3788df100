/* The stack of the calling thread, from the stack pointer upwards. */
#ifndef SOCKLEAK_STACK_H
#define SOCKLEAK_STACK_H

#include "registers.h"

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

/* In a hook.  false: no memory. */
bool stack_copy(const uint64_t words[REGISTERS_N], struct stack_copy *copy);
void stack_free(struct stack_copy *copy);

/* In a hook: the first return addresses, innermost first, as frame pointers lead to them;
 * `words` are the registers of a function with a frame pointer.  Returns how many. */
uint32_t stack_returns(const uint64_t words[REGISTERS_N], uint64_t returns[],
		       uint32_t max);

/* All of it can be read now, by a call that every filter allows. */
bool stack_is_readable(uint64_t from, uint32_t bytes);

/* By the thread that works: a copy of `bytes` was too short, `distance` from the stack
 * pointer is where it ought to have reached. */
void stack_was_short(uint32_t bytes, uint64_t distance);

/* In a child of fork: every buffer is free. */
void stack_free_all(void);

#endif
