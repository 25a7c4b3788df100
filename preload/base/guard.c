/* See guard.h. */
#include "base/guard.h"

#include "base/arena.h"
#include "base/page.h"
#include "base/sections.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

__thread unsigned reentrancy_depth;
__thread bool guard_is_in_libunwind;
__thread bool guard_is_vfork_child;
__thread bool guard_has_own_files;
_Atomic bool guard_shares_memory, guard_has_other_files;
_Atomic bool guard_is_sandboxed;
bool guard_has_filter = true;
pid_t guard_pid;
_Atomic uint32_t guard_progress;
long guard_errno_offset;

#define LOWEST_FD   200   /* below it a host expects its own numbers */
#define MAX_WAIT_MS 30000 /* other threads of the host may feed the one that works */

/* A page of its own under MADV_WIPEONFORK: holds 1 in our process and in a vfork child, 0
 * in a real child.  Tells a copy of our memory without any call. */
static volatile uint64_t *ours;

static void mark_ours(void)
{
	if (!ours)
		return;
	*ours = 1;
}

/* If the kernel does not answer, the descriptor counts as that file: it was a moment
 * ago. */
static bool is_same_file(long fd, const struct stat *is)
{
	struct stat now;
	long error = guard_sys(SYS_newfstatat, fd, "", &now, AT_EMPTY_PATH);

	return error == 0 ? now.st_dev == is->st_dev && now.st_ino == is->st_ino
			  : error != -EBADF;
}

bool guard_close(long fd, const struct stat *is)
{
	bool is_ours = is_same_file(fd, is);

	if (is_ours)
		guard_sys(SYS_close, fd);
	return is_ours;
}

long guard_raise(long fd, struct stat *is)
{
	long error = fd < 0 ? fd : guard_sys(SYS_newfstatat, fd, "", is, AT_EMPTY_PATH);

	if (error < 0) {
		if (fd >= 0)
			guard_sys(SYS_close, fd);
		return error;
	}
	long high = guard_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOWEST_FD);
	if (high < 0)
		return fd;
	guard_close(fd, is);
	return high;
}

long guard_open(long directory, const char *path, int flags, unsigned mode,
		struct stat *is)
{
	return guard_raise(
		guard_sys(SYS_openat, directory, path, flags | O_CLOEXEC, mode), is);
}

