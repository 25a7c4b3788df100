/* Slots are kept in a free list.  A word names a slot and its generation; the generation
 * moves when the slot is taken again, so an old word never names another capture. */
#include "unwind/capture.h"

#include "base/arena.h"
#include "base/freelist.h"
#include "base/memcheck.h"
#include "base/sections.h"
#include "common/text.h"
#include "unwind/backtrace.h"
#include "unwind/modules.h"

#include <stdatomic.h>
#include <string.h>

#define INDEX_BITS      13
#define N_CAPTURES      (1u << INDEX_BITS)
#define MIN_QUARANTINED 512
#define BACKLOG_HIGH    (N_CAPTURES / 4)
#define BACKLOG_LOW     (N_CAPTURES / 8)
#define GENERATION_MASK ((1u << (31 - INDEX_BITS)) - 1)

ARENA_TABLE static struct capture captures[N_CAPTURES];
/* In whatever list each is; 0 = the end. */
ARENA_TABLE static uint32_t next_capture[N_CAPTURES + 1];
/* One a slot; NULL before the first is needed: only hosts with a language need any. */
static struct extension *_Atomic extensions;
static uint64_t free_captures;      /* atomic; a free list, see freelist.h */
static _Atomic uint32_t n_captures; /* those above were never taken; may run past */
static _Atomic uint32_t waiting;    /* newest first; only ever taken whole */
static _Atomic uint32_t n_waiting;
static uint32_t todo; /* the unwinding thread's: oldest first */

/* The unwinding thread's: what is done, oldest first.  A slot is not taken again at once,
 * so that a word which was not resolved yet is not lost.  A sweep resolves all words (see
 * origin_end_sweep()). */
static struct {
	uint32_t first, last;
	uint32_t n_settled; /* the oldest: done before the last two sweeps */
	uint32_t n_swept;   /* the next: done before the last sweep alone */
	uint32_t n_done;    /* the youngest: done since */
} quarantine;

AT_START bool capture_waits(void)
{
	return atomic_load_explicit(&n_waiting, memory_order_relaxed) != 0;
}

/* A slot of the next generation, which waits; its number, 0 = all are taken. */
static uint32_t take_slot(void)
{
	uint32_t number = freelist_pop(&free_captures, next_capture);

	if (!number) {
		if (atomic_load_explicit(&n_captures, memory_order_relaxed) >= N_CAPTURES)
			return 0;
		number = atomic_fetch_add_explicit(&n_captures, 1, memory_order_relaxed) +
			 1;
		if (number > N_CAPTURES)
			return 0;
	}
	struct capture *capture = &captures[number - 1];
	uint64_t generation =
		(__atomic_load_n(&capture->state, __ATOMIC_RELAXED) >> 32) + 1;
	/* Before its content changes. */
	__atomic_exchange_n(&capture->state, (generation & GENERATION_MASK) << 32,
			    __ATOMIC_ACQ_REL);
	return number;
}

static uint32_t word_of(uint32_t number)
{
	uint64_t state = __atomic_load_n(&captures[number - 1].state, __ATOMIC_RELAXED);

	return ORIGIN_PENDING_BIT | (uint32_t)(state >> 32) << INDEX_BITS | (number - 1);
}

static void enqueue(uint32_t number)
{
	uint32_t old = atomic_load_explicit(&waiting, memory_order_relaxed);

	atomic_fetch_add_explicit(&n_waiting, 1, memory_order_relaxed);
	do {
		__atomic_store_n(&next_capture[number], old, __ATOMIC_RELAXED);
	} while (!atomic_compare_exchange_weak_explicit(
		&waiting, &old, number, memory_order_release, memory_order_relaxed));
}

static uint32_t number_of(const struct capture *capture)
{
	return (uint32_t)(capture - captures) + 1;
}

void capture_drop(struct capture *capture)
{
	stack_free(&capture->copy);
	freelist_push(&free_captures, next_capture, number_of(capture));
}

