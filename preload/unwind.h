/* From a copy of a stack to the chain of calls, by libunwind's remote interface.  One
 * thread at a time, inside modules_hold(). */
#ifndef SOCKLEAK_UNWIND_H
#define SOCKLEAK_UNWIND_H

#include "capture.h"

#include <stdbool.h>
#include <stdint.h>

/* The frames kept at most, and some of ours before them. */
#define UNWIND_MAX_FRAMES (128 + 16)
#define UNWIND_MAX_READS  1024

/* A register or a word of the stack that the unwinder looked at. */
struct unwind_read {
	uint32_t at; /* bytes from the stack pointer, or UNWIND_REGISTER + its number */
	uint64_t value;
};
#define UNWIND_REGISTER UINT32_C(0x80000000)

/* A chain, innermost first. */
struct unwind_chain {
	unsigned n_frames;
	/* Points into the call, or at the instruction a signal interrupted. */
	uint64_t frames[UNWIND_MAX_FRAMES];
	/* Could not be followed to its end. */
	bool is_short;
	/* Some frame is not described by any unwind table: found by its frame pointer. */
	bool is_guessed;
	/* What it was derived from, each once; the order is the unwinder's.  More than
	 * there is room for: n_reads is 0. */
	unsigned n_reads;
	struct unwind_read reads[UNWIND_MAX_READS];
};

/* Loads libunwind from the path it was built for.  Where it was noted before, only that
 * very file.  With guard_inside set. */
bool unwind_load(void);
/* Notes path, device and inode for a later unwind_load(). */
void unwind_note(void);
bool unwind_is_loaded(void);

/* Follows `capture`, to `max_frames` frames at most. */
void unwind(const struct capture *capture, unsigned max_frames,
	    struct unwind_chain *chain);

#endif
