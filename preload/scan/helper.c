/* See helper.h.
 *
 * The life of the thread is one word, `state`, which any thread may change by
 * compare-and-swap:
 *
 *     NOT_WANTED     before helper_start()
 *     WANTED         the next connection starts it (helper_ensure_started()), or, where
 *                      it may not be started then, a later use of one; after the first
 *                      try hooks scan meanwhile
 *     STARTING       a hook is starting it; from here
 *                      to RUNNING by the thread itself,
 *                      to WANTED if the hook's stack had no room for the start,
 *                      to HOOKS_SCAN if no thread could be made, or none may be,
 *                      to STOPPING by helper_stop()
 *     RUNNING        scan_loop(): scans every interval, unwinds when it is woken; to
 *                      HOOKS_SCAN when it finds that main() has left
 *     STOPPING       helper_stop() asked; the thread does `last_work` and goes
 *     STOPPED        it went because it was asked, and nobody scans: the process ends, or
 *                      enters a sandbox; or the asker sets WANTED next
 *                      (helper_allow_restart()), or HOOKS_SCAN (helper_retire())
 *     HOOKS_SCAN     there will be no thread, hooks scan: thread=no, or it could not
 *                      start or not reach the host's descriptors, or main() has left, or
 *                      helper_stop() came before the thread was ever started
 *
 * A forked child has no thread.  It begins in WANTED if fork's handlers ran, else in
 * HOOKS_SCAN: starting a thread allocates, and another thread's lock of the allocator may
 * have been copied.
 *
 * What is given up on purpose: a thread that does not stop in time is left at work, and
 * whoever asked goes on without it. */
#include "scan/helper.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/imports.h"
#include "base/memcheck.h"
#include "base/own_memory.h"
#include "base/sections.h"
#include "base/single_thread.h"
#include "ledger/ledger_writer.h"
#include "scan/allocation.h"
#include "scan/downtime.h"
#include "scan/pause.h"
#include "scan/scan.h"
#include "scan/schedule.h"
#include "track/released.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define STACK_BYTES (256 * 1024) /* libunwind's frames and ours, touched as needed */
#define SLEEP_NS    UINT64_C(1000000000) /* a stop that is longer is seen: downtime.h */
#define RETIRE_MS   1000
#define BIRTH_MS    50
#define RETRY_NS    UINT64_C(10000000) /* first, and at most: */
#define RETRY_MAX   UINT64_C(1000000000)

enum state { NOT_WANTED, WANTED, STARTING, RUNNING, STOPPING, STOPPED, HOOKS_SCAN };
static _Atomic uint32_t state;
static _Atomic uint32_t wake_word; /* futex: raised to wake the thread */
static uint64_t interval_ns;
static bool is_wanted;                                    /* by the options */
static void (*last_work)(const struct fd_access *access); /* set before STOPPING */
static bool awaits_handlers; /* a child that would start one, had fork's handlers run */
static _Atomic uint64_t next_try_ns;    /* to start the thread */
static _Atomic uint64_t retry_pause_ns; /* after the last try; 0 = there was none */
static _Atomic uint32_t thread_id;      /* of the last thread that ran; 0 = none */

AT_START void helper_start(bool wanted, unsigned long interval)
{
	interval_ns = interval;
	is_wanted = wanted;
	atomic_store(&state, wanted ? WANTED : HOOKS_SCAN);
}

bool helper_is_scanning(void)
{
	uint32_t now = atomic_load_explicit(&state, memory_order_relaxed);

	return now == STARTING || now == RUNNING;
}

bool helper_is_wanted(void)
{
	return atomic_load_explicit(&state, memory_order_relaxed) == WANTED;
}

bool helper_hooks_scan(void)
{
	uint32_t now = atomic_load_explicit(&state, memory_order_relaxed);

	return now == HOOKS_SCAN ||
	       (now == WANTED &&
		atomic_load_explicit(&retry_pause_ns, memory_order_relaxed));
}

bool helper_is_me(void)
{
	return thread_id && guard_sys(SYS_gettid) == thread_id;
}

static void wait_word(_Atomic uint32_t *word, uint32_t value, uint64_t for_ns)
{
	struct timespec timeout = {(time_t)(for_ns / 1000000000),
				   (long)(for_ns % 1000000000)};

	guard_sys(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, &timeout);
}

