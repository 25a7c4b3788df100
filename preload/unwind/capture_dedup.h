/* Captures that are the same as one which waits already.  Until a place is unwound for
 * the first time every connection from there is a capture of its own: they share a slot.
 */
#ifndef SOCKLEAK_CAPTURE_DEDUP_H
#define SOCKLEAK_CAPTURE_DEDUP_H

#include "unwind/capture.h"

#include <stdint.h>

/* In a hook: queues it, or drops it for another one that waits already and has the same
 * callers.  Returns the word that stands for it.  When many wait, and of one place more
 * than can be looked through, nobody seems to unwind: then it keeps no copy, and those
 * that come after it find it by its first callers. */
uint32_t capture_dedup_queue(struct capture *capture);

/* In a child of fork: threads that were about to queue what they entered are gone. */
void capture_dedup_forget_all(void);

#endif
