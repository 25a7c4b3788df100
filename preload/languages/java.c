/* HotSpot 17 and 25: the frames of the calling thread.
 *
 * A thread that calls native code leaves a note of where it left Java.  From there the
 * frames can be followed by what the machine tells debuggers of itself (java_layout.c),
 * and by nothing of the Java heap, whose objects the collector moves meanwhile.
 *
 * Who may free what is read?  The machine keeps methods and compiled code while a frame
 * of theirs stands, whatever it unloads beside, so until the hook returns.  Heaps of code
 * only grow.  After the hook the memory of a method may be another's: texts are copied
 * in it, and known by their content.  Another thread may mark frames of ours as
 * deoptimised meanwhile: where they go on stands in the frame before it is marked.
 *
 * What is read is believed while it is what it must be: the JavaThread knows this
 * thread's numbers; frames lie one above the other on this stack; return addresses lie in
 * blocks of the code cache that are in use, and are just those that compiled code
 * describes; the outermost scope is of the method that was compiled; indices lie in their
 * tables; the JDK's own classes are in the files that they are known to be in; the chain
 * ends with a stub that nothing of Java had called.  In the first walks, and in the first
 * that meet compiled code, all is read by copies, which cannot fault, and one that is
 * wrong switches Java off; later only what was not met before is.  Of those an eighth may
 * be wrong, and gives no frames.
 *
 * Where the JDK's own innermost frames are more than are kept, some in the middle are left
 * out, so that the first frames of the program are there. */
#include "languages/java.h"

#include "base/guard.h"
#include "base/own_memory.h"
#include "base/sections.h"
#include "languages/java_internal.h"

#include <pthread.h>

#define PROVEN_BITS 14
#define FACTOR      UINT64_C(0x9e3779b97f4a7c15)

ARENA_TABLE static uint64_t proven[1u << PROVEN_BITS]; /* each atomic */
static int32_t trials_left, code_trials_left;          /* atomic */
static uint32_t n_sound, n_wrong;                      /* atomic; since the trials */

static uint64_t *place_of(uint64_t what)
{
	return &proven[what * FACTOR >> (64 - PROVEN_BITS)];
}

bool java_is_proven(uint64_t what)
{
	return __atomic_load_n(place_of(what), __ATOMIC_RELAXED) == what;
}

void java_note_proven(uint64_t what)
{
	__atomic_store_n(place_of(what), what, __ATOMIC_RELAXED);
}

static void begin_reading(struct java_walk *walk)
{
	/* Nothing that the last walk read is asked for: it is another thread's, perhaps.
	 */
	reader_begin(&walk->reader,
		     own_memory_may_ask() ? READER_BY_COPY : READER_BY_PROVEN_COPY,
		     walk->reader.owner + 1);
}

void java_make_room(struct java_walk *walk)
{
	if (walk->reader.used_bytes > READER_BYTES / 2 ||
	    walk->reader.n_pieces > READER_MAX_PIECES / 2)
		begin_reading(walk);
}

const void *java_copy_at(struct java_walk *walk, uint64_t address, uint32_t bytes)
{
	const void *at = NULL;

	if (!walk->is_direct && reader_may_be_address(address)) {
		reader_want_pages(&walk->reader, address, bytes);
		at = reader_at(&walk->reader, address, bytes);
	}
	walk->has_failed |= !at;
	return at;
}

static void judge(enum walk_verdict verdict, const struct java_walk *walk)
{
	bool was_code_trial = walk->is_code_trial && walk->has_code;

	if (verdict == WALK_UNSURE)
		return;
	if (verdict == WALK_WRONG && (walk->is_trial || was_code_trial)) {
		walk_switch_language_off();
		return;
	}
	__atomic_fetch_sub(&trials_left, walk->is_trial, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&code_trials_left, was_code_trial, __ATOMIC_RELAXED);
	uint32_t sound =
		__atomic_add_fetch(&n_sound, verdict == WALK_SOUND, __ATOMIC_RELAXED);
	uint32_t wrong =
		__atomic_add_fetch(&n_wrong, verdict == WALK_WRONG, __ATOMIC_RELAXED);
	if (wrong > 16 && wrong > sound / 7)
		walk_switch_language_off();
}

unsigned java_walk(struct language_frame frames[], unsigned size)
{
	if (in_forked_copy())
		return 0;
	struct java_walk *walk = walk_take((uint64_t)pthread_self(), sizeof(*walk));
	if (!walk)
		return 0;
	walk->is_trial = __atomic_load_n(&trials_left, __ATOMIC_RELAXED) > 0;
	walk->is_code_trial = __atomic_load_n(&code_trials_left, __ATOMIC_RELAXED) > 0;
	walk->is_direct = !walk->is_trial;
	walk->has_code = walk->has_failed = walk->is_at_end = false;
	walk->has_own = walk->is_crowded = false;
	walk->n = 0;
	walk->size = size;
	walk->frames = frames;
	begin_reading(walk);
	uint64_t thread = java_thread(walk);
	enum walk_verdict verdict =
		thread ? java_frames_collect(walk, thread) : WALK_UNSURE;
	unsigned n = walk->n;
	judge(verdict, walk);
	walk_give(walk);
	return verdict == WALK_SOUND ? n : 0;
}

/* What lies below the frame pointer in an interpreted frame is known of this machine. */
bool java_start(void *library)
{
#if defined __x86_64__
	if (!java_layout_find(library))
		return false;
	trials_left = code_trials_left = WALK_TRIALS;
	return true;
#else
	(void)library;
	return false;
#endif
}

bool java_is_library(const char *file_name)
{
	return strcmp(file_name, "libjvm.so") == 0;
}

bool java_is_module(const char *file_name)
{
	return strcmp(file_name, "libnio.so") == 0 || strcmp(file_name, "libnet.so") == 0;
}
