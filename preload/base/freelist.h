/* Free lists that any thread and any signal may take from and give to: a word, count <<
 * 32 | number of the first, and an array with the number that follows each.  The count
 * keeps a list that was emptied and filled meanwhile from looking unchanged. */
#ifndef SOCKLEAK_FREELIST_H
#define SOCKLEAK_FREELIST_H

#include <stdbool.h>
#include <stdint.h>

/* 0 = the list is empty: numbers run from 1. */
static inline uint32_t freelist_pop(uint64_t *list, uint32_t *next)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_ACQUIRE), new;

	do {
		if (!(uint32_t)old)
			return 0;
		uint32_t second = __atomic_load_n(&next[(uint32_t)old], __ATOMIC_RELAXED);
		new = (((old >> 32) + 1) << 32) | second;
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return (uint32_t)old;
}

static inline void freelist_push(uint64_t *list, uint32_t *next, uint32_t number)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_RELAXED), new;

	do {
		__atomic_store_n(&next[number], (uint32_t)old, __ATOMIC_RELAXED);
		new = (((old >> 32) + 1) << 32) | number;
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

#endif
