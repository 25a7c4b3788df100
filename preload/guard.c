/* See guard.h. */
#include "guard.h"

#include "arena.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>

__thread unsigned guard_inside;
_Atomic bool guard_is_sandboxed;
bool guard_has_filter = true;
pid_t guard_pid;
uint32_t guard_progress;
long guard_errno_offset;

#define PAGE_BYTES  4096
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

long guard_open(long directory, const char *path, int flags, unsigned mode)
{
	long fd = guard_sys(SYS_openat, directory, path, flags | O_CLOEXEC, mode);
	long high = fd < 0 ? fd : guard_sys(SYS_fcntl, fd, F_DUPFD_CLOEXEC, LOWEST_FD);

	if (high < 0)
		return fd;
	guard_sys(SYS_close, fd);
	return high;
}

/* "Seccomp:\t2" in /proc/self/status.  A filter that let the loader open libraries lets
 * us open this. */
static bool has_filter_at_start(void)
{
	static const char wanted[] = "\nSeccomp:\t";
	char piece[256]; /* the first socket may be made in a handler, on a small stack */
	unsigned same = 0;
	long n, answer = 0;
	long fd = guard_sys(SYS_openat, -100, "/proc/thread-self/status",
			    0x80000 /* CLOEXEC */);

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
	guard_sys(SYS_close, fd);
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
	const char *executed = (const char *)getauxval(AT_EXECFN);
	long n = guard_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, size - 1);

	if (n <= 0 && executed) {
		n = (long)strnlen(executed, size - 1);
		memcpy(path, executed, (size_t)n);
	}
	path[n > 0 ? n : 0] = '\0';
}

AT_START void guard_adopt_process(void)
{
	guard_pid = (pid_t)guard_sys(SYS_getpid);
	mark_ours();
}

AT_START bool guard_is_copy(void)
{
	return ours && !*ours;
}

AT_START enum guard_process guard_process(void)
{
	/* In a sandbox nothing can be asked: of a child without books of its own, and
	 * without the means to begin them, we keep our hands off. */
	if (guard_is_sandboxed)
		return guard_is_copy() ? GUARD_BORROWED : GUARD_OURS;
	if (guard_sys(SYS_getpid) == guard_pid)
		return GUARD_OURS;
	return guard_is_copy() ? GUARD_FORKED : GUARD_BORROWED;
}

bool guard_is_patient(struct guard_patience *patience)
{
	uint32_t now = __atomic_load_n(&guard_progress, __ATOMIC_RELAXED);

	if (patience->seen != now)
		patience->n_idle = 0;
	patience->seen = now;
	return patience->n_idle++ < patience->idle_ms && patience->n_all++ < MAX_WAIT_MS;
}
