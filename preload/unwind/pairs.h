/* Which backtrace a native one makes together with frames of a language.  Looking up:
 * any thread, any signal, no lock.  Remembering: the unwinding thread (origin.h). */
#ifndef SOCKLEAK_PAIRS_H
#define SOCKLEAK_PAIRS_H

#include "languages/languages.h"

#include <stdbool.h>
#include <stdint.h>

/* The frames are known by 128 bits of a hash of them: enough that two of them are never
 * the same by chance. */
struct pair_key {
	uint64_t print[2];
	uint32_t origin; /* of the native part, as in origin.h */
};

struct pair_key pairs_key(uint32_t origin, const struct language_frame frames[],
			  unsigned n);
/* The same of frames of backtraces. */
struct pair_key pairs_key_of_trace(const uint64_t frames[], unsigned n);
static inline bool pairs_is_same(const struct pair_key *a, const struct pair_key *b)
{
	return a->print[0] == b->print[0] && a->print[1] == b->print[1] &&
	       a->origin == b->origin;
}

/* The id of the backtrace; 0 = not known. */
uint32_t pairs_find(const struct pair_key *key);
void pairs_remember(const struct pair_key *key, uint32_t id);

#endif
