/* See own_memory.h. */
#include "base/own_memory.h"

#include "base/guard.h"
#include "base/memcheck.h"
#include "base/page.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

bool own_memory_may_ask(void)
{
	return !guard_has_filter && !guard_is_sandboxed;
}

/* The number of the process reaches no memory any more when main() has ended its thread
 * alone, by a raw exit call.  In a forked copy that number is another process. */
static inline __attribute__((always_inline)) long
read_by_kernel(const struct iovec *here, unsigned n_here, const struct iovec *there,
	       unsigned n_there)
{
	bool is_known = !guard_may_be_forked_copy();
	long n = is_known ? guard_sys(SYS_process_vm_readv, guard_pid, here, n_here,
				      there, n_there, 0)
			  : -ESRCH;

	return n != -ESRCH ? n
			   : guard_sys(SYS_process_vm_readv, guard_sys(SYS_gettid), here,
				       n_here, there, n_there, 0);
}

long own_memory_read(uint64_t from, void *to, uint32_t bytes)
{
	struct iovec there = {(void *)from, bytes}, here = {to, bytes};

	return read_by_kernel(&here, 1, &there, 1);
}

long own_memory_read_pieces(const struct iovec *pieces, uint32_t n_pieces, void *to,
			    uint32_t bytes)
{
	struct iovec here = {to, bytes};

	return read_by_kernel(&here, 1, pieces, n_pieces);
}

#define MAX_RUNS 4 /* of pages in memory, with others between them */

/* What lies between runs is zeroed in the copy. */
struct runs {
	struct iovec there[MAX_RUNS], here[MAX_RUNS];
	unsigned n;
	uint64_t end; /* of the last one */
};

/* `bytes` at `start`, of one page, that the copy of all from `from` on has at `to`. */
static void add_piece(struct runs *runs, uint64_t start, uint64_t bytes, uint64_t from,
		      char *to)
{
	if (!runs->n || runs->end != start) {
		memset(to + (runs->end - from), 0, start - runs->end);
		runs->there[runs->n] = (struct iovec){(void *)start, 0};
		runs->here[runs->n++] = (struct iovec){to + (start - from), 0};
	}
	runs->there[runs->n - 1].iov_len += bytes;
	runs->here[runs->n - 1].iov_len += bytes;
	runs->end = start + bytes;
}

/* How far a read of `n` bytes in all of the runs came. */
static uint64_t end_of_read(const struct runs *runs, uint64_t from, long n)
{
	uint64_t end = from;

	for (unsigned i = 0; i < runs->n && n > 0; i++) {
		uint64_t bytes = runs->there[i].iov_len;

		end = (uint64_t)(uintptr_t)runs->there[i].iov_base +
		      ((uint64_t)n < bytes ? (uint64_t)n : bytes);
		n -= (long)bytes;
	}
	return end;
}

uint32_t own_memory_read_resident(uint64_t from, void *to, uint32_t bytes)
{
	unsigned char is_resident[OWN_MEMORY_MAX_ASKED / PAGE_BYTES + 1] = {0};
	struct runs runs = {.end = from};

	if (bytes > OWN_MEMORY_MAX_ASKED)
		bytes = OWN_MEMORY_MAX_ASKED;
	/* Where a page is not mapped at all the kernel refuses, but has answered for
	 * those before it. */
	guard_sys(SYS_mincore, page_of(from), from + bytes - page_of(from), is_resident);
	for (uint64_t at = from, next; at < from + bytes; at = next) {
		next = page_of(at) + PAGE_BYTES;
		if (next > from + bytes)
			next = from + bytes;
		if (!(is_resident[(at - page_of(from)) / PAGE_BYTES] & 1))
			continue;
		if (runs.n == MAX_RUNS && runs.end != at)
			break;
		add_piece(&runs, at, next - at, from, to);
	}
	if (!runs.n)
		return 0;
	long n = read_by_kernel(runs.here, runs.n, runs.there, runs.n);
	return (uint32_t)(end_of_read(&runs, from, n) - from);
}

/* rt_sigprocmask copies the set in, and then refuses the `how`. */
bool own_memory_is_readable(uint64_t address)
{
	return guard_sys(SYS_rt_sigprocmask, ~0L, address & ~UINT64_C(7), NULL, 8) ==
	       -EINVAL;
}

bool own_memory_is_there(uint64_t address)
{
	return memcheck_is_there || own_memory_is_readable(address);
}