static void wake_word_waiter(_Atomic uint32_t *word)
{
	guard_sys(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1 << 30);
}

void helper_wake(void)
{
	if (atomic_load(&state) != RUNNING || atomic_exchange(&wake_word, 1))
		return;
	wake_word_waiter(&wake_word);
}

/* Gives the thread an empty descriptor table with a pidfd in it.  access->pidfd -1 = the
 * host's own table is shared, as under valgrind, which does not know the call and warns
 * the user of it.  false = the host's sockets cannot be reached. */
static bool own_table(struct fd_access *access)
{
	access->pidfd = -1;
	if (guard_has_filter || memcheck_is_there)
		return true;
	if (guard_sys(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return true; /* an older kernel: share */
	access->pidfd = (int)guard_sys(SYS_pidfd_open, guard_pid, 0);
	/* With a table of its own and no pidfd this thread cannot reach the host's
	 * sockets. */
	return access->pidfd >= 0;
}

/* The main thread has ended by a raw exit call: the pidfd reaches nothing any more, and
 * the last thread that returns ends the process.  That thread must not be the helper. */
static bool leader_is_gone(void)
{
	char link[8];
	struct iovec to = {link, 1}, from = {&state, 1};

	if (guard_has_filter || guard_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/exe",
					  link, sizeof(link)) != -ENOENT)
		return false;
	/* Or /proc is not mounted in the root that the host has changed to.  The main
	 * thread's memory can be read as long as that thread exists. */
	return guard_sys(SYS_process_vm_readv, guard_pid, &to, 1, &from, 1, 0) != 1;
}

static bool should_stop(void)
{
	return atomic_load(&state) == STOPPING || guard_is_sandboxed;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* Sleeps until `due_ns`, for SLEEP_NS at most, or until something waits to be unwound. */
static void sleep_until(uint64_t due_ns)
{
	uint64_t now_ns = clock_now_ns();

	due_ns = earlier(due_ns, now_ns + SLEEP_NS);
	if (now_ns < due_ns && !should_stop()) {
		downtime_expect(due_ns);
		wait_word(&wake_word, 0, due_ns - now_ns);
		downtime_check(clock_now_ns());
		downtime_expect(0);
	}
	/* An exchange, for its memory order: a hook that finds the word raised does not
	 * wake this thread, so what that hook has written must be visible after this. */
	atomic_exchange(&wake_word, 0);
}

/* One scan.  Returns how long to pause after it.  Its cost includes the wake-up:
 * processor time since `idle_ns`, when this thread had nothing to do. */
static uint64_t scanned(uint64_t now_ns, const struct fd_access *access, uint64_t idle_ns)
{
	ARENA_TABLE static struct pause pause;

	if (!scan_trylock(0))
		return interval_ns;
	uint64_t woken_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID) - idle_ns;
	struct scan_cost cost = scan_pass(now_ns, access, true);
	scan_unlock();
	scan_print(access, should_stop);
	cost.repeat_ns += woken_ns;
	return pause_after(&pause, &cost, interval_ns);
}

/* Where there are many sockets passes are far apart, and released connections would fill
 * their table before the next pass: they are asked about in between.  This takes up to
 * half of the helper's time, which the passes go without.  Returns how long to pause
 * after it. */
static uint64_t asked_released(uint64_t now_ns, const struct fd_access *access,
			       uint64_t *due_ns)
{
	if (!released_was_used() || *due_ns - now_ns < interval_ns || !scan_trylock(0))
		return interval_ns;
	uint64_t cost_ns = scan_released_pass(now_ns, access);
	scan_unlock();
	*due_ns += COST_FACTOR * cost_ns;
	return 2 * COST_FACTOR * cost_ns > interval_ns ? 2 * COST_FACTOR * cost_ns
						       : interval_ns;
}

static void scan_loop(const struct fd_access *access)
{
	uint64_t due_ns = clock_now_ns(), idle_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	uint64_t released_due_ns = due_ns + interval_ns;

	while (!should_stop() && !leader_is_gone()) {
		uint64_t now_ns = clock_now_ns();

		if (now_ns >= due_ns) {
			uint64_t pause_ns = scanned(now_ns, access, idle_ns);
			idle_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
			due_ns = clock_now_ns() + pause_ns;
			released_due_ns = clock_now_ns() + interval_ns;
		} else if ((origin_has_work() || ledger_is_low) && scan_trylock(0)) {
			scan_unwind();
			scan_unlock();
			idle_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		} else if (now_ns >= released_due_ns) {
			released_due_ns =
				now_ns + asked_released(now_ns, access, &due_ns);
			idle_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
		}
		sleep_until(released_was_used() ? earlier(due_ns, released_due_ns)
						: due_ns);
	}
}

AT_START void helper_note_processors(void)
{
	if (is_wanted)
		schedule_note_processors();
}

static void *run(void *nothing)
{
	struct fd_access access;
	uint32_t starting = STARTING;

	(void)nothing;
	reentrancy_depth = 1;
	atomic_store(&thread_id, (uint32_t)guard_sys(SYS_gettid));
	wake_word_waiter(&thread_id);
	if (!guard_has_filter) {
		guard_sys(SYS_prctl, PR_SET_NAME, "sockleak");
		schedule_take_usual();
	}
	bool can_scan = own_table(&access);
	if (can_scan && atomic_compare_exchange_strong(&state, &starting, RUNNING))
		scan_loop(&access);
	if (can_scan && atomic_load(&state) == STOPPING && last_work)
		last_work(&access);
	/* Where it was not asked to stop it cannot reach the host's sockets, or main() has
	 * left: from now on hooks scan. */
	atomic_store(&state, atomic_load(&state) == STOPPING ? STOPPED : HOOKS_SCAN);
	wake_word_waiter(&state);
	single_thread_goes();
	return NULL;
}

/* The least stack of a thread, which includes its thread-local storage.  glibc >=
 * 2.15. */
extern size_t __pthread_get_minstack(const pthread_attr_t *attributes)
	__attribute__((weak));

static size_t least_stack(const pthread_attr_t *attributes)
{
	return &__pthread_get_minstack ? __pthread_get_minstack(attributes) : 0;
}

/* `stack_bytes`: 0 = the default stack size.  The thread has the caller's signal mask.
 * Returns an error number. */
static int create_thread(size_t stack_bytes)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error)
		return error;
	if (stack_bytes)
		pthread_attr_setstacksize(&attributes,
					  stack_bytes + least_stack(&attributes));
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	single_thread_comes();
	error = imports_pthread_create(&thread, &attributes, run, NULL);
	if (error)
		single_thread_goes();
	pthread_attr_destroy(&attributes);
	return error;
}

