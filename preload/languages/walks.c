/* See walks.h. */
#include "languages/walks.h"

#include "base/arena.h"
#include "base/sections.h"
#include "languages/languages.h"

#define N_WALKS 64

ARENA_TABLE static void *_Atomic walks[N_WALKS]; /* made when first needed */
static uint64_t n_lost;                          /* atomic */

void *walk_take(uint64_t owner, size_t bytes)
{
	uint32_t first = (uint32_t)(owner * UINT64_C(0x9e3779b97f4a7c15) >> 32) % N_WALKS;

	for (uint32_t i = 0; i < N_WALKS; i++) {
		uint32_t *is_taken = arena_map_once(&walks[(first + i) % N_WALKS], bytes);

		if (is_taken && !__atomic_exchange_n(is_taken, 1, __ATOMIC_ACQUIRE))
			return is_taken;
	}
	walk_note_lost();
	return NULL;
}

void walk_give(void *walk)
{
	__atomic_store_n((uint32_t *)walk, 0, __ATOMIC_RELEASE);
}

void walk_note_lost(void)
{
	__atomic_fetch_add(&n_lost, 1, __ATOMIC_RELAXED);
}

void walk_switch_language_off(void)
{
	__atomic_store_n(&languages_has_runtime, false, __ATOMIC_RELAXED);
}

uint64_t languages_lost(void)
{
	return __atomic_load_n(&n_lost, __ATOMIC_RELAXED);
}
