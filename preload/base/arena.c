/* Memory from the kernel, in pieces of 1 MiB that are never given back.  Memory is taken
 * from the start of a piece by one atomic addition; a thread that finds it full maps the
 * next one.  Two threads may map at once: the one that comes second gives its piece
 * back. */
#include "base/arena.h"

#include "base/system_call.h"

#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define PIECE_BYTES ((size_t)1 << 20)
#define LARGE_BYTES (PIECE_BYTES / 8) /* from here on a mapping of its own */

struct piece {
	size_t used; /* atomic; may run past PIECE_BYTES, which says full */
};
static struct piece *piece; /* atomic; the one handed out from, NULL before the first */

void *arena_map(size_t bytes)
{
	long at = guard_sys(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at < 0 && at > -4096 ? NULL : (void *)at;
}

void arena_unmap(void *at, size_t bytes)
{
	if (at)
		guard_sys(SYS_munmap, at, bytes);
}

void *arena_map_once(void *_Atomic *slot, size_t bytes)
{
	void *there = atomic_load_explicit(slot, memory_order_acquire);
	void *fresh = there ? NULL : arena_map(bytes);

	if (!fresh)
		return there;
	if (atomic_compare_exchange_strong(slot, &there, fresh))
		return fresh;
	arena_unmap(fresh, bytes);
	return there;
}

/* Another piece in the place of the full one `old`. */
static struct piece *next_piece(struct piece *old)
{
	struct piece *new = arena_map(PIECE_BYTES);

	if (!new)
		return NULL;
	__atomic_store_n(&new->used, (sizeof(*new) + 15) & ~(size_t)15, __ATOMIC_RELAXED);
	if (__atomic_compare_exchange_n(&piece, &old, new, false, __ATOMIC_ACQ_REL,
					__ATOMIC_ACQUIRE))
		return new;
	arena_unmap(new, PIECE_BYTES);
	return old;
}

void *arena_take(size_t bytes)
{
	struct piece *from = __atomic_load_n(&piece, __ATOMIC_ACQUIRE);

	if (bytes > SIZE_MAX - 15)
		return NULL;
	bytes = (bytes + 15) & ~(size_t)15;
	if (bytes >= LARGE_BYTES)
		return arena_map(bytes);
	for (;;) {
		size_t at =
			from ? __atomic_fetch_add(&from->used, bytes, __ATOMIC_RELAXED)
			     : PIECE_BYTES;
		if (at <= PIECE_BYTES - bytes)
			return (char *)from + at;
		from = next_piece(from);
		if (!from)
			return NULL;
	}
}
