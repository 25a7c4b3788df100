/* Chains recognised by what the unwinder looked at.  Looking up: any thread, any signal,
 * no lock.  Remembering and forgetting: the one thread that works. */
#ifndef SOCKLEAK_LAYOUTS_H
#define SOCKLEAK_LAYOUTS_H

#include "registers.h"
#include "unwinder.h"

#include <stdint.h>

/* Once. */
void layouts_start(void);

/* Of the place a capture comes from: its first return address outside the library and the
 * distance of the frame pointer there.  `words` are the registers of a function that is
 * being called from a hook, both with frame pointers. */
uint64_t layouts_key(const uint64_t words[REGISTERS_N]);

/* The backtrace of a chain remembered under `key` that is the one of this very moment;
 * 0 = none.  `words` lie on the stack, at the same place of the same function each time.
 */
uint32_t layouts_find(uint64_t key, const uint64_t words[REGISTERS_N]);

/* `chain` was found in a capture of this key and is backtrace `id`. */
void layouts_remember(const struct capture *capture, const struct unwinder_chain *chain,
		      uint32_t id);

/* The list of modules has changed: what depends on it is forgotten. */
void layouts_forget_gone(void);

#endif
