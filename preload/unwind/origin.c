/* The steps of an origin.  In a hook: the registers are read (registers.h), and the
 * backtrace is recognised by the words that lead to it (unwind_cache.c).  Else the
 * stack is copied (stack.c) into a slot that waits (capture.c), unless one that is the
 * same waits already (capture_dedup.c).  By the unwinding thread: copies are unwound
 * (unwinder.c) by the tables of the modules (modules.c) and interned here, each different
 * backtrace once, by number, for ever; and the words that led to it are remembered. */
#include "unwind/origin.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"
#include "base/unchecked.h"
#include "unwind/backtraces.h"
#include "unwind/capture.h"
#include "unwind/capture_dedup.h"
#include "unwind/extend.h"
#include "unwind/late_runtime.h"
#include "unwind/lines.h"
#include "unwind/loader.h"
#include "unwind/modules.h"
#include "unwind/pairs.h"
#include "unwind/unwind_cache.h"
#include "unwind/unwind_library.h"
#include "unwind/unwinder.h"

#include <stdatomic.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define FORK_WAIT_MS          100
#define LOADER_WAIT_MS        100
#define RETURNS_TO(frame_end) (((const uint64_t *)(frame_end))[-1]) /* of a hook */
#define MAX_TRIES             100 /* of an extension whose origin is not queued yet */

static _Atomic bool is_started; /* until then nothing is captured */
static _Atomic bool may_load;   /* libunwind, by the first work */
static unsigned max_frames;     /* kept of a backtrace */
static _Atomic uint64_t n_lost;

/* working: a thread is inside libunwind or the loader for the library.  forking: forks
 * that wait for it to leave; while there are any, no thread enters. */
static _Atomic uint32_t working, forking;
static bool is_broken; /* copied while a thread was inside: its locks stay taken */
/* A copy of another process: a thread of the host's may have been in the loader, and its
 * lock stay taken.  Nothing is asked of the loader before a capture needs it. */
static bool is_child;
/* The last work came to an end because the loader was busy.  Atomic. */
static _Atomic bool is_held_up;

ARENA_TABLE static struct unwinder_backtrace backtrace; /* the unwinding thread's */

AT_START void origin_start(unsigned n_frames, bool load_now)
{
	max_frames = n_frames;
	stack_start();
	unwind_cache_start();
	reentrancy_depth++;
	if (load_now)
		unwind_library_load();
	else
		unwind_library_note();
	reentrancy_depth--;
	atomic_store_explicit(&may_load, !load_now, memory_order_relaxed);
	atomic_store_explicit(&is_started, true, memory_order_release);
}

void origin_allocate(void)
{
	unwinder_allocate();
}

void origin_find_program(void)
{
	modules_find_program();
}

/* A use of a socket is one of many, and the last one counts. */
static bool may_copy(bool is_use)
{
	return !is_use || !capture_has_backlog();
}

/* Copies, and looks the backtrace up once more: in the copy every word may be compared. */
static uint32_t copy(uint64_t key, uint64_t frame_end, const uint64_t words[REGISTERS_N])
{
	frame_end = capture_dedup_frame_end(key, words[REGISTERS_SP], frame_end);
	struct capture *capture = capture_take(key, frame_end, words);

	if (!capture) {
		atomic_fetch_add_explicit(&n_lost, 1, memory_order_relaxed);
		return 0;
	}
	uint32_t known = unwind_cache_find_copied(capture);
	if (!known)
		return capture_dedup_queue(capture);
	capture_drop(capture);
	return known;
}

/* Frames of a language, added to what is known already, or for later. */
static uint32_t add_frames(uint32_t origin, const struct language_frame frames[],
			   unsigned n, bool is_use)
{
	const struct pair_key key = pairs_key(origin, frames, n);
	uint32_t known = origin & ORIGIN_PENDING_BIT ? 0 : pairs_find(&key);

	if (known)
		return known;
	struct capture *capture =
		may_copy(is_use) ? capture_extend(&key, frames, n) : NULL;
	return capture ? capture_dedup_queue(capture) : origin;
}

static uint32_t without_note(uint32_t origin)
{
	uint32_t now = origin_resolve(origin), without = now;

	if (now & ORIGIN_PENDING_BIT) {
		if (!capture_has_note(now, &without))
			without = now;
		if (origin_resolve(now) == now)
			return without;
		now = origin_resolve(now);
	}
	const struct origin_backtrace *trace = origin_backtrace(now);
	return trace && trace->has_note ? trace->without_note : now;
}

uint32_t origin_with_note(uint32_t origin, const struct language_frame frames[],
			  unsigned n)
{
	origin = without_note(origin);
	return n ? add_frames(origin, frames, n, false) : origin;
}

/* Not inlined: the room for the frames is taken of the host's stack only where there are
 * any. */
