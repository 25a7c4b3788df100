/* See helper.h. */
#include "helper.h"

#include "arena.h"
#include "guard.h"
#include "origin.h"
#include "single.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define STACK_BYTES (256 * 1024) /* libunwind's frames and ours, touched as needed */
#define RETIRE_MS   1000
#define BIRTH_MS    50
#define COST_FACTOR 1000 /* 0.1 % of one core */
#define SCAN_PAGES  64   /* of stack searched for a signal frame */

enum state { NOT_WANTED, WANTED, STARTING, RUNNING, STOPPING, STOPPED, HOOKS_LOOK };
static _Atomic uint32_t state;
static _Atomic uint32_t wake_word; /* futex: raised to wake the thread */
static uint64_t interval_ns;
static bool is_wanted;                                 /* by the options */
static void (*last_work)(const struct probe_way *way); /* set before STOPPING */
static _Atomic uint32_t thread_id; /* of the last thread that ran; 0 = none */

AT_START void helper_start(bool wanted, unsigned long interval)
{
	interval_ns = interval;
	is_wanted = wanted;
	atomic_store(&state, wanted ? WANTED : HOOKS_LOOK);
}

bool helper_is_looking(void)
{
	uint32_t now = atomic_load_explicit(&state, memory_order_relaxed);

	return now == STARTING || now == RUNNING;
}

bool helper_hooks_look(void)
{
	return atomic_load_explicit(&state, memory_order_relaxed) == HOOKS_LOOK;
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

/* An empty descriptor table and a pidfd in it.  -1 = the host's own table is shared. */
static bool own_table(struct probe_way *way)
{
	way->pidfd = -1;
	if (guard_has_filter)
		return true;
	if (guard_sys(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE) < 0)
		return true; /* an older kernel: share */
	way->pidfd = (int)guard_sys(SYS_pidfd_open, guard_pid, 0);
	/* With a table of its own but no way into the host's this thread is blind. */
	return way->pidfd >= 0;
}

/* main() ended by a raw exit call: what is behind the pidfd is gone, and whoever returns
 * last from a thread ends the process.  It must not be us. */
static bool leader_is_gone(void)
{
	char link[8];
	struct iovec to = {link, 1}, from = {&state, 1};

	if (guard_has_filter || guard_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/exe",
					  link, sizeof(link)) != -ENOENT)
		return false;
	/* Or there is no /proc where the host has changed its root to.  Memory of the
	 * leader's is there as long as it is. */
	return guard_sys(SYS_process_vm_readv, guard_pid, &to, 1, &from, 1, 0) != 1;
}

static bool should_stop(void)
{
	return atomic_load(&state) == STOPPING || guard_is_sandboxed;
}

/* Sleeps until `due_ns`, or until something waits to be unwound. */
static void sleep_until(uint64_t due_ns)
{
	uint64_t now_ns = registry_now_ns();

	if (now_ns < due_ns && !should_stop())
		wait_word(&wake_word, 0, due_ns - now_ns);
	/* An exchange: who finds it still raised does not wake us, so what he left is to
	 * be seen from here on. */
	atomic_exchange(&wake_word, 0);
}

/* One look; how long to pause after it.  To its cost belongs what waking up for it cost
 * since `idle_ns`, when this thread had nothing to do.  Looks at the same sockets differ
 * by some per cent: a pause for the dearer one of two keeps their mean below the share.
 */
static uint64_t look(uint64_t now_ns, const struct probe_way *way, uint64_t idle_ns)
{
	static uint64_t former_ns;

	if (!watch_own(0))
		return interval_ns;
	uint64_t cost_ns = watch_thread_ns() - idle_ns;
	cost_ns += watch_tick(now_ns, way, true);
	watch_release();
	uint64_t dearer_ns = cost_ns > former_ns ? cost_ns : former_ns;
	former_ns = cost_ns;
	return COST_FACTOR * dearer_ns > interval_ns ? COST_FACTOR * dearer_ns
						     : interval_ns;
}

static void look_around(const struct probe_way *way)
{
	uint64_t due_ns = registry_now_ns(), idle_ns = watch_thread_ns();

	while (!should_stop() && !leader_is_gone()) {
		uint64_t now_ns = registry_now_ns();

		if (now_ns >= due_ns) {
			uint64_t pause_ns = look(now_ns, way, idle_ns);
			idle_ns = watch_thread_ns();
			due_ns = registry_now_ns() + pause_ns;
		} else if (origin_has_work() && watch_own(0)) {
			origin_work();
			watch_release();
			idle_ns = watch_thread_ns();
		}
		sleep_until(due_ns);
	}
}

static void *run(void *nothing)
{
	struct probe_way way;
	uint32_t starting = STARTING;

	(void)nothing;
	guard_inside = 1;
	atomic_store(&thread_id, (uint32_t)guard_sys(SYS_gettid));
	wake_word_waiter(&thread_id);
	if (!guard_has_filter)
		guard_sys(SYS_prctl, PR_SET_NAME, "sockleak");
	if (own_table(&way) && atomic_compare_exchange_strong(&state, &starting, RUNNING))
		look_around(&way);
	if (atomic_load(&state) == STOPPING && last_work)
		last_work(&way);
	/* Stopped, blind, or left behind by main(): from now on hooks look, unless it is
	 * the end. */
	atomic_store(&state, atomic_load(&state) == STOPPING ? STOPPED : HOOKS_LOOK);
	wake_word_waiter(&state);
	single_thread_goes();
	return NULL;
}

