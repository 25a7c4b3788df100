/* Which slots of a table are taken: a bit each, by any thread and any signal, in words
 * that begin as zero.  The lowest that is free is taken, so that what is in use lies in
 * the first pages of the table, however long it is used. */
#ifndef SOCKLEAK_SLOTS_H
#define SOCKLEAK_SLOTS_H

#include <stdatomic.h>
#include <stdint.h>

#define SLOTS_IN_WORD 64

/* -1: all of them are taken. */
static inline int slots_take(_Atomic uint64_t *words, unsigned n_words)
{
	for (unsigned i = 0; i < n_words; i++) {
		uint64_t taken = atomic_load_explicit(&words[i], memory_order_relaxed);

		while (~taken) {
			unsigned slot = (unsigned)__builtin_ctzll(~taken);

			if (atomic_compare_exchange_weak(&words[i], &taken,
							 taken | (1ULL << slot)))
				return (int)(i * SLOTS_IN_WORD + slot);
		}
	}
	return -1;
}

static inline void slots_give(_Atomic uint64_t *words, unsigned slot)
{
	atomic_fetch_and(&words[slot / SLOTS_IN_WORD], ~(1ULL << slot % SLOTS_IN_WORD));
}

/* One above the last that is taken. */
static inline unsigned slots_top(const _Atomic uint64_t *words, unsigned n_words)
{
	for (unsigned i = n_words; i-- > 0;) {
		uint64_t taken = atomic_load_explicit(&words[i], memory_order_acquire);

		if (taken)
			return (i + 1) * SLOTS_IN_WORD - (unsigned)__builtin_clzll(taken);
	}
	return 0;
}

static inline void slots_give_all(_Atomic uint64_t *words, unsigned n_words)
{
	for (unsigned i = 0; i < n_words; i++)
		atomic_store_explicit(&words[i], 0, memory_order_relaxed);
}

#endif
