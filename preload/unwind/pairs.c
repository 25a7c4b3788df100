/* See pairs.h.  Each bucket is a list that only ever gets a new head: a reader may be
 * anywhere in it. */
#include "unwind/pairs.h"

#include "base/arena.h"
#include "base/sections.h"

#include <stddef.h>

#define N_BUCKETS 16384       /* a power of two */
#define MAX_PAIRS (64 * 4096) /* 10 MiB; others are worked out each time */
#define OF_TRACE  UINT32_MAX  /* in the place of an origin */

struct pair {
	struct pair_key key;
	uint32_t id;
	const struct pair *next;
};

ARENA_TABLE static const struct pair *buckets[N_BUCKETS]; /* atomic */
static uint32_t n_pairs;

static void add_word(uint64_t print[2], uint64_t word)
{
	print[0] = (print[0] ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	print[0] ^= print[0] >> 32;
	print[1] = (print[1] + word) * UINT64_C(0xd6e8feb86659fd93);
	print[1] ^= print[1] >> 29;
}

struct pair_key pairs_key(uint32_t origin, const struct language_frame frames[],
			  unsigned n)
{
	struct pair_key key = {{n, ~(uint64_t)n}, origin};

	for (unsigned i = 0; i < n; i++) {
		add_word(key.print, frames[i].language);
		add_word(key.print, (uint64_t)frames[i].line << 32 | frames[i].identity);
	}
	return key;
}

struct pair_key pairs_key_of_trace(const uint64_t frames[], unsigned n)
{
	struct pair_key key = {{n, ~(uint64_t)n}, OF_TRACE};

	for (unsigned i = 0; i < n; i++)
		add_word(key.print, frames[i]);
	return key;
}

static const struct pair **bucket_of(const struct pair_key *key)
{
	uint64_t hash = key->print[0] + key->origin * UINT64_C(0x9e3779b97f4a7c15);

	return &buckets[hash >> 40 & (N_BUCKETS - 1)];
}

uint32_t pairs_find(const struct pair_key *key)
{
	const struct pair *pair = __atomic_load_n(bucket_of(key), __ATOMIC_ACQUIRE);

	for (; pair; pair = pair->next)
		if (pairs_is_same(&pair->key, key))
			return pair->id;
	return 0;
}

void pairs_remember(const struct pair_key *key, uint32_t id)
{
	const struct pair **bucket = bucket_of(key);

	if (n_pairs == MAX_PAIRS || pairs_find(key))
		return;
	struct pair *new = arena_take(sizeof(*new));
	if (!new)
		return;
	*new = (struct pair){*key, id, *bucket};
	n_pairs++;
	__atomic_store_n(bucket, new, __ATOMIC_RELEASE);
}