size_t guard_read_file(const char *path, char *text, size_t size)
{
	struct stat is;
	long fd = guard_open(AT_FDCWD, path, O_RDONLY, 0, &is);
	long n = fd < 0 ? 0 : guard_sys(SYS_read, fd, text, size - 1);

	if (fd >= 0)
		guard_close(fd, &is);
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* "Seccomp:\t2" in /proc/self/status.  A filter that let the loader open libraries lets
 * us open this. */
static bool has_filter_at_start(void)
{
	static const char wanted[] = "\nSeccomp:\t";
	char piece[256]; /* the first socket may be made in a handler, on a small stack */
	unsigned same = 0;
	long n, answer = 0;
	struct stat is;
	long fd = guard_open(AT_FDCWD, "/proc/thread-self/status", O_RDONLY, 0, &is);

	if (fd < 0)
		return true; /* not known: as if there were one */
	while (!answer && (n = guard_sys(SYS_read, fd, piece, sizeof(piece))) > 0)
		for (long at = 0; at < n && !answer; at++) {
			if (same == sizeof(wanted) - 1)
				answer = (unsigned char)piece[at];
			else
				same = piece[at] == wanted[same] ? same + 1
								 : piece[at] == '\n';
		}
	guard_close(fd, &is);
	return answer && answer != '0';
}

AT_START void guard_start(void)
{
	guard_errno_offset = (char *)&errno - (char *)__builtin_thread_pointer();
	guard_adopt_process();
}

bool guard_watch_copies(void)
{
	volatile uint64_t *nobodys = NULL, *page;

	if (ours)
		return true;
	if (guard_sys(SYS_getpid) != guard_pid)
		return false;
	page = arena_map(PAGE_BYTES);
	/* Kernels before 4.14: fork is then known by its handler alone. */
	if (!page || guard_sys(SYS_madvise, page, PAGE_BYTES, MADV_WIPEONFORK) < 0) {
		arena_unmap((void *)page, PAGE_BYTES);
		return true;
	}
	*page = 1;
	if (!__atomic_compare_exchange_n(&ours, &nobodys, page, false, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		arena_unmap((void *)page, PAGE_BYTES);
	return true;
}

void guard_ask_filter(void)
{
	guard_has_filter = has_filter_at_start();
}

void guard_program(char *path, size_t size)
{
	bool is_by_loader = getauxval(AT_BASE) == 0; /* "ld.so PROGRAM ARGUMENT..." */
	const char *executed = is_by_loader ? program_invocation_name
					    : (const char *)getauxval(AT_EXECFN);
	long n = is_by_loader ? 0
			      : guard_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/exe",
					  path, size - 1);

	if (n <= 0 && executed) {
		n = (long)strnlen(executed, size - 1);
		memcpy(path, executed, (size_t)n);
	}
	path[n > 0 ? n : 0] = '\0';
}

AT_START void guard_adopt_process(void)
{
	guard_pid = (pid_t)guard_sys(SYS_getpid);
	guard_is_vfork_child = false;
	guard_has_own_files = false;
	guard_shares_memory = false;
	guard_has_other_files = false;
	mark_ours();
}

AT_START bool in_forked_copy(void)
{
	return ours && !*ours;
}

bool guard_may_be_forked_copy(void)
{
	return !ours || !*ours;
}

AT_START static enum guard_process process_of(bool asks)
{
	/* A child that has no tracking state of its own, and may not begin any in a
	 * sandbox, is left alone. */
	if (guard_is_sandboxed)
		return in_forked_copy() || guard_is_vfork_child ? PROCESS_VFORK_CHILD
								: PROCESS_OURS;
	/* The wiped page before the pid: in a PID namespace of its own a child of pid 1
	 * is pid 1, too. */
	if (in_forked_copy())
		return PROCESS_FORKED_CHILD;
	if (guard_is_vfork_child)
		return PROCESS_VFORK_CHILD;
	return !asks || guard_sys(SYS_getpid) == guard_pid ? PROCESS_OURS
							   : PROCESS_VFORK_CHILD;
}

enum guard_process guard_process(void)
{
	return process_of(!ours || guard_shares_memory);
}

AT_START enum guard_process guard_ask_process(void)
{
	return process_of(true);
}

bool guard_shares_all(void)
{
	return guard_shares_memory && !guard_has_other_files && !guard_is_vfork_child &&
	       !guard_is_sandboxed && !in_forked_copy();
}

/* A host that steps through itself, by the trap flag and a handler of SIGTRAP, would be
 * ended by the first step with that signal blocked, and the flag goes to new threads,
 * too. That it was set is kept in the bit of a signal that cannot be blocked. */
#define WAS_STEPPED (UINT64_C(1) << (SIGKILL - 1))

static bool stop_stepping(void)
{
#ifdef __x86_64__
	const unsigned long trap_flag = 0x100;
	unsigned long flags = __builtin_ia32_readeflags_u64();

	if (flags & trap_flag) {
		__builtin_ia32_writeeflags_u64(flags & ~trap_flag);
		return true;
	}
#endif
	return false;
}

static void step_again(void)
{
#ifdef __x86_64__
	__builtin_ia32_writeeflags_u64(__builtin_ia32_readeflags_u64() | 0x100);
#endif
}

bool guard_block_signals(uint64_t signals, uint64_t *before)
{
	bool was_stepped = stop_stepping();
	bool is_blocked =
		guard_sys(SYS_rt_sigprocmask, SIG_BLOCK, &signals, before, 8) == 0;

	if (was_stepped && is_blocked)
		*before |= WAS_STEPPED;
	else if (was_stepped)
		step_again();
	return is_blocked;
}

void guard_restore_signals(uint64_t before)
{
	guard_call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8, 0, 0);
	if (__builtin_expect((before & WAS_STEPPED) != 0, 0))
		step_again();
}

bool guard_is_patient(struct guard_patience *patience)
{
	uint32_t now = atomic_load_explicit(&guard_progress, memory_order_relaxed);

	if (patience->seen != now)
		patience->n_idle = 0;
	patience->seen = now;
	return patience->n_idle++ < patience->idle_ms && patience->n_all++ < MAX_WAIT_MS;
}