bool capture_is_crowded(void)
{
	return atomic_load_explicit(&n_waiting, memory_order_relaxed) >= BACKLOG_HIGH;
}

bool capture_has_backlog(void)
{
	return atomic_load_explicit(&n_waiting, memory_order_relaxed) >= BACKLOG_LOW;
}

void capture_leave_copy(struct capture *capture)
{
	stack_free(&capture->copy);
	capture->n_returns = stack_returns(capture->words, capture->frame_end,
					   capture->returns, CAPTURE_MAX_SHORT);
}

uint32_t capture_word(const struct capture *capture)
{
	return word_of(number_of(capture));
}

void capture_queue(struct capture *capture)
{
	enqueue(number_of(capture));
}

struct capture *capture_take(uint64_t key, uint64_t frame_end,
			     const uint64_t words[REGISTERS_N])
{
	uint32_t number = take_slot();

	if (!number)
		return NULL;
	struct capture *capture = &captures[number - 1];
	for (unsigned i = 0; i < REGISTERS_N; i++)
		capture->words[i] = words[i];
	memcheck_define(capture->words, sizeof(capture->words));
	capture->key = key;
	capture->words_at = (uint32_t)((uintptr_t)words - words[REGISTERS_SP]);
	capture->frame_end = frame_end;
	capture->module_list_version = module_list_version();
	capture->extension = NULL;
	capture->n_returns = 0;
	if (!stack_copy(words, frame_end, &capture->copy)) {
		capture->n_returns = stack_returns(words, frame_end, capture->returns,
						   CAPTURE_MAX_SHORT);
		return capture;
	}
	uint64_t read_end = words[REGISTERS_SP] + capture->copy.bytes;
	if (read_end > frame_end && stack_is_own(words[REGISTERS_SP], 0))
		capture->frame_end = read_end;
	return capture;
}

struct capture *capture_extend(const struct pair_key *key,
			       const struct language_frame frames[], unsigned n)
{
	struct extension *all =
		arena_map_once((void *_Atomic *)&extensions, N_CAPTURES * sizeof(*all));
	uint32_t number = all ? take_slot() : 0;

	if (!number)
		return NULL;
	struct capture *capture = &captures[number - 1];
	struct extension *extension = &all[number - 1];
	extension->key = *key;
	extension->n = n < SL_MAX_FRAMES ? n : SL_MAX_FRAMES;
	extension->n_tries = 0;
	for (unsigned i = 0; i < extension->n; i++)
		extension->frames[i] = frames[i];
	capture->extension = extension;
	capture->key = key->print[0];
	capture->n_returns = 0;
	return capture;
}

bool capture_has_note(uint32_t word, uint32_t *without)
{
	const struct extension *extension = capture_of(word)->extension;

	if (!extension || !text_is_said(extension->frames[0].language))
		return false;
	*without = extension->key.origin;
	return true;
}

struct capture *capture_of(uint32_t word)
{
	return &captures[word % N_CAPTURES];
}

/* The generation a word names. */
static uint64_t generation_of(uint32_t word)
{
	return (word & ~ORIGIN_PENDING_BIT) >> INDEX_BITS;
}

static bool is_waiting(uint64_t state, uint32_t word)
{
	uint32_t result = (uint32_t)state;

	return state >> 32 == generation_of(word) &&
	       (result == CAPTURE_WAITS || result == CAPTURE_SHARED);
}

/* An atomic addition and no mere load: all that was read of the capture before this call
 * was read before its slot was taken again. */
bool capture_still_waits(uint32_t word)
{
	uint64_t *state = &capture_of(word)->state;

	return is_waiting(__atomic_fetch_add(state, 0, __ATOMIC_ACQ_REL), word);
}

