/* A note of four words, which any thread may write at any time.
 *
 * Two threads may write one note at once, or a signal handler on top of its own thread,
 * and a writer may never finish.  No writer waits: each word is written whole, and a
 * check over all four tells a reader whether they belong together.  A torn note reads as
 * none, until the next use. */
#ifndef SOCKLEAK_USE_NOTE_H
#define SOCKLEAK_USE_NOTE_H

#include "common/calls.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A call that moved data on a socket. */
struct use {
	uint64_t ns;     /* CLOCK_MONOTONIC; 0 = none is known */
	uint32_t origin; /* as in origin.h */
	uint32_t bytes;  /* that it moved; UINT32_MAX = as many, or more */
	uint32_t thread; /* as gettid() says; 0 = not known */
	uint8_t call;    /* enum sl_call */
	bool is_sent;    /* else received */
};

struct use_note {
	_Atomic uint64_t ns;
	_Atomic uint64_t size;   /* id of the socket << 32 | bytes */
	_Atomic uint64_t by;     /* check << 40 | see use_note_by() */
	_Atomic uint64_t origin; /* check << 32 | origin */
};

#define USE_NOTE_TRIES       4
#define USE_NOTE_CALL_SHIFT  23 /* threads below: the kernel's numbers have 22 bits */
#define USE_NOTE_SENT_SHIFT  31
#define USE_NOTE_DEPTH_SHIFT 32
#define USE_NOTE_CHECK_SHIFT 40
static_assert(SL_N_CALLS <= 256, "a call has 8 bits");

static inline uint64_t use_note_by(const struct use *use, uint8_t depth)
{
	return (uint64_t)depth << USE_NOTE_DEPTH_SHIFT |
	       (uint64_t)use->is_sent << USE_NOTE_SENT_SHIFT |
	       (uint64_t)use->call << USE_NOTE_CALL_SHIFT |
	       (use->thread & ((1U << USE_NOTE_CALL_SHIFT) - 1));
}

/* Of the words but for the origin, which a reader may settle.  Its upper part stands in
 * one word, its lower part in another. */
static inline uint64_t use_note_check(uint64_t ns, uint64_t size, uint64_t by)
{
	uint64_t mixed = ns * UINT64_C(0x9e3779b97f4a7c15);

	by &= (UINT64_C(1) << USE_NOTE_CHECK_SHIFT) - 1;
	mixed = (mixed ^ mixed >> 29 ^ size) * UINT64_C(0xd6e8feb86659fd93);
	mixed = (mixed ^ mixed >> 32 ^ by) * UINT64_C(0xbf58476d1ce4e5b9);
	return mixed ^ mixed >> 31;
}

/* `socket_id`: of the socket; `depth`: of forks, of the process that used it. */
static inline void use_note_write(struct use_note *note, const struct use *use,
				  uint32_t socket_id, uint8_t depth)
{
	uint64_t size = (uint64_t)socket_id << 32 | use->bytes,
		 by = use_note_by(use, depth);
	uint64_t check = use_note_check(use->ns, size, by);

	by |= check >> USE_NOTE_CHECK_SHIFT << USE_NOTE_CHECK_SHIFT;
	atomic_store_explicit(&note->ns, use->ns, memory_order_relaxed);
	atomic_store_explicit(&note->size, size, memory_order_relaxed);
	atomic_store_explicit(&note->by, by, memory_order_relaxed);
	atomic_store_explicit(&note->origin, check << 32 | use->origin,
			      memory_order_release);
}

/* One try.  `*is_torn`: the words do not belong together. */
static inline bool use_note_try(const struct use_note *note, uint32_t socket_id,
				uint8_t depth, struct use *use, bool *is_torn)
{
	uint64_t origin = atomic_load_explicit(&note->origin, memory_order_acquire);
	uint64_t ns = atomic_load_explicit(&note->ns, memory_order_relaxed);
	uint64_t size = atomic_load_explicit(&note->size, memory_order_relaxed);
	uint64_t by = atomic_load_explicit(&note->by, memory_order_relaxed);
	uint64_t check = use_note_check(ns, size, by);

	*is_torn = by >> USE_NOTE_CHECK_SHIFT != check >> USE_NOTE_CHECK_SHIFT ||
		   origin >> 32 != (uint32_t)check;
	*use = (struct use){
		.ns = ns,
		.origin = (uint32_t)origin,
		.bytes = (uint32_t)size,
		.thread = by & ((1U << USE_NOTE_CALL_SHIFT) - 1),
		.call = (uint8_t)(by >> USE_NOTE_CALL_SHIFT),
		.is_sent = by >> USE_NOTE_SENT_SHIFT & 1,
	};
	return !*is_torn && ns && size >> 32 == socket_id &&
	       (uint8_t)(by >> USE_NOTE_DEPTH_SHIFT) == depth;
}

/* false = none of this socket by this process, or it is torn.  `note` may be NULL. */
static inline bool use_note_read(const struct use_note *note, uint32_t socket_id,
				 uint8_t depth, struct use *use)
{
	bool is_torn = true;

	for (int i = 0; note && is_torn && i < USE_NOTE_TRIES; i++)
		if (use_note_try(note, socket_id, depth, use, &is_torn))
			return true;
	return false;
}

/* What `use`, as it was read, has for its origin becomes `origin`; nothing if another use
 * was noted meanwhile. */
static inline void use_note_resolve(struct use_note *note, const struct use *use,
				    uint32_t origin)
{
	uint64_t was = atomic_load_explicit(&note->origin, memory_order_relaxed);

	if (origin == use->origin || (uint32_t)was != use->origin)
		return;
	atomic_compare_exchange_strong(&note->origin, &was, was >> 32 << 32 | origin);
}

#endif
