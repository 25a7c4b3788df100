/* The JavaThread of the calling thread is the value of one of its keys, which HotSpot
 * sets when the thread begins and clears before it frees the JavaThread. */
#include "base/guard.h"
#include "languages/java_internal.h"

#include <limits.h>
#include <pthread.h>
#include <sys/syscall.h>

#define NO_KEY (-1)

static const struct java_layout *const layout = &java_layout;

static int key = NO_KEY; /* atomic */

/* Its first word, of a table of virtual functions. */
static bool is_object(struct java_walk *walk, uint64_t at)
{
	uint64_t functions = at && at % 8 == 0 ? java_word(walk, at) : 0;

	return functions >= java_machine.low && functions < java_machine.high &&
	       functions % 8 == 0;
}

/* Once it is, it stays this thread's until it is freed, and the key with it. */
static bool is_ours(struct java_walk *walk, uint64_t at)
{
	uint64_t self = (uint64_t)pthread_self();
	uint64_t known = at ^ self << 20;
	bool was_direct = walk->is_direct, is_proven = java_is_proven(known),
	     is_it = false;

	walk->is_direct = was_direct && is_proven;
	walk->has_failed = false;
	if (is_object(walk, at)) {
		uint64_t thread = java_word(walk, at + (uint64_t)layout->thread_os);

		is_it = !walk->has_failed &&
			java_word(walk, thread + (uint64_t)layout->os_pthread) == self &&
			(is_proven ||
			 (long)(int)java_number(
				 walk, thread + (uint64_t)layout->os_thread_id) ==
				 guard_sys(SYS_gettid));
	}
	is_it = is_it && !walk->has_failed;
	walk->has_failed = false; /* other values are anything */
	walk->is_direct = was_direct;
	if (is_it && !is_proven)
		java_note_proven(known);
	return is_it;
}

static uint64_t value_of(int number)
{
	return (uint64_t)(uintptr_t)pthread_getspecific((pthread_key_t)number);
}

uint64_t java_thread(struct java_walk *walk)
{
	int known = __atomic_load_n(&key, __ATOMIC_RELAXED);

	if (known != NO_KEY)
		return is_ours(walk, value_of(known)) ? value_of(known) : 0;
	for (int i = 0; i < PTHREAD_KEYS_MAX; i++)
		if (value_of(i) && is_ours(walk, value_of(i))) {
			__atomic_store_n(&key, i, __ATOMIC_RELAXED);
			return value_of(i);
		}
	return 0;
}