bool capture_share(uint32_t word)
{
	uint64_t *state = &capture_of(word)->state;
	uint64_t old = __atomic_load_n(state, __ATOMIC_ACQUIRE);

	while (is_waiting(old, word))
		if (__atomic_compare_exchange_n(
			    state, &old, generation_of(word) << 32 | CAPTURE_SHARED, true,
			    __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

uint32_t capture_resolve(uint32_t word)
{
	uint64_t state = __atomic_load_n(&capture_of(word)->state, __ATOMIC_ACQUIRE);
	uint32_t result = (uint32_t)state;

	if (state >> 32 != generation_of(word) || result == CAPTURE_LOST)
		return 0;
	if (result == CAPTURE_WAITS || result == CAPTURE_SHARED ||
	    result == CAPTURE_WORKED)
		return word;
	return result;
}

/* Turns what came in meanwhile round: it lies newest first. */
static void fetch(void)
{
	uint32_t number = atomic_exchange_explicit(&waiting, 0, memory_order_acquire);

	while (number) {
		uint32_t next = next_capture[number];
		next_capture[number] = todo;
		todo = number;
		number = next;
	}
}

/* Hooks may share it at the same time, so long as it waits. */
static void set_result(struct capture *capture, uint32_t result)
{
	uint64_t state = __atomic_load_n(&capture->state, __ATOMIC_RELAXED);

	while (!__atomic_compare_exchange_n(&capture->state, &state,
					    state >> 32 << 32 | result, true,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		continue;
}

struct capture *capture_next(void)
{
	if (!todo)
		fetch();
	if (!todo)
		return NULL;
	uint32_t number = todo;
	todo = next_capture[number];
	set_result(&captures[number - 1], CAPTURE_WORKED);
	return &captures[number - 1];
}

/* A hook that shares its word meanwhile finds that it still waits. */
void capture_postpone(struct capture *capture)
{
	set_result(capture, CAPTURE_SHARED);
	atomic_fetch_sub_explicit(&n_waiting, 1, memory_order_relaxed);
	enqueue(number_of(capture));
}

void capture_done(struct capture *capture, uint32_t result)
{
	uint32_t number = number_of(capture);

	set_result(capture, result);
	stack_free(&capture->copy);
	next_capture[number] = 0;
	if (quarantine.first)
		next_capture[quarantine.last] = number;
	else
		quarantine.first = number;
	quarantine.last = number;
	quarantine.n_done++;
	atomic_fetch_sub_explicit(&n_waiting, 1, memory_order_relaxed);
}

static void free_oldest(void)
{
	uint32_t number = quarantine.first;

	quarantine.first = next_capture[number];
	freelist_push(&free_captures, next_capture, number);
	quarantine.n_settled--;
}

/* A slot is reused two sweeps later: a hook may still have its word, and not have put it
 * where a sweep finds it. */
void capture_end_sweep(void)
{
	quarantine.n_settled += quarantine.n_swept;
	quarantine.n_swept = quarantine.n_done;
	quarantine.n_done = 0;
	while (quarantine.n_settled > MIN_QUARANTINED)
		free_oldest();
}

/* The child does not have the threads that were about to queue a capture: these captures
 * are lost. */
void capture_fork_child(void)
{
	n_waiting = 0;
	for (uint32_t number = todo; number; number = next_capture[number])
		n_waiting++;
	for (uint32_t number = waiting; number; number = next_capture[number])
		n_waiting++;
}

void capture_forget_all(void)
{
	uint32_t n_used = n_captures < N_CAPTURES ? n_captures : N_CAPTURES;

	waiting = n_waiting = 0;
	todo = 0;
	memset(&quarantine, 0, sizeof(quarantine));
	free_captures = 0;
	n_captures = n_used;
	for (uint32_t number = 1; number <= n_used; number++) {
		struct capture *capture = &captures[number - 1];
		uint64_t generation = ((capture->state >> 32) + 1) & GENERATION_MASK;
		capture->state = generation << 32 | CAPTURE_LOST;
		capture->copy = (struct stack_copy){0};
		freelist_push(&free_captures, next_capture, number);
	}
	stack_free_all();
}
