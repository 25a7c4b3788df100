/* What keeps the library from harming the host: the per-thread mark of its own work, and
 * the question whether this is still the process that it tracks. */
#ifndef SOCKLEAK_GUARD_H
#define SOCKLEAK_GUARD_H

#include "base/system_call.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Nonzero while this thread works for the library (the helper for its whole life, another
 * thread in a scan): its calls go straight to the kernel.  Initial-exec, so that touching
 * it never allocates. */
extern __thread unsigned reentrancy_depth __attribute__((tls_model("initial-exec")));
/* This thread is inside libunwind, whose pipe2 and mincore are answered instead of made.
 * Set with all signals blocked: a handler of the host's makes the calls it asks for. */
extern __thread bool guard_is_in_libunwind __attribute__((tls_model("initial-exec")));

/* Blocks these signals in this thread; false = it could not be asked, and there is
 * nothing to be undone. */
bool guard_block_signals(uint64_t signals, uint64_t *before);
/* Undoes it, whatever sandbox another thread has put up meanwhile. */
void guard_restore_signals(uint64_t before);
/* But for the one by which setuid() waits for every thread. */
#define GUARD_ALL_SIGNALS (~(UINT64_C(1) << (33 - 1)))

/* A seccomp filter was in force when the process started: it lets a loader through, so it
 * lets through getsockopt, poll and futex, but nothing rarer.  Taken for true until it
 * was asked. */
extern bool guard_has_filter;

struct stat;
/* openat() with O_CLOEXEC, out of the host's way: where this thread shares the host's
 * table, what the host opens meanwhile must get the number that it expects, the lowest.
 * The lowest number is used only until it is copied to a high one and closed, however
 * long the file is used then.  `is` gets what fstat() says.  Returns the descriptor, to
 * be closed by guard_close() soon, or -errno. */
long guard_open(long directory, const char *path, int flags, unsigned mode,
		struct stat *is);
/* The same of a descriptor that was just opened, or an error. */
long guard_raise(long fd, struct stat *is);
/* Closes it while it still is that file: another thread of the host may have closed its
 * number with a whole range, and have a file of its own there.  false = the number was
 * another file already. */
bool guard_close(long fd, const struct stat *is);
/* What a file of /proc says, as one read() gives it, terminated.  Returns how many bytes:
 * 0 = it cannot be read. */
size_t guard_read_file(const char *path, char *text, size_t size);

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
 * of our process already, and its kind cannot be known any more: it must not touch the
 * tracking state. */
bool guard_watch_copies(void);
/* Asks /proc about the filter that stood at the start.  55 us in a new process, so only
 * once there is a socket. */
void guard_ask_filter(void);
/* What this process is, compared with the one that started our tracking state: */
enum guard_process {
	PROCESS_OURS,
	PROCESS_FORKED_CHILD, /* a real child with a copy of our memory: call
				 start_child() */
	PROCESS_VFORK_CHILD   /* a vfork child that runs in our memory: it must not touch
			       * the tracking state */
};
/* From what the hooks of vfork and clone have noted.  Without a system call, except in a
 * process that has cloned a child which runs beside it in its memory.  A child that was
 * made by an instruction of the host's own is not known. */
enum guard_process guard_process(void);
/* The same, and knows such a child, too: one getpid(), for rare calls. */
enum guard_process guard_ask_process(void);

/* In this thread's memory runs a child of vfork(), or of clone() used as such; the thread
 * itself waits for it. */
extern __thread bool guard_is_vfork_child
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
/* This thread has left the process's descriptor table for one of its own: what it opens
 * and closes is in no entry.  The leader's own table is the one that is looked at. */
extern __thread bool guard_has_own_files
	__attribute__((tls_model("initial-exec"), visibility("hidden")));
/* A child may run beside us in our memory, until we end: only the pid tells it. */
extern _Atomic bool guard_shares_memory;
/* Such a child may have a descriptor table of its own. */
extern _Atomic bool guard_has_other_files;
/* Of a process that is not ours: it runs in our memory, and has our descriptor table, as
 * every child that ever did.  What it opens, reads and closes is ours, as a thread's. */
bool guard_shares_all(void);
/* True in a real child that has not begun its own tracking state: one load. */
bool in_forked_copy(void);
/* The same, or not known: for the handler that runs in a child after fork(). */
bool guard_may_be_forked_copy(void);
/* The child begins its own tracking state: the current process is ours from now on. */
void guard_adopt_process(void);
/* The path of this program; where there is no /proc, as it was executed (a script's own
 * name: no build-id will agree); "" if it is not known. */
void guard_program(char *path, size_t size);
extern pid_t guard_pid; /* of the process whose tracking state these are */

/* Raised by the scanning thread with each piece of its work: a frame unwound, a socket
 * looked at, a piece read or written.  Unwinding takes its time where the machine is busy
 * or a tracer stands between: a thread that waits for it goes on waiting while this
 * counter moves. */
extern _Atomic uint32_t guard_progress;

static inline void guard_progressed(void)
{
	uint32_t raised = atomic_load_explicit(&guard_progress, memory_order_relaxed) + 1;

	atomic_store_explicit(&guard_progress, raised, memory_order_relaxed);
}

/* Of a thread that waits for the scanning thread, a millisecond at a time. */
struct guard_patience {
	unsigned idle_ms; /* how long without progress */
	unsigned n_idle, n_all;
	uint32_t seen;
};
/* Whether to wait for one millisecond more. */
bool guard_is_patient(struct guard_patience *patience);

#endif
