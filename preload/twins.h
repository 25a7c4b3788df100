/* Captures that are the same as one which waits already.  Until a place is unwound for
 * the first time every connection from there is a capture of its own: they share a slot.
 */
#ifndef SOCKLEAK_TWINS_H
#define SOCKLEAK_TWINS_H

#include "capture.h"

#include <stdbool.h>
#include <stdint.h>

/* In a hook: the word of a capture that waits and has the same callers; 0 = none. */
uint32_t twins_find(const struct capture *capture);

/* In a hook: lets `word`, which stands for `capture`, be found.  false: as many of this
 * place wait as there is room for. */
bool twins_add(const struct capture *capture, uint32_t word);

/* The same where there is no room: it takes the place of another. */
void twins_replace(const struct capture *capture, uint32_t word);

/* In a child of fork: threads that were about to queue what they entered are gone. */
void twins_forget_all(void);

#endif
