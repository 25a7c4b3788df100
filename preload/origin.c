/* The steps of an origin.  In a hook: the registers are read (registers.h), and the chain
 * is recognised by what an earlier one looked like (layouts.c).  Else the stack is copied
 * (stack.c) into a slot that waits (capture.c), unless one that is the same waits already
 * (twins.c).  By the thread that works: copies are unwound (unwinder.c) by the tables of
 * the modules (modules.c) and interned here, each different chain once, by number, for
 * ever; and what they looked like is remembered. */
#include "origin.h"

#include "arena.h"
#include "capture.h"
#include "guard.h"
#include "layouts.h"
#include "loader.h"
#include "modules.h"
#include "unwinder.h"

#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#define IDS_PER_CHUNK  1024
#define N_CHUNKS       1024
#define MAX_WHOLE      65536 /* backtraces kept with all their frames */
#define N_FIRST_FRAMES 4
#define FORK_WAIT_MS   100
#define LOADER_WAIT_MS 100

static bool is_started;     /* until then, and in a broken child for a moment: nothing */
static bool may_load;       /* atomic; libunwind, by the first work */
static unsigned max_frames; /* kept of a backtrace */
static uint64_t n_lost;     /* atomic */

ARENA_TABLE static const struct origin_backtrace **chunks[N_CHUNKS]; /* by id - 1 */
static uint32_t n_backtraces; /* atomic, stored last */
static uint32_t *by_content;  /* the worker's: open addressing, ids, 0 = free */
static uint32_t by_content_size;

/* A thread is inside libunwind or the loader on our behalf.  And forks that wait for it
 * to leave: while there are any nobody enters. */
static uint32_t working, forking;
static bool is_broken; /* copied while someone was inside: those locks stay taken */
/* A copy of another process: a thread of the host's may have been in the loader, and its
 * lock stay taken.  Nothing is asked of the loader before a capture needs it. */
static bool is_child;
/* The last work came to an end because the loader was busy.  Atomic. */
static bool is_held_up;

ARENA_TABLE static struct unwinder_chain chain; /* the worker's */

AT_START void origin_start(unsigned n_frames, bool load_now)
{
	max_frames = n_frames;
	stack_start();
	layouts_start();
	guard_inside++;
	if (load_now)
		unwinder_load();
	else
		unwinder_note();
	guard_inside--;
	__atomic_store_n(&may_load, !load_now, __ATOMIC_RELAXED);
	__atomic_store_n(&is_started, true, __ATOMIC_RELEASE);
}

void origin_allocate(void)
{
	unwinder_allocate();
}

void origin_find_program(void)
{
	modules_find_program();
}

/* Not inlined and with a frame of its own: the registers and the stack from here up are
 * what the unwinder starts from. */
__attribute__((noinline, no_sanitize_address, no_sanitize_thread)) uint32_t
origin_capture(void)
{
	uint64_t words[REGISTERS_N];

	registers_read(words);
	if (!__atomic_load_n(&is_started, __ATOMIC_ACQUIRE))
		return 0;
	uint64_t key = layouts_key(words);
	uint32_t word = layouts_find(key, words);
	if (word)
		return word;
	word = capture_take(key, words);
	if (!word)
		__atomic_fetch_add(&n_lost, 1, __ATOMIC_RELAXED);
	return word;
}

void origin_load_no_more(void)
{
	__atomic_store_n(&may_load, false, __ATOMIC_RELAXED);
}

AT_START bool origin_has_work(void)
{
	return capture_waits();
}

uint32_t origin_settle(uint32_t origin)
{
	return origin & ORIGIN_PENDING_BIT ? capture_settle(origin) : origin;
}

const char *origin_missing(void)
{
	return unwinder_missing();
}

uint64_t origin_lost(void)
{
	return __atomic_load_n(&n_lost, __ATOMIC_RELAXED);
}

uint32_t origin_n_backtraces(void)
{
	return __atomic_load_n(&n_backtraces, __ATOMIC_ACQUIRE);
}

const struct origin_backtrace *origin_backtrace(uint32_t id)
{
	if (id == 0 || id > origin_n_backtraces())
		return NULL;
	return chunks[(id - 1) / IDS_PER_CHUNK][(id - 1) % IDS_PER_CHUNK];
}

const struct origin_module *origin_module(uint32_t id)
{
	const struct module *module = modules_by_id(id);

	return module ? &module->shown : NULL;
}

uint32_t origin_n_modules(void)
{
	return modules_count();
}

