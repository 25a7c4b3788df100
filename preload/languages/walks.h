/* What the walks of the frames of each runtime share: the memory of one, its verdict, and
 * how many walks are trials.  A process has one runtime at most. */
#ifndef SOCKLEAK_WALKS_H
#define SOCKLEAK_WALKS_H

#include <stddef.h>
#include <stdint.h>

enum walk_verdict {
	WALK_SOUND,
	WALK_UNSURE, /* no frames, but no sign of a wrong layout */
	WALK_WRONG
};

/* So many walks at the beginning are trials: they check more, and one that is wrong
 * switches the language off. */
#define WALK_TRIALS 16

/* Memory for one walk, too much for the host's stack.  It is zeroed before its first use,
 * and its first 32 bits are not 0 until walk_give().  The owner gets, if possible, what
 * it had last time.  NULL = there is none, which is counted.  Any thread, any signal
 * handler. */
void *walk_take(uint64_t owner, size_t bytes);
void walk_give(void *walk);
/* Counts, in languages_lost(), a walk that gives no frames for want of memory. */
void walk_note_lost(void);
void walk_switch_language_off(void);

#endif
