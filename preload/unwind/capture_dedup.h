/* Captures that are the same as one which waits already.  Until a place is unwound for
 * the first time every connection from there is a capture of its own: they share a slot.
 */
#ifndef SOCKLEAK_CAPTURE_DEDUP_H
#define SOCKLEAK_CAPTURE_DEDUP_H

#include "unwind/capture.h"

#include <stdint.h>

/* In a hook: queues it, or drops it for another one that waits already and has the same
 * callers.  Returns the word that stands for it.  When many captures wait, and more from
 * one place than can be compared, no thread seems to unwind them: then this one keeps no
 * copy of the stack, and later ones are compared with its first callers. */
uint32_t capture_dedup_queue(struct capture *capture);

/* In a child of fork: threads that were about to queue what they entered are gone. */
void capture_dedup_forget_all(void);

#endif