static uint64_t hash_of(const uint64_t *frames, unsigned n, bool is_short)
{
	uint64_t hash = n * 2 + is_short;

	for (unsigned i = 0; i < n; i++) {
		hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

/* Where the id of this content is, or is to be put. */
static uint32_t *place_of(const uint64_t *frames, unsigned n, bool is_short)
{
	uint32_t at = (uint32_t)hash_of(frames, n, is_short) & (by_content_size - 1);

	for (; by_content[at]; at = (at + 1) & (by_content_size - 1)) {
		const struct origin_backtrace *known = origin_backtrace(by_content[at]);
		if (known->n_frames == n && known->is_short == is_short &&
		    memcmp(known->frames, frames, n * sizeof(*frames)) == 0)
			break;
	}
	return &by_content[at];
}

/* The table is kept at most half full. */
static bool make_room(void)
{
	uint32_t *old = by_content, old_size = by_content_size;

	if (by_content && n_backtraces < old_size / 2)
		return true;
	uint32_t size = old_size ? old_size * 2 : 1024;
	while (size / 2 <= n_backtraces)
		size *= 2;
	uint32_t *larger = arena_map(size * sizeof(*larger));
	if (!larger)
		return false;
	by_content = larger;
	by_content_size = size;
	for (uint32_t id = 1; id <= n_backtraces; id++) {
		const struct origin_backtrace *known = origin_backtrace(id);
		*place_of(known->frames, known->n_frames, known->is_short) = id;
	}
	arena_unmap(old, old_size * sizeof(*old));
	return true;
}

static uint32_t publish(const uint64_t *frames, unsigned n, bool is_short)
{
	uint32_t id = n_backtraces + 1, at = id - 1;
	struct origin_backtrace *new;

	if (at / IDS_PER_CHUNK == N_CHUNKS)
		return 0;
	if (!chunks[at / IDS_PER_CHUNK])
		chunks[at / IDS_PER_CHUNK] = arena_take(IDS_PER_CHUNK * sizeof(new));
	new = arena_take(sizeof(*new) + n * sizeof(*frames));
	if (!new || !chunks[at / IDS_PER_CHUNK])
		return 0;
	new->id = id;
	new->n_frames = (uint16_t)n;
	new->is_short = is_short;
	memcpy(new->frames, frames, n * sizeof(*frames));
	chunks[at / IDS_PER_CHUNK][at % IDS_PER_CHUNK] = new;
	__atomic_store_n(&n_backtraces, id, __ATOMIC_RELEASE);
	return id;
}

/* The id of this content, 0 = no memory.  A host whose stacks are endlessly different
 * (recursion) gets new ones by their first frames only from some number on. */
static uint32_t intern(const uint64_t *frames, unsigned n, bool is_short)
{
	if (!make_room())
		return 0;
	uint32_t *place = place_of(frames, n, is_short);
	if (*place == 0 && n_backtraces >= MAX_WHOLE && n > N_FIRST_FRAMES)
		return intern(frames, N_FIRST_FRAMES, true);
	if (*place == 0)
		*place = publish(frames, n, is_short);
	return *place;
}

/* Module and offset of each frame. */
static unsigned locate(const struct unwinder_chain *from, uint64_t frames[])
{
	for (unsigned i = 0; i < from->n_frames; i++) {
		const struct module *module = modules_at(from->frames[i]);
		frames[i] = module ? (uint64_t)module->shown.id << 48 |
					     (from->frames[i] - module->shown.base)
				   : from->frames[i];
	}
	if (from->n_frames > 0 || !from->is_cut)
		return from->n_frames;
	/* Called from code outside all modules: better its address than nothing. */
	frames[0] = from->outside & UINT64_C(0xffffffffffff);
	return 1;
}

/* What was derived from modules that may have gone since is forgotten. */
static void follow_modules(void)
{
	static uint32_t reading;

	if (reading == modules_reading())
		return;
	reading = modules_reading();
	layouts_forget_gone();
	unwinder_forget();
}

static void work_on(void *argument)
{
	struct capture *capture = argument;
	ARENA_TABLE static uint64_t frames[UNWINDER_MAX_FRAMES];

	follow_modules();
	unwinder_follow(capture, max_frames, &chain);
	if (chain.unreadable)
		stack_was_short(capture->copy.bytes,
				chain.unreadable - capture->words[REGISTERS_SP]);
	unsigned n = locate(&chain, frames);
	uint32_t id = n ? intern(frames, n, chain.is_short) : 0;
	if (!id)
		__atomic_fetch_add(&n_lost, 1, __ATOMIC_RELAXED);
	else
		layouts_remember(capture, &chain, id);
	capture_done(capture, id ? id : CAPTURE_LOST);
}

/* false: a fork waits, or somebody got stuck inside. */
static bool enter(void)
{
	if (__atomic_exchange_n(&working, 1, __ATOMIC_SEQ_CST))
		return false;
	if (!__atomic_load_n(&forking, __ATOMIC_SEQ_CST))
		return true;
	__atomic_store_n(&working, 0, __ATOMIC_RELEASE);
	return false;
}

static void leave(void)
{
	__atomic_store_n(&working, 0, __ATOMIC_RELEASE);
}

static bool work_once(void)
{
	struct capture *capture = capture_next();

	if (!capture)
		return false;
	if (is_broken) {
		work_on(capture);
		return true;
	}
	if (modules_hold(work_on, capture)) {
		is_child = false; /* the lock is free, then */
		return true;
	}
	__atomic_fetch_add(&n_lost, 1, __ATOMIC_RELAXED);
	capture_done(capture, CAPTURE_LOST);
	return true;
}

static void no_work(void *nothing)
{
	(void)nothing;
	follow_modules();
}

/* A futex that nobody wakes: a wait that every filter allows. */
static void nap(uint32_t *word, uint32_t value)
{
	struct timespec millisecond = {.tv_nsec = 1000000};

	guard_sys(SYS_futex, word, 128 /* FUTEX_WAIT, private */, value, &millisecond);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* As enter(), and what is needed of the loader is taken.  A thread of the host's may have
 * it for ever: it is waited for only so long, by all of one work together.  `until_ms`:
 * 0 = not waited yet. */
static bool enter_loader(bool (*take)(void), uint64_t *until_ms)
{
	uint32_t unchanging = 0;

	while (enter()) {
		if (is_broken || take())
			return true;
		leave();
		if (*until_ms == 0)
			*until_ms = now_ms() + LOADER_WAIT_MS;
		if (now_ms() >= *until_ms) {
			__atomic_store_n(&is_held_up, true, __ATOMIC_RELAXED);
			return false;
		}
		guard_progressed(); /* who waits for us waits for no longer than this */
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
	if (!__atomic_load_n(&may_load, __ATOMIC_RELAXED) ||
	    !enter_loader(loader_take_to_load, until_ms))
		return;
	if (__atomic_exchange_n(&may_load, false, __ATOMIC_RELAXED)) {
		unwinder_load();
		unwinder_allocate();
	}
	leave_loader(loader_give_back_loaded);
}

/* What is done though nothing waits: libunwind, and what was unloaded since. */
static void prepare_work(uint64_t *until_ms)
{
	load(until_ms);
	if (is_broken || is_child || origin_is_held_up() ||
	    !enter_loader(loader_take, until_ms))
		return;
	modules_hold(no_work, NULL);
	leave_loader(loader_give_back);
}

unsigned origin_work(void)
{
	uint64_t until_ms = 0;
	unsigned n_done = 0;
	bool is_more = true;

	guard_inside++;
	__atomic_store_n(&is_held_up, false, __ATOMIC_RELAXED);
	prepare_work(&until_ms);
	while (is_more && !origin_is_held_up() && capture_waits() &&
	       enter_loader(loader_take, &until_ms)) {
		is_more = work_once();
		n_done += is_more;
		leave_loader(loader_give_back);
	}
	guard_inside--;
	return n_done;
}

bool origin_is_held_up(void)
{
	return __atomic_load_n(&is_held_up, __ATOMIC_RELAXED);
}

void origin_finish(void)
{
	origin_work();
	if (!origin_is_held_up())
		return;
	is_broken = true;
	__atomic_store_n(&may_load, false, __ATOMIC_RELAXED);
	unwinder_abandon();
	origin_work();
}

void origin_swept(void)
{
	capture_swept();
}

void origin_fork_prepare(void)
{
	__atomic_fetch_add(&forking, 1, __ATOMIC_SEQ_CST);
	for (unsigned ms = 0; ms < FORK_WAIT_MS; ms++) {
		if (!__atomic_load_n(&working, __ATOMIC_SEQ_CST))
			return;
		nap(&working, 1);
	}
}

void origin_fork_parent(void)
{
	__atomic_fetch_sub(&forking, 1, __ATOMIC_SEQ_CST);
}

/* What the copied thread was changing may be half changed: the index is made anew. */
__attribute__((no_sanitize_thread)) static void become_broken(void)
{
	is_broken = true;
	__atomic_store_n(&may_load, false, __ATOMIC_RELAXED);
	by_content = NULL;
	by_content_size = 0;
	unwinder_abandon();
	capture_forget_all();
}

/* Alone, whatever the threads that were copied had locked or written. */
__attribute__((no_sanitize_thread)) void origin_fork_child(void)
{
	is_child = true;
	if (working || is_broken)
		become_broken();
	else
		capture_fork_child();
	working = forking = 0;
}