/* Where __pthread_get_minstack() is missing, STACK_BYTES may be too few for the
 * thread-local storage: then the default size is tried. */
static bool create_some_thread(void)
{
	int error = create_thread(STACK_BYTES);

	return !error || (error == EINVAL && !create_thread(0));
}

/* In a child that is cloned before the thread has run, setuid() would wait for ever for
 * it to begin. */
static void await_birth(void)
{
	for (unsigned waited = 0; waited < BIRTH_MS * 10 && !thread_id; waited++)
		wait_word(&thread_id, 0, 100000);
}

/* To start a thread the C library binds functions that it has not called yet, and looks
 * for them in the program's own table of symbols first.  A program that hides its first
 * page is without. */
static bool may_bind(void)
{
	return own_memory_is_there(getauxval(AT_PHDR));
}

static void start_thread(void *nothing)
{
	(void)nothing;
	if (!may_bind()) {
		atomic_store(&state, HOOKS_SCAN);
		return;
	}
	origin_allocate();
	atomic_store(&thread_id, 0);
	if (create_some_thread())
		await_birth();
	else
		atomic_store(&state, HOOKS_SCAN);
}

void helper_ensure_started(void)
{
	uint32_t wanted = WANTED;
	uint64_t before;

	if (atomic_load_explicit(&state, memory_order_relaxed) != WANTED)
		return;
	/* If the thread could not be started a moment ago, the next try waits: an address
	 * that an allocator left on the stack may stay there for ever, and each search
	 * for it takes time. */
	uint64_t now_ns = clock_now_ns(), pause = atomic_load(&retry_pause_ns);
	if (now_ns < atomic_load(&next_try_ns))
		return;
	pause = !pause ? RETRY_NS : 2 * pause < RETRY_MAX ? 2 * pause : RETRY_MAX;
	atomic_store(&retry_pause_ns, pause);
	atomic_store(&next_try_ns, now_ns + pause);
	int saved_errno = errno;
	/* All signals are blocked: the thread must take none of the host's, and a handler
	 * that jumps out of here would leave the state STARTING, or a lock of the loader
	 * taken, for ever. */
	if (!guard_is_sandboxed && allocation_is_safe() &&
	    guard_block_signals(GUARD_ALL_SIGNALS, &before)) {
		if (atomic_compare_exchange_strong(&state, &wanted, STARTING) &&
		    !room_run(start_thread, NULL))
			atomic_store(&state, WANTED);
		guard_restore_signals(before);
	}
	errno = saved_errno;
}

