/* See texts.h.
 *
 * Ids are found by an open-addressing table of ids, at most half full, whose slots are
 * written once, by compare-and-swap.  A slot names an id whose text is stored already. */
#include "base/texts.h"

#include "base/arena.h"
#include "common/fnv.h"

#include <string.h>

const char *texts_get(struct texts *texts, uint16_t id)
{
	return id && id <= TEXTS_MAX ? atomic_load(&texts->at[id - 1]) : NULL;
}

uint32_t texts_count(struct texts *texts)
{
	return atomic_load(&texts->n);
}

/* Stores the text under the next id; 0 = there is no room.  Memory comes first: an id
 * without a text would keep all later ones out of the ledger. */
static uint16_t add(struct texts *texts, const char *text, size_t bytes)
{
	unsigned n = atomic_load(&texts->n);
	char *copy = n < TEXTS_MAX ? arena_take(bytes + 1) : NULL;
	const char *none = NULL;

	if (!copy)
		return 0;
	memcpy(copy, text, bytes);
	while (n < TEXTS_MAX &&
	       !atomic_compare_exchange_strong(&texts->at[n], &none, copy)) {
		none = NULL;
		n++;
	}
	if (n == TEXTS_MAX)
		return 0;
	/* All texts up to this one are stored; the thread that stored one may not have
	 * counted it yet. */
	for (unsigned now; (now = atomic_load(&texts->n)) <= n;)
		atomic_compare_exchange_strong(&texts->n, &now, now + 1);
	return (uint16_t)(n + 1);
}

/* Where two threads bring the same new text, both ids name it. */
uint16_t texts_id(struct texts *texts, const char *text, size_t bytes)
{
	uint16_t fresh = 0, id;

	if (bytes > TEXTS_MAX_BYTES - 1)
		bytes = TEXTS_MAX_BYTES - 1;
	for (uint64_t at = fnv_add(FNV_BASIS, text, bytes);; at++) {
		_Atomic uint16_t *slot = &texts->slots[at % TEXTS_SLOTS];

		while ((id = atomic_load(slot)) == 0) {
			fresh = fresh ? fresh : add(texts, text, bytes);
			if (!fresh || atomic_compare_exchange_strong(slot, &id, fresh))
				return fresh;
		}
		const char *known = texts_get(texts, id);
		if (strncmp(known, text, bytes) == 0 && !known[bytes])
			return id;
	}
}
