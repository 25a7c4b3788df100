/* Captures that are the same as one which waits already.  Until a call site is
 * unwound for the first time every connection from there is captured: these captures share
 * a slot. */
#ifndef SOCKLEAK_CAPTURE_DEDUP_H
#define SOCKLEAK_CAPTURE_DEDUP_H

#include "unwind/capture.h"

#include <stdint.h>

/* In a hook: queues it, or drops it for another one that waits already and has the same
 * callers.  Returns the word that stands for it.  When many captures wait, and more from
 * one call site than can be compared, it seems that no thread unwinds them: then this one
 * keeps no copy of the stack, and later ones are compared with its first callers. */
uint32_t capture_dedup_queue(struct capture *capture);

/* Up to where the stack was copied of a capture that waits, of the same call site at the
 * same stack pointer: the kernel need not be asked about these pages again.  `frame_end`
 * where there is none. */
uint64_t capture_dedup_frame_end(uint64_t key, uint64_t stack, uint64_t frame_end);

/* In a child of fork: threads that were about to queue what they entered are gone. */
void capture_dedup_forget_all(void);

#endif
