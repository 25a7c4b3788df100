/* What keeps a guest from harm: raw system calls, the per-thread mark of our own work,
 * and the question "is this still our process?". */
#ifndef SOCKLEAK_GUARD_H
#define SOCKLEAK_GUARD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Nonzero while this thread works for us (the helper for its whole life, another thread
 * in a tick): its calls go straight to the kernel, and libunwind's pipe2 and mincore are
 * answered instead of made.  Initial-exec, so that touching it never allocates. */
extern __thread unsigned guard_inside __attribute__((tls_model("initial-exec")));

/* The host installed a seccomp filter of its own after the start (seen by the prctl and
 * syscall hooks): from then on no call is made that the host did not ask for. */
extern _Atomic bool guard_is_sandboxed;
/* A filter stood when the process started: it lets a loader through, so it lets through
 * getsockopt, poll and futex, but nothing rarer.  Taken for true until it was asked. */
extern bool guard_has_filter;

/* A raw system call: not a cancellation point, errno untouched; -errno on failure. */
static inline long guard_call(long number, long a, long b, long c, long d, long e, long f)
{
#if defined __x86_64__
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined __aarch64__
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "sockleak knows x86_64 and aarch64"
#endif
}
/* For our own doings: in a sandbox nothing is called, whoever asks. */
static inline long guard_own_call(long number, long a, long b, long c, long d, long e,
				  long f)
{
	return __builtin_expect(guard_is_sandboxed, 0)
		       ? -38 /* ENOSYS */
		       : guard_call(number, a, b, c, d, e, f);
}
#define GUARD_CALL_7(n, a, b, c, d, e, f, ...)                                           \
	guard_own_call((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
		       (long)(f))
#define guard_sys(...) GUARD_CALL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

/* openat() with O_CLOEXEC, out of the host's way: where this thread shares the host's
 * table, what the host opens meanwhile must get the number that it expects, the lowest.
 * That one is ours until it was copied and closed, and no longer, however long we then
 * work on the file.  Returns the descriptor, to be closed by SYS_close, or -errno. */
long guard_open(long directory, const char *path, int flags, unsigned mode);

/* From the thread pointer to errno: the same in every thread, as the C library is there
 * from the start.  Asking the C library where errno is costs ten instructions. */
extern long guard_errno_offset __attribute__((visibility("hidden")));

static inline bool guard_error_is(int error)
{
	/* gcc's sanitizers take what lies in another segment for plain addresses. */
#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	return *(const int __seg_fs *)guard_errno_offset == error;
#else
	return *(const int *)((char *)__builtin_thread_pointer() + guard_errno_offset) ==
	       error;
#endif
}

static inline void guard_set_error(int error)
{
#if defined __x86_64__ && !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	*(int __seg_fs *)guard_errno_offset = error;
#else
	*(int *)((char *)__builtin_thread_pointer() + guard_errno_offset) = error;
#endif
}

/* Once, by the constructor. */
void guard_start(void);
/* From now on a real child is told from a vfork child.  At the start where connections
 * are to be expected, else with the first socket: it takes 6 us.  false = this is a child
 * of our process already, of a kind that cannot be known any more: hands off. */
bool guard_watch_copies(void);
/* Asks /proc about the filter that stood at the start.  55 us in a new process, so only
 * once there is a socket. */
void guard_ask_filter(void);
/* What this process is, compared with the one that started our books: */
enum guard_process {
	GUARD_OURS,
	GUARD_FORKED,  /* a real child with a copy of our memory: call start_child() */
	GUARD_BORROWED /* a vfork child that runs in our memory: hands off */
};
/* One getpid(). */
enum guard_process guard_process(void);
/* True in a real child that has not begun its own books: one load. */
bool guard_is_copy(void);
/* The child begins its own books: the current process is ours from now on. */
void guard_adopt_process(void);
/* The path of this program; where there is no /proc, as it was executed (a script's own
 * name: no build-id will agree); "" if nobody knows. */
void guard_program(char *path, size_t size);
extern pid_t guard_pid; /* of the process whose books these are */

/* Raised by the thread that ticks with each piece of its work: a frame unwound, a socket
 * looked at, a piece read or written.  Unwinding takes its time where the machine is busy
 * or a tracer stands between: who waits for that thread is patient while this moves. */
extern uint32_t guard_progress; /* atomic */

static inline void guard_progressed(void)
{
	uint32_t next = __atomic_load_n(&guard_progress, __ATOMIC_RELAXED) + 1;

	__atomic_store_n(&guard_progress, next, __ATOMIC_RELAXED);
}

/* Of a thread that waits for the one that ticks, a millisecond at a time. */
struct guard_patience {
	unsigned idle_ms; /* how long without progress */
	unsigned n_idle, n_all;
	uint32_t seen;
};
/* Whether to wait for one millisecond more. */
bool guard_is_patient(struct guard_patience *patience);

#endif