__attribute__((noinline)) static uint32_t with_language(uint32_t origin, bool is_use)
{
	struct language_frame frames[SL_MAX_FRAMES];
	unsigned n = language_capture(frames, max_frames);

	return n ? add_frames(origin, frames, n, is_use) : origin;
}

/* false: a fork waits, or a thread is stuck inside. */
static bool enter(void)
{
	if (atomic_exchange_explicit(&working, 1, memory_order_seq_cst))
		return false;
	if (!atomic_load_explicit(&forking, memory_order_seq_cst))
		return true;
	atomic_store_explicit(&working, 0, memory_order_release);
	return false;
}

static void leave(void)
{
	atomic_store_explicit(&working, 0, memory_order_release);
}

static void search_for_runtime(void *nothing)
{
	(void)nothing;
	if (!enter())
		return;
	late_runtime_search();
	leave();
}

/* Inlined into functions that are not, and that have a frame of their own: the registers
 * and the stack from here up are what the unwinder starts from. */
UNCHECKED_MEMORY static inline __attribute__((always_inline)) uint32_t
capture_here(bool is_use)
{
	uint64_t words[REGISTERS_N];

	registers_read(words);
	if (!atomic_load_explicit(&is_started, memory_order_acquire))
		return 0;
	uint64_t frame_end, key = unwind_cache_key(words, &frame_end);
	uint32_t word = unwind_cache_find(key, frame_end, words);
	if (!word && may_copy(is_use)) {
		word = copy(key, frame_end, words);
		if (languages_may_come())
			late_runtime_meet(registers_plain(RETURNS_TO(frame_end)),
					  search_for_runtime);
	}
	return languages_may_walk() ? with_language(word, is_use) : word;
}

UNCHECKED_MEMORY __attribute__((noinline)) uint32_t origin_capture(void)
{
	return capture_here(false);
}

UNCHECKED_MEMORY __attribute__((noinline)) uint32_t origin_capture_use(void)
{
	return capture_here(true);
}

void origin_load_no_more(void)
{
	atomic_store_explicit(&may_load, false, memory_order_relaxed);
}

AT_START bool origin_has_work(void)
{
	return capture_waits();
}

uint32_t origin_resolve(uint32_t origin)
{
	return origin & ORIGIN_PENDING_BIT ? capture_resolve(origin) : origin;
}

uint64_t origin_lost(void)
{
	return atomic_load_explicit(&n_lost, memory_order_relaxed) + languages_lost();
}

/* Module and offset of each frame. */
static unsigned locate(const struct unwinder_backtrace *from, uint64_t frames[])
{
	for (unsigned i = 0; i < from->n_frames; i++) {
		struct module *module = modules_at(from->frames[i]);
		uint32_t id = module ? modules_id(module) : 0;
		frames[i] = from->frames[i];
		if (id)
			frames[i] = (uint64_t)id << 48 | (frames[i] - module->shown.base);
	}
	if (from->n_frames > 0 || !from->is_cut)
		return from->n_frames;
	/* The hook was called from code outside all modules: its address is kept as the
	 * only frame. */
	frames[0] = from->outside & UINT64_C(0xffffffffffff);
	return 1;
}

/* What was derived from modules that may have gone since is forgotten. */
static void follow_modules(void)
{
	static uint32_t reading;

	if (reading == module_list_version())
		return;
	reading = module_list_version();
	unwind_cache_forget_gone();
	unwinder_forget();
}

static void work_on(void *argument)
{
	struct capture *capture = argument;
	ARENA_TABLE static uint64_t frames[UNWINDER_MAX_FRAMES];

	follow_modules();
	unwinder_follow(capture, max_frames, &backtrace);
	if (backtrace.unreadable)
		stack_was_short(capture->copy.bytes,
				backtrace.unreadable - capture->words[REGISTERS_SP]);
	unsigned n = locate(&backtrace, frames);
	uint32_t id = n ? backtraces_intern(frames, n, backtrace.is_short) : 0;
	if (!id)
		atomic_fetch_add_explicit(&n_lost, 1, memory_order_relaxed);
	else
		unwind_cache_remember(capture, &backtrace, id);
	capture_done(capture, id ? id : CAPTURE_LOST);
}

/* The origin that it extends may not be queued yet, by a thread that stands still or has
 * ended.  false = it is tried again later. */
static bool work_on_extension(struct capture *capture)
{
	struct extension *extension = capture->extension;
	uint32_t origin = origin_resolve(extension->key.origin);

	if ((origin & ORIGIN_PENDING_BIT) && extension->n_tries++ < MAX_TRIES) {
		capture_postpone(capture);
		return false;
	}
	origin = origin & ORIGIN_PENDING_BIT ? 0 : origin;
	uint32_t id = extend(extension, origin, max_frames);
	struct pair_key key = extension->key;
	key.origin = origin;
	if (id)
		pairs_remember(&key, id);
	else
		atomic_fetch_add_explicit(&n_lost, 1, memory_order_relaxed);
	capture_done(capture, id ? id : CAPTURE_LOST);
	return true;
}