/* What of a signal's frame stands at the same place of every 16 bytes.  x86_64: the
 * kernel puts the address of the restorer right below a multiple of 16, and where
 * sigaction() had its copies, or we have ours, it stands on one.  aarch64, which has no
 * restorer: the head of struct fpsimd_context, the first of what a frame keeps. */
#if defined __x86_64__
#define MARK_AT         8
#define MARK_OF(action) (action)[2]
#else
#define MARK_AT         0
#define MARK_OF(action) (UINT64_C(528) << 32 | 0x46508001)
#endif

/* Whether such a frame stands on this thread's stack, above.  A page is read only once
 * the kernel has read it: rt_sigprocmask copies the set in and then refuses the `how`. */
__attribute__((no_sanitize_address, no_sanitize_thread, noinline)) static bool
stack_has_frame(const void *above, uint64_t mark)
{
	const volatile uint64_t *at =
		(const volatile uint64_t *)(((uintptr_t)above | 15) - 15 + MARK_AT);

	for (unsigned page = 0; page < SCAN_PAGES; page++) {
		if (guard_sys(SYS_rt_sigprocmask, ~0L, at, NULL, 8) != -EINVAL)
			return false;
		do {
			if (*at == mark)
				return true;
			at += 2;
		} while ((uintptr_t)at % 4096 != MARK_AT);
	}
	return false;
}

/* Whether this thread may stand on top of a signal handler, which may have interrupted
 * malloc.  In a handler its signal is blocked and the signal's frame stands on the stack;
 * a program that blocks the signals it has handlers for all its life (to take them in
 * ppoll) shows the first and not the second. */
static bool may_be_in_handler(void)
{
	uint64_t blocked = 0;
	stack_t alternate = {0};

	if (!guard_has_filter)
		guard_sys(SYS_sigaltstack, NULL, &alternate);
	if (alternate.ss_flags & SS_ONSTACK)
		return true;
	guard_sys(SYS_rt_sigprocmask, SIG_BLOCK, NULL, &blocked, 8);
	for (int signal = 1; signal <= 64; signal++) {
		/* The kernel's struct: handler, flags, restorer, mask. */
		uint64_t action[4] = {0};

		/* Of SA_NODEFER the signal is not blocked in its handler. */
		if (guard_sys(SYS_rt_sigaction, signal, NULL, action, 8) < 0 ||
		    action[0] <= 1 ||
		    !((blocked & UINT64_C(1) << (signal - 1)) ||
		      (action[1] & SA_NODEFER)))
			continue;
		if (stack_has_frame(__builtin_frame_address(0), MARK_OF(action)))
			return true;
	}
	return false;
}

static bool may_allocate(void)
{
	return !guard_inside && !may_be_in_handler();
}

/* `stack_bytes`: 0 = as many as threads get here.  Returns an error number. */
static int create_thread(size_t stack_bytes)
{
	sigset_t all;
	uint64_t before = 0;
	pthread_attr_t attributes;
	pthread_t thread;
	int error = pthread_attr_init(&attributes);

	if (error)
		return error;
	if (stack_bytes)
		pthread_attr_setstacksize(&attributes, stack_bytes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	/* All but those of the C library: setuid() waits until each thread has taken one.
	 */
	sigfillset(&all);
	guard_sys(SYS_rt_sigprocmask, SIG_SETMASK, &all, &before, 8);
	single_thread_comes();
	error = pthread_create(&thread, &attributes, run, NULL);
	if (error)
		single_thread_goes();
	guard_sys(SYS_rt_sigprocmask, SIG_SETMASK, &before, NULL, 8);
	pthread_attr_destroy(&attributes);
	return error;
}

/* A program with much thread-local storage has no room for it in so small a stack. */
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

void helper_want(void)
{
	uint32_t wanted = WANTED;

	if (atomic_load_explicit(&state, memory_order_relaxed) != WANTED)
		return;
	int saved_errno = errno;
	if (!guard_is_sandboxed && may_allocate() &&
	    atomic_compare_exchange_strong(&state, &wanted, STARTING)) {
		origin_allocate();
		atomic_store(&thread_id, 0);
		if (create_some_thread())
			await_birth();
		else
			atomic_store(&state, HOOKS_LOOK);
	}
	errno = saved_errno;
}

bool helper_stop(unsigned patience_ms, void (*last)(const struct probe_way *way))
{
	struct guard_patience patience = {.idle_ms = patience_ms};
	uint32_t now = atomic_load(&state);

	last_work = last;
	while (now == WANTED || now == NOT_WANTED)
		if (atomic_compare_exchange_strong(&state, &now, HOOKS_LOOK)) {
			/* Who stops it unwinds what handlers left. */
			if (origin_has_work() && may_allocate())
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

/* A thread that has said its last word still gives back its stack.  Under a filter that
 * question may not be asked: then it gets a millisecond. */
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

void helper_return(void)
{
	if (is_wanted)
		atomic_store(&state, WANTED);
}

void helper_retire(void)
{
	if (helper_stop(RETIRE_MS, NULL))
		atomic_store(&state, HOOKS_LOOK);
}

void helper_fork_prepare(unsigned patience_ms)
{
	for (unsigned waited = 0;
	     waited < 10 * patience_ms && atomic_load(&state) == STARTING; waited++)
		wait_word(&state, STARTING, 100000);
}

uint32_t helper_fork_child(void)
{
	uint32_t now = atomic_load(&state);

	single_thread_goes();
	atomic_store(&wake_word, 0);
	/* Where the parent had (or wanted) a thread, the child wants one. */
	if (now != HOOKS_LOOK && now != NOT_WANTED)
		atomic_store(&state, WANTED);
	return atomic_exchange(&thread_id, 0);
}
