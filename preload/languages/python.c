/* CPython 3.8 to 3.13: the frames of the calling thread.
 *
 * The interpreter keeps the frames of a thread in a chain, which the thread alone extends
 * and shortens: it can be read in a hook with the interpreter's lock released.  Each
 * frame names its code object and the instruction it is at.  The code object has the
 * name, the file and a table of lines.
 *
 * Where these fields lie is a matter of the version.  What is read is believed while it
 * is what it must be: the thread state is this thread's; objects have the types they must
 * have; the instruction lies in the code; the code begins as a function does; its table
 * of lines covers just that code; texts end where they say; the chain ends with a frame
 * that C called.  And the first captures are compared with the interpreter's own answer,
 * which it gives on copies of its objects.  One that is wrong switches Python off; a
 * later one that is wrong gives no frames.
 *
 * Who may free what is read?  The frames of a running thread live until it returns, but
 * for the end of the interpreter: it frees the states of all other threads while they
 * wait in system calls, and from 3.11 on with them the memory that their frames lie in.
 * A flag says that it has begun, and is asked before and after; the moment between is why
 * only the main thread, which ends the interpreter itself, reads these in place.  Other
 * threads read copies that the kernel makes without a fault.  Where a filter may forbid
 * that, they have no frames.
 *
 * What frames refer to stays: at the end of the interpreter the references that they hold
 * are not given back.  So if the flag is still down when a copy has been made, the frames
 * in it were alive, and their code objects, and to 3.10 the frames themselves, are read
 * in place by every thread.  In 3.8 the end gives back the frames, too: there all is
 * copied.
 *
 * A frame that is being set up has no line yet, and is left out, as the interpreter's own
 * walks leave it out. */
#include "languages/python.h"

#include "base/guard.h"
#include "base/own_memory.h"
#include "base/sections.h"
#include "languages/python_internal.h"

#include <pthread.h>

static int32_t trials_left; /* atomic */
static bool was_at_start;
static pthread_t main_thread; /* of a Python that was there at the start */

static const struct python_runtime *const runtime = &python_runtime;

bool python_go_on_in_place(struct python_walk *walk)
{
	if (!walk->goes_on_in_place)
		return true;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	walk->reader.way = READER_IN_PLACE;
	return !runtime->is_finalizing();
}

static enum walk_verdict walk_state(struct python_walk *walk, uint64_t state,
				    struct language_frame frames[], unsigned size,
				    unsigned *n)
{
	enum walk_verdict verdict = python_frames_collect(walk, state);

	*n = 0;
	if (verdict == WALK_SOUND && !python_go_on_in_place(walk))
		verdict = WALK_UNSURE;
	if (verdict == WALK_SOUND && walk->reader.way != READER_IN_PLACE)
		python_code_want(walk);
	for (unsigned i = 0; i < walk->n_steps && *n < size && verdict == WALK_SOUND;
	     i++) {
		struct python_step *step = &walk->steps[i];

		if (!step->is_left_out)
			verdict = python_code_check(walk, step);
		if (verdict == WALK_SOUND && !step->is_left_out)
			verdict = python_code_show(walk, step, &frames[(*n)++]);
	}
	return verdict == WALK_WRONG && walk->reader.is_full ? WALK_UNSURE : verdict;
}

/* For a runtime that was loaded later, by any thread, the runtime itself says which
 * thread is its main one. */
static bool is_in_main_thread(void)
{
	const uint64_t *said =
		(const uint64_t *)(runtime->itself + (uint64_t)python_layout.main_thread);

	return was_at_start ? pthread_equal(pthread_self(), main_thread)
			    : __atomic_load_n(said, __ATOMIC_RELAXED) ==
				      (uint64_t)pthread_self();
}

/* false = the frames cannot be read. */
static bool choose_way(enum reader_way *way, bool is_trial)
{
	bool is_main = is_in_main_thread();

	*way = is_main && !is_trial   ? READER_IN_PLACE
	       : own_memory_may_ask() ? READER_BY_COPY
				      : READER_BY_PROVEN_COPY;
	return is_main || *way == READER_BY_COPY;
}

static void judge_trial(enum walk_verdict verdict, unsigned n)
{
	if (verdict == WALK_WRONG)
		walk_switch_language_off();
	else if (verdict == WALK_SOUND && n)
		__atomic_fetch_sub(&trials_left, 1, __ATOMIC_RELAXED);
}

unsigned python_walk(struct language_frame frames[], unsigned size)
{
	bool is_trial = __atomic_load_n(&trials_left, __ATOMIC_RELAXED) > 0;
	enum reader_way way;
	unsigned n;

	if (in_forked_copy() || runtime->is_finalizing() || !choose_way(&way, is_trial))
		return 0;
	uint64_t state = (uint64_t)(uintptr_t)runtime->thread_state();
	/* The walk knows what the last one of this thread read. */
	struct python_walk *walk = state ? walk_take(state >> 4, sizeof(*walk)) : NULL;
	if (!walk)
		return 0;
	walk->is_trial = is_trial;
	walk->goes_on_in_place =
		way == READER_BY_COPY && !is_trial && python_layout.minor >= 9;
	reader_begin(&walk->reader, way, state);
	enum walk_verdict verdict = walk_state(walk, state, frames, size, &n);
	if (walk->reader.is_full) {
		/* What the last walk wanted may have taken the room. */
		reader_begin(&walk->reader, way, 0);
		verdict = walk_state(walk, state, frames, size, &n);
	}
	if (walk->reader.is_full)
		walk_note_lost();
	walk_give(walk);
	if (runtime->is_finalizing())
		return 0;
	if (is_trial)
		judge_trial(verdict, n);
	return verdict == WALK_SOUND ? n : 0;
}

uint32_t python_trials_left(void)
{
	int32_t left = __atomic_load_n(&trials_left, __ATOMIC_RELAXED);

	return left > 0 ? (uint32_t)left : 0;
}

AT_START bool python_start(void *library)
{
	if (!python_layout_find(library))
		return false;
	was_at_start = !library;
	main_thread = pthread_self();
	trials_left = WALK_TRIALS;
	return true;
}

/* "libpython3.so" has nothing in it. */
bool python_is_library(const char *file_name)
{
	return strncmp(file_name, "libpython3.", 11) == 0 && file_name[11] >= '0' &&
	       file_name[11] <= '9';
}

/* As "_socket.cpython-311-x86_64-linux-gnu.so". */
bool python_is_module(const char *path)
{
	return strstr(path, ".cpython-3") || strstr(path, "/lib-dynload/");
}
