/* CRuby 3.1: the frames of the calling thread or fiber.
 *
 * Ruby keeps the frames of a thread on a stack of its own, which the thread alone
 * changes: it can be followed in a hook with Ruby's lock (the GVL) released, as it is in
 * connect() and a blocking accept().  Each frame of Ruby code names its iseq and the
 * instruction it is at.  What rb_profile_frames() names instead is the method, whose file
 * and label are not those of a block or of eval() in it; and the calls that give the name
 * of a class allocate, which no thread may without the lock.  So there is no class.  The
 * names of functions of C are in a table that other threads change: their frames are left
 * out.
 *
 * What is read is believed while it is what it must be: frames fill their stack to its
 * end, each has a kind that there is; an iseq is one; the instruction lies in its code;
 * the first line stands where it must, the index of the table of lines counts just its
 * entries; texts are Strings.  The first captures are read by copies, which cannot fault,
 * and compared with what Ruby says: one that is wrong with the lock held switches Ruby
 * off; any other that is wrong gives no frames.
 *
 * Who may free what is read?  The frames keep their iseqs, and these their bodies and
 * texts.  But the collector may move objects of Ruby's heap where the program asks for
 * it, and protects their pages meanwhile.  A thread with the lock, outside the collector,
 * reads them in place.  Other threads read copies that the kernel makes without a fault;
 * where it may not be asked (under a filter), not while the collector works.  And what was
 * read while it began or worked is believed when it is read once more and is the same.
 *
 * Ruby takes a thread's context from it before it frees it. */
#include "languages/ruby.h"

#include "base/guard.h"
#include "base/own_memory.h"
#include "base/sections.h"
#include "languages/ruby_internal.h"

#define MAX_TRIES 4

ARENA_TABLE static int32_t trials_left; /* atomic */

static const struct ruby_runtime *const runtime = &ruby_runtime;

/* Frames of C stand between those of Ruby code, without a line. */
static bool ruby_says(const struct ruby_walk *walk, const struct ruby_step *step, int n,
		      int *at)
{
	while (*at < n && !walk->lines_said[*at] && step->line)
		++*at;
	return *at < n && (uint32_t)walk->lines_said[(*at)++] == step->line &&
	       (!walk->has_lock || (runtime->path(step->iseq) == step->path &&
				    runtime->label(step->iseq) == step->label));
}

/* What is asked without the lock is this thread's alone, and nothing by an object that
 * may move: those that ask for texts end the program where an object is none. */
static enum walk_verdict compare(struct ruby_walk *walk)
{
	int at = 0;

	if (!walk->has_lock && runtime->is_collecting())
		return WALK_UNSURE;
	int n = runtime->frames(0, 2 * RUBY_MAX_STEPS, walk->said, walk->lines_said);
	for (unsigned i = 0; i < walk->n_steps; i++)
		if (!ruby_says(walk, &walk->steps[i], n, &at))
			return WALK_WRONG;
	return WALK_SOUND;
}

static enum walk_verdict walk_once(struct ruby_walk *walk, uint64_t context,
				   struct language_frame frames[], unsigned size,
				   unsigned *n)
{
	enum walk_verdict verdict = ruby_frames_collect(walk, context, size);

	*n = 0;
	if (verdict == WALK_SOUND && walk->reader.way != READER_IN_PLACE)
		ruby_code_want(walk);
	for (unsigned i = 0; i < walk->n_steps && verdict == WALK_SOUND; i++)
		verdict = ruby_code_check(walk, &walk->steps[i]);
	for (unsigned i = 0; i < walk->n_steps && *n < size && verdict == WALK_SOUND; i++)
		if (!walk->steps[i].is_left_out)
			verdict = ruby_code_show(walk, &walk->steps[i], &frames[(*n)++]);
	if (verdict == WALK_SOUND && walk->is_trial)
		verdict = compare(walk);
	return verdict == WALK_WRONG && walk->reader.is_full ? WALK_UNSURE : verdict;
}

static bool is_as_before(const struct ruby_walk *walk,
			 const struct language_frame frames[], unsigned n)
{
	return n == walk->n_before &&
	       memcmp(frames, walk->before, n * sizeof(*frames)) == 0;
}

/* Objects move while the collector works. */
static enum walk_verdict walk_until_sure(struct ruby_walk *walk, enum reader_way way,
					 uint64_t context, struct language_frame frames[],
					 unsigned size, unsigned *n)
{
	for (unsigned tries = 0; tries < MAX_TRIES; tries++) {
		size_t before = runtime->n_collections();

		reader_begin(&walk->reader, way, context);
		enum walk_verdict verdict = walk_once(walk, context, frames, size, n);
		if (walk->has_lock ||
		    (runtime->n_collections() == before && !runtime->is_collecting()))
			return verdict;
		if (verdict == WALK_SOUND && tries && is_as_before(walk, frames, *n))
			return verdict;
		walk->n_before = verdict == WALK_SOUND ? *n : UINT32_MAX;
		memcpy(walk->before, frames, *n * sizeof(*frames));
	}
	return WALK_UNSURE;
}

/* false = what must be read cannot be. */
static bool choose_way(const struct ruby_walk *walk, enum reader_way *way)
{
	bool may_ask = own_memory_may_ask();

	*way = walk->has_lock && !walk->is_trial ? READER_IN_PLACE
	       : may_ask                         ? READER_BY_COPY
						 : READER_BY_PROVEN_COPY;
	return may_ask || walk->has_lock || !runtime->is_collecting();
}

static void judge_trial(enum walk_verdict verdict, bool has_lock, unsigned n)
{
	if (verdict == WALK_WRONG && has_lock)
		walk_switch_language_off();
	else if (verdict == WALK_SOUND && n)
		__atomic_fetch_sub(&trials_left, 1, __ATOMIC_RELAXED);
}

static uint64_t context_of_thread(void)
{
	return *(const uint64_t *)((const char *)__builtin_thread_pointer() +
				   runtime->context);
}

unsigned ruby_walk(struct language_frame frames[], unsigned size)
{
	uint64_t context = context_of_thread();
	enum reader_way way;
	unsigned n = 0;

	if (!context || in_forked_copy())
		return 0;
	struct ruby_walk *walk = walk_take(context >> 4, sizeof(*walk));
	if (!walk)
		return 0;
	walk->is_trial = __atomic_load_n(&trials_left, __ATOMIC_RELAXED) > 0;
	walk->has_lock = runtime->has_lock() && !runtime->is_collecting();
	enum walk_verdict verdict =
		choose_way(walk, &way)
			? walk_until_sure(walk, way, context, frames,
					  size < RUBY_MAX_STEPS ? size : RUBY_MAX_STEPS,
					  &n)
			: WALK_UNSURE;
	bool is_trial = walk->is_trial, has_lock = walk->has_lock;
	if (walk->reader.is_full)
		walk_note_lost();
	walk_give(walk);
	if (is_trial)
		judge_trial(verdict, has_lock, n);
	return verdict == WALK_SOUND ? n : 0;
}

uint32_t ruby_trials_left(void)
{
	int32_t left = __atomic_load_n(&trials_left, __ATOMIC_RELAXED);

	return left > 0 ? (uint32_t)left : 0;
}

bool ruby_start(void)
{
	trials_left = WALK_TRIALS;
	return ruby_layout_find();
}