static bool work_once(void)
{
	struct capture *capture = capture_next();

	if (!capture)
		return false;
	if (capture->extension)
		return work_on_extension(capture);
	if (is_broken) {
		work_on(capture);
		return true;
	}
	if (modules_hold(work_on, capture)) {
		is_child = false; /* the lock is free, then */
		return true;
	}
	atomic_fetch_add_explicit(&n_lost, 1, memory_order_relaxed);
	capture_done(capture, CAPTURE_LOST);
	return true;
}

static void no_work(void *nothing)
{
	(void)nothing;
	follow_modules();
}

/* Waits on a futex that no thread wakes: every seccomp filter allows this call. */
static void nap(_Atomic uint32_t *word, uint32_t value)
{
	struct timespec millisecond = {.tv_nsec = 1000000};

	guard_sys(SYS_futex, word, 128 /* FUTEX_WAIT, private */, value, &millisecond);
}

static uint64_t now_ms(void)
{
	return clock_ns(CLOCK_MONOTONIC) / 1000000;
}

/* As enter(), and what is needed of the loader is taken.  A thread of the host's may have
 * it for ever: it is waited for only so long, by all of one work together.  `until_ms`:
 * 0 = not waited yet. */
static bool enter_loader(bool (*take)(void), uint64_t *until_ms)
{
	_Atomic uint32_t unchanging = 0;

	while (enter()) {
		if (is_broken || take())
			return true;
		leave();
		if (*until_ms == 0)
			*until_ms = now_ms() + LOADER_WAIT_MS;
		if (now_ms() >= *until_ms) {
			atomic_store_explicit(&is_held_up, true, memory_order_relaxed);
			return false;
		}
		guard_progressed(); /* counts as progress, so that the exiting thread goes
				     * on waiting */
		nap(&unchanging, 0);
	}
	return false;
}

static void leave_loader(void (*give_back)(void))
{
	if (!is_broken)
		give_back();
	leave();
}

static void load(uint64_t *until_ms)
{
	if (!atomic_load_explicit(&may_load, memory_order_relaxed) ||
	    !enter_loader(loader_take_to_load, until_ms))
		return;
	if (atomic_exchange_explicit(&may_load, false, memory_order_relaxed)) {
		unwind_library_load();
		unwinder_allocate();
	}
	leave_loader(loader_give_back_loaded);
}

/* What is done even if nothing waits: libunwind is loaded, the list of modules is read if
 * it has changed, and runtimes are searched for. */
static void prepare_work(uint64_t *until_ms)
{
	load(until_ms);
	if (is_broken || is_child || origin_is_held_up() ||
	    !enter_loader(loader_take, until_ms))
		return;
	modules_hold(no_work, NULL);
	leave_loader(loader_give_back);
	search_for_runtime(NULL);
}

unsigned origin_work(void)
{
	uint64_t until_ms = 0;
	unsigned n_done = 0;
	bool is_more = true;

	reentrancy_depth++;
	atomic_store_explicit(&is_held_up, false, memory_order_relaxed);
	prepare_work(&until_ms);
	while (is_more && !origin_is_held_up() && capture_waits() &&
	       enter_loader(loader_take, &until_ms)) {
		is_more = work_once();
		n_done += is_more;
		leave_loader(loader_give_back);
	}
	reentrancy_depth--;
	return n_done;
}

bool origin_is_held_up(void)
{
	return atomic_load_explicit(&is_held_up, memory_order_relaxed);
}

void origin_finish(void)
{
	origin_work();
	if (!origin_is_held_up())
		return;
	is_broken = true;
	atomic_store_explicit(&may_load, false, memory_order_relaxed);
	unwind_library_abandon();
	origin_work();
}

void origin_end_sweep(void)
{
	capture_end_sweep();
}

void origin_fork_prepare(void)
{
	atomic_fetch_add_explicit(&forking, 1, memory_order_seq_cst);
	for (unsigned ms = 0; ms < FORK_WAIT_MS; ms++) {
		if (!atomic_load_explicit(&working, memory_order_seq_cst))
			return;
		nap(&working, 1);
	}
}

void origin_fork_parent(void)
{
	atomic_fetch_sub_explicit(&forking, 1, memory_order_seq_cst);
}

/* What the copied thread was changing may be half changed: the index is made anew. */
UNCHECKED static void become_broken(void)
{
	is_broken = true;
	atomic_store_explicit(&may_load, false, memory_order_relaxed);
	backtraces_forget_index();
	lines_forget_index();
	unwind_library_abandon();
	capture_forget_all();
}

/* Alone, whatever the threads that were copied had locked or written. */
UNCHECKED void origin_fork_child(void)
{
	is_child = true;
	/* Threads that were about to queue what they entered are gone. */
	capture_dedup_forget_all();
	if (working || is_broken)
		become_broken();
	else
		capture_fork_child();
	working = forking = 0;
}
