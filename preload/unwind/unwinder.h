/* From a copy of a stack to its backtrace, by libunwind's remote interface.  One thread
 * at a time, inside modules_hold(). */
#ifndef SOCKLEAK_UNWINDER_H
#define SOCKLEAK_UNWINDER_H

#include "unwind/capture.h"

#include <stdbool.h>
#include <stdint.h>

#define UNWINDER_MAX_FRAMES 128
#define UNWINDER_MAX_READS  1024

/* A register or a word of the stack that the unwinder read. */
struct unwinder_read {
	uint32_t at; /* bytes from the stack pointer, or UNWINDER_REGISTER + its number */
	uint64_t value;
};
#define UNWINDER_REGISTER UINT32_C(0x80000000)

/* A backtrace, innermost first, without frames of the library. */
struct unwinder_backtrace {
	unsigned n_frames;
	/* Points into the call, or at the instruction a signal interrupted. */
	uint64_t frames[UNWINDER_MAX_FRAMES];
	/* Could not be followed to its end. */
	bool is_short;
	/* Somewhere the unwinder wanted to read what is neither copied nor in a module:
	 * at this address.  0 = nowhere. */
	uint64_t unreadable;
	/* It came to code outside all modules, at `outside`; it may go on behind. */
	bool is_cut;
	uint64_t outside;
	/* Some frame is not described by any unwind table: found by its frame pointer. */
	bool is_guessed;
	/* What it was derived from, each once; the order is the unwinder's.  0 where that
	 * is not all: too much, or it rests on what may be otherwise another time. */
	unsigned n_reads;
	struct unwinder_read reads[UNWINDER_MAX_READS];
};

/* What libunwind takes of malloc, 26 KB, once: without it copies are followed by frame
 * pointer.  Not where malloc may have been interrupted. */
void unwinder_allocate(void);
/* The list of modules has changed: tables read before may be others by now. */
void unwinder_forget(void);

/* Follows `capture`, to `max_frames` frames at most, and reads no more than it takes. */
void unwinder_follow(const struct capture *capture, unsigned max_frames,
		     struct unwinder_backtrace *backtrace);

#endif
