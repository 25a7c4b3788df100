/* Copies of stacks that wait to be unwound, in numbered slots. */
#ifndef SOCKLEAK_CAPTURE_H
#define SOCKLEAK_CAPTURE_H

#include "registers.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Frames kept when there is no room for a copy. */
#define CAPTURE_MAX_SHORT 8
#define CAPTURE_MAX_BYTES (128u << 10) /* of a stack */
#define CAPTURE_LOST      UINT32_MAX   /* as a result */

struct capture {
	uint64_t state;   /* atomic: generation << 32 | result; result 0 = waits */
	uint32_t reading; /* modules_reading() when it was taken */
	uint64_t key;     /* of the place, see layouts_key() */
	uint64_t words[REGISTERS_N]; /* registers */
	uint32_t words_at;           /* where they lay: bytes from the stack pointer */
	char *copy;      /* of the stack from the stack pointer on; NULL = `returns` */
	uint32_t bytes;  /* of the copy, a multiple of 8 */
	uint32_t buffer; /* its number, 0 = none */
	uint32_t n_returns;
	uint64_t returns[CAPTURE_MAX_SHORT]; /* return addresses, innermost first */
};

/* Once, in the main thread. */
void capture_start(void);

/* In a hook: takes a copy and queues it.  The word that stands for it, or 0: no slot. */
uint32_t capture_take(uint64_t key, const uint64_t words[REGISTERS_N]);

/* True while copies wait. */
bool capture_waits(void);
/* What a word has become: see origin_settle(). */
uint32_t capture_settle(uint32_t word);

/* By the one thread that works: the oldest that waits, NULL = none; it is then to be
 * given to capture_done(), or back to be asked for again. */
struct capture *capture_next(void);
void capture_give_back(struct capture *capture);
void capture_done(struct capture *capture, uint32_t result);
/* Every word was settled: slots done before the sweep before this one are free. */
void capture_swept(void);

/* In a child of fork: nothing waits, every word of the parent's is lost. */
void capture_forget_all(void);

#endif