bool helper_stop(unsigned patience_ms, void (*last)(const struct fd_access *access))
{
	struct guard_patience patience = {.idle_ms = patience_ms};
	uint32_t now = atomic_load(&state);

	last_work = last;
	while (now == WANTED || now == NOT_WANTED)
		if (atomic_compare_exchange_strong(&state, &now, HOOKS_SCAN)) {
			/* The thread that stops the helper unwinds what waits, also what
			 * signal handlers captured. */
			if (origin_has_work() && allocation_is_safe())
				origin_allocate();
			return true;
		}
	while (now == STARTING || now == RUNNING)
		if (atomic_compare_exchange_strong(&state, &now, STOPPING))
			now = STOPPING;
	while (now == STOPPING && guard_is_patient(&patience)) {
		atomic_store(&wake_word, 1);
		wake_word_waiter(&wake_word);
		wait_word(&state, STOPPING, 1000000);
		now = atomic_load(&state);
	}
	return now != STOPPING;
}

/* A thread that has set its last state still has to free its stack.  A seccomp filter may
 * forbid to ask whether it is alive: then this waits for a millisecond. */
static bool is_alive(unsigned waited)
{
	if (guard_has_filter)
		return waited < 10;
	return thread_id && guard_sys(SYS_tgkill, guard_pid, thread_id, 0) == 0;
}

bool helper_leave(unsigned patience_ms)
{
	uint32_t unchanging = 0;

	if (!helper_stop(patience_ms, NULL))
		return false;
	for (unsigned waited = 0; is_alive(waited) && waited < 10 * patience_ms; waited++)
		wait_word((_Atomic uint32_t *)&unchanging, 0, 100000);
	return true;
}

bool helper_stay(void)
{
	uint32_t stopping = STOPPING;

	return atomic_compare_exchange_strong(&state, &stopping, RUNNING);
}

void helper_allow_restart(void)
{
	atomic_store(&next_try_ns, 0);
	atomic_store(&retry_pause_ns, 0);
	if (is_wanted && !awaits_handlers)
		atomic_store(&state, WANTED);
}

/* Waits until the C library no longer counts the thread: as the last thread it would run
 * the handlers of exit(), in a table without the host's descriptors. */
void helper_retire(void)
{
	if (helper_leave(RETIRE_MS))
		atomic_store(&state, HOOKS_SCAN);
}

void helper_fork_prepare(unsigned patience_ms)
{
	for (unsigned waited = 0;
	     waited < 10 * patience_ms && atomic_load(&state) == STARTING; waited++)
		wait_word(&state, STARTING, 100000);
}

uint32_t helper_fork_child(bool handlers_ran)
{
	uint32_t now = atomic_load(&state);

	atomic_store(&next_try_ns, 0);
	atomic_store(&retry_pause_ns, 0);
	single_thread_goes();
	atomic_store(&wake_word, 0);
	/* Where the parent had (or wanted) a thread, the child wants one. */
	if (now != HOOKS_SCAN && now != NOT_WANTED) {
		awaits_handlers = !handlers_ran;
		atomic_store(&state, handlers_ran ? WANTED : HOOKS_SCAN);
	}
	return atomic_exchange(&thread_id, 0);
}

void helper_fork_handlers_ran(void)
{
	if (awaits_handlers)
		atomic_store(&state, WANTED);
	awaits_handlers = false;
}
