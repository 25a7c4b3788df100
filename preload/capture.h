/* Copies of stacks that wait to be unwound, in numbered slots. */
#ifndef SOCKLEAK_CAPTURE_H
#define SOCKLEAK_CAPTURE_H

#include "registers.h"
#include "stack.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A capture's `state`: generation << 32 | one of these, or the id of a backtrace. */
#define CAPTURE_WAITS  UINT32_C(0)
#define CAPTURE_SHARED UINT32_C(0xfffffffd) /* waits; its word was given out again */
#define CAPTURE_WORKED                                                                   \
	UINT32_C(0xfffffffe) /* being unwound: not to be shared any more                 \
			      */
#define CAPTURE_LOST UINT32_C(0xffffffff)

/* Frames kept when there is no room for a copy. */
#define CAPTURE_MAX_SHORT 8

struct capture {
	uint64_t state;   /* atomic: generation << 32 | result; result 0 = waits */
	uint32_t reading; /* modules_reading() when it was taken */
	uint64_t key;     /* of the place, see layouts_key() */
	uint64_t words[REGISTERS_N]; /* registers */
	uint32_t words_at;           /* where they lay: bytes from the stack pointer */
	struct stack_copy copy;      /* .at NULL: `returns` instead */
	uint32_t n_returns;
	uint64_t returns[CAPTURE_MAX_SHORT]; /* return addresses, innermost first */
};

/* In a hook: takes a copy and queues it.  The word that stands for it, or 0: no slot. */
uint32_t capture_take(uint64_t key, const uint64_t words[REGISTERS_N]);

/* True while copies wait. */
bool capture_waits(void);
/* What a word has become: see origin_settle(). */
uint32_t capture_settle(uint32_t word);

/* For those that look for twins: */
struct capture *capture_of(uint32_t word);
bool capture_still_waits(uint32_t word);
/* Its word is given out once more; false: it does not wait any more. */
bool capture_share(uint32_t word);

/* By the one thread that works: the oldest that waits, NULL = none; it is then to be
 * given to capture_done(). */
struct capture *capture_next(void);
void capture_done(struct capture *capture, uint32_t result);
/* Every word was settled: slots done before the sweep before this one are free. */
void capture_swept(void);

/* In a child of fork: what waited waits on. */
void capture_fork_child(void);
/* In one that was copied while somebody worked: nothing waits, every word is lost. */
void capture_forget_all(void);

#endif
