/* Copies of stacks that wait to be unwound, in numbered slots. */
#ifndef SOCKLEAK_CAPTURE_H
#define SOCKLEAK_CAPTURE_H

#include "common/ledger.h"
#include "languages/languages.h"
#include "unwind/pairs.h"
#include "unwind/registers.h"
#include "unwind/stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A capture's `state`: generation << 32 | one of these, or the id of a backtrace. */
#define CAPTURE_WAITS  UINT32_C(0)
#define CAPTURE_SHARED UINT32_C(0xfffffffd) /* waits; its word was given out again */
#define CAPTURE_WORKED UINT32_C(0xfffffffe) /* being unwound: shared no more */
#define CAPTURE_LOST   UINT32_C(0xffffffff)

/* Frames kept when there is no room for a copy. */
#define CAPTURE_MAX_SHORT 8

/* Frames of a language that are added to an origin, which may wait itself. */
struct extension {
	struct pair_key key; /* of that origin and the frames */
	unsigned n, n_tries;
	struct language_frame frames[SL_MAX_FRAMES]; /* innermost first */
};

struct capture {
	uint64_t state; /* atomic: generation << 32 | result; result 0 = waits */
	uint32_t module_list_version; /* module_list_version() when it was taken */
	uint64_t key;                 /* of the call site: unwind_cache_key() */
	uint64_t words[REGISTERS_N];  /* registers */
	uint32_t words_at;            /* where they lay: bytes from the stack pointer */
	uint64_t frame_end;           /* see stack.h */
	struct stack_copy copy;       /* .at NULL: `returns` instead */
	uint32_t n_returns;
	uint64_t returns[CAPTURE_MAX_SHORT]; /* return addresses, innermost first */
	struct extension
		*extension; /* NULL: it is one of a stack, else all that there is */
};

/* In a hook: takes a copy.  NULL: no slot.  It is then to be queued or dropped. */
struct capture *capture_take(uint64_t key, uint64_t frame_end,
			     const uint64_t words[REGISTERS_N]);
/* The same of frames that are added to the origin in `key`. */
struct capture *capture_extend(const struct pair_key *key,
			       const struct language_frame frames[], unsigned n);
/* The word that stands for it. */
uint32_t capture_word(const struct capture *capture);
void capture_queue(struct capture *capture);
/* So many wait that it seems no thread unwinds them. */
bool capture_is_crowded(void);
/* So many wait that what is only one of many need not. */
bool capture_has_backlog(void);
/* Keeps no copy of the stack, but the first return addresses. */
void capture_leave_copy(struct capture *capture);
/* Frees the slot at once: no other thread knows its word. */
void capture_drop(struct capture *capture);

/* True while copies wait. */
bool capture_waits(void);
/* What a word has become: see origin_resolve(). */
uint32_t capture_resolve(uint32_t word);

/* Whether a word adds a note, and to which origin.  True only if it still waits
 * afterwards. */
bool capture_has_note(uint32_t word, uint32_t *without);

/* For capture_dedup.c: */
struct capture *capture_of(uint32_t word);
bool capture_still_waits(uint32_t word);
/* Its word is given out once more; false: it does not wait any more. */
bool capture_share(uint32_t word);

/* By the unwinding thread: the oldest that waits, NULL = none; it is then to be
 * given to capture_done(). */
struct capture *capture_next(void);
void capture_done(struct capture *capture, uint32_t result);
/* Or, instead, to this: it waits on, behind all others. */
void capture_postpone(struct capture *capture);
/* Every word was resolved: slots that were done before the last such call are free. */
void capture_end_sweep(void);

/* In a child of fork: what waited waits on. */
void capture_fork_child(void);
/* In a child that was copied while a thread worked on them: nothing waits, every word is
 * lost. */
void capture_forget_all(void);

#endif
