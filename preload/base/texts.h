/* Texts that a program gives (names of tests, notes): kept for the life of the process,
 * known by an id.
 *
 * Any thread.  Memory is bounded: of a table the first 4,096 different texts, each of at
 * most 1,023 bytes, are kept. */
#ifndef SOCKLEAK_TEXTS_H
#define SOCKLEAK_TEXTS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TEXTS_MAX       4096
#define TEXTS_SLOTS     8192 /* a power of two */
#define TEXTS_MAX_BYTES 1024 /* of one, with the terminator */

/* Zeroed, it holds none. */
struct texts {
	const char *_Atomic at[TEXTS_MAX];   /* by id - 1 */
	_Atomic uint16_t slots[TEXTS_SLOTS]; /* ids; 0 = free */
	_Atomic unsigned n;
};

/* The id of the first `bytes` of `text` (no NUL among them), from 1 and in order of first
 * use; 0 = no more texts are kept. */
uint16_t texts_id(struct texts *texts, const char *text, size_t bytes);
/* NULL = there is no such id. */
const char *texts_get(struct texts *texts, uint16_t id);
/* Ids run from 1 to this. */
uint32_t texts_count(struct texts *texts);

#endif
