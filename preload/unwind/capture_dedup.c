/* Whether two stacks have the same callers is known for sure only once one is unwound.
 * But what the unwinder looks at are addresses: of code, which lies in a module, or of
 * the stack itself.  So they have the same callers if wherever one has such an address
 * the other has the same.  Where both have something else, they may differ: should the
 * unwinder look there, it comes to an end in both.
 *
 * The loader's own table, which can be searched without a lock, says what lies in a
 * module; where the C library has no such thing, only equal stacks count as the same.
 *
 * A waiting capture may be unwound and its slot taken again at any moment: what is read
 * of it counts only if afterwards it still waits in the same generation. */
#include "unwind/capture_dedup.h"

#include "base/imports.h"
#include "base/sections.h"
#include "base/unchecked.h"

#include <stdatomic.h>
#include <string.h>

#define N_BUCKETS 256
#define N_ALIKE   32 /* of one call site, and those that collide with it */

ARENA_TABLE static uint32_t buckets[N_BUCKETS][N_ALIKE]; /* atomic; words, 0 = free */
static _Atomic bool is_used;                             /* not all are free */

static uint32_t *bucket_of(uint64_t key)
{
	return buckets[(key * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
}

/* What is to be compared, as read at one moment. */
struct view {
	uint64_t from, bytes;
	const uint64_t *words;
};

static bool is_in(const struct view *view, uint64_t value)
{
	return value - view->from <= view->bytes;
}

/* Neither on the stack nor in a module. */
static bool is_other(const struct view *view, uint64_t value)
{
	struct imports_extent found;

	if (value < 4096 || value >> 48 != 0)
		return true;
	return !is_in(view, value) && &imports_extent_of &&
	       imports_extent_of((void *)value, &found) != 0;
}

static bool is_same_word(const struct view *a, const struct view *b, uint64_t i)
{
	uint64_t one = registers_plain(a->words[i]);
	uint64_t other = registers_plain(b->words[i]);

	if (is_in(a, one) && is_in(b, other))
		return one - a->from == other - b->from;
	if (one == other && !is_in(a, one) && !is_in(b, other))
		return true;
	return is_other(a, one) && is_other(b, other);
}

UNCHECKED_MEMORY static bool is_same_stack(const struct view *a, const struct view *b)
{
	for (uint64_t i = 0; i < a->bytes / 8; i++)
		if (a->words[i] != b->words[i] || a->from != b->from)
			if (!is_same_word(a, b, i))
				return false;
	return true;
}

/* `waiting` is another thread's: see the head of this file. */
UNCHECKED_MEMORY static bool has_same_callers(const struct capture *waiting,
					      uint32_t word, const struct capture *mine)
{
	struct view theirs = {waiting->words[REGISTERS_SP], waiting->copy.bytes,
			      (const void *)waiting->copy.at};
	struct view ours = {mine->words[REGISTERS_SP], mine->copy.bytes,
			    (const void *)mine->copy.at};

	if (waiting->key != mine->key || theirs.bytes != ours.bytes)
		return false;
	const struct extension *extension = waiting->extension;
	if (extension || mine->extension)
		return extension && mine->extension &&
		       pairs_is_same(&extension->key, &mine->extension->key);
	if (waiting->n_returns != mine->n_returns || !theirs.words != !ours.words)
		return false;
	if (!ours.words)
		return memcmp(waiting->returns, mine->returns,
			      mine->n_returns * sizeof(*mine->returns)) == 0;
	return capture_still_waits(word) && is_same_stack(&theirs, &ours);
}

void capture_dedup_forget_all(void)
{
	if (is_used)
		memset(buckets, 0, sizeof(buckets));
}

/* The word of a capture that waits and has the same callers; 0 = none. */
static uint32_t find(const struct capture *capture)
{
	uint32_t *bucket = bucket_of(capture->key);

	for (unsigned i = 0; i < N_ALIKE; i++) {
		uint32_t word = __atomic_load_n(&bucket[i], __ATOMIC_ACQUIRE);
		if (word && capture_still_waits(word) &&
		    has_same_callers(capture_of(word), word, capture) &&
		    capture_share(word))
			return word;
	}
	return 0;
}

UNCHECKED_MEMORY uint64_t capture_dedup_frame_end(uint64_t key, uint64_t stack,
						  uint64_t frame_end)
{
	uint32_t *bucket = bucket_of(key);

	for (unsigned i = 0; i < N_ALIKE; i++) {
		uint32_t word = __atomic_load_n(&bucket[i], __ATOMIC_ACQUIRE);
		const struct capture *waiting = capture_of(word);
		uint64_t read_end = waiting->frame_end;
		if (word && waiting->key == key && !waiting->extension &&
		    waiting->words[REGISTERS_SP] == stack && read_end > frame_end &&
		    capture_still_waits(word))
			return read_end;
	}
	return frame_end;
}

/* Lets `word`, which stands for `capture`, be found.  false: as many of this call
 * site wait as there is room for. */
static bool add(const struct capture *capture, uint32_t word)
{
	uint32_t *bucket = bucket_of(capture->key);

	for (unsigned i = 0; i < N_ALIKE; i++) {
		uint32_t old = __atomic_load_n(&bucket[i], __ATOMIC_ACQUIRE);
		if (old && capture_still_waits(old))
			continue;
		if (__atomic_compare_exchange_n(&bucket[i], &old, word, false,
						__ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
			atomic_store_explicit(&is_used, true, memory_order_relaxed);
			return true;
		}
	}
	return false;
}

/* The same where there is no room: another one is found no more. */
static void replace(const struct capture *capture, uint32_t word)
{
	uint32_t *bucket = bucket_of(capture->key);

	__atomic_store_n(&bucket[capture->key % N_ALIKE], word, __ATOMIC_RELEASE);
	atomic_store_explicit(&is_used, true, memory_order_relaxed);
}

uint32_t capture_dedup_queue(struct capture *capture)
{
	uint32_t word = capture_word(capture), twin = find(capture);
	bool is_entered = !twin && add(capture, word);

	if (!twin && !is_entered && capture->copy.at && capture_is_crowded()) {
		capture_leave_copy(capture);
		twin = find(capture);
	}
	if (!twin && !is_entered && !capture->copy.at)
		replace(capture, word);
	if (twin) {
		capture_drop(capture);
		return twin;
	}
	capture_queue(capture);
	return word;
}
