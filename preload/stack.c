/* The stack is copied from the stack pointer up to where it is known to end: for the main
 * thread at what the kernel put there, for others at their thread control block, which
 * lies above the stack.  What is not known to be ours is proven readable page by page
 * first.  A stack that is neither (a coroutine's, a signal's) may end anywhere, and
 * behind its end may lie memory that another thread is just unmapping: the kernel copies
 * it for us, or, where calls are scarce, it is copied page by page right after the proof.
 *
 * Copies lie in buffers of a few sizes, kept in free lists and never given back. */
#include "stack.h"

#include "arena.h"
#include "freelist.h"
#include "guard.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES     4096u
#define MAX_MAIN_BYTES (8u << 20)  /* below the main stack nothing else is mapped */
#define FOREIGN_BYTES  (32u << 10) /* at first, of a stack whose end is not known */
#define MIN_CLASS_BITS 12          /* buffers are 4 KiB << class */
#define N_CLASSES      6

#define UNCHECKED __attribute__((no_sanitize_address, no_sanitize_thread, noinline))

extern void *__libc_stack_end __attribute__((weak)); /* musl has none */
extern char **environ;

/* How many of each size there may be: 16 MiB in all.  A size that is used up takes from
 * the larger ones. */
static const uint32_t max_buffers[N_CLASSES] = {1536, 384, 160, 64, 16, 12};
#define N_BUFFERS (1536 + 384 + 160 + 64 + 16 + 12)

ARENA_TABLE static struct {
	char *at;
	unsigned size_class;
} buffers[N_BUFFERS + 1]; /* by number, from 1 */
ARENA_TABLE static uint32_t next_buffer[N_BUFFERS + 1];
static uint64_t free_buffers[N_CLASSES]; /* atomic; free lists */
static uint32_t n_buffers;               /* atomic */
static uint32_t n_of_class[N_CLASSES];   /* atomic */

static uint64_t stack_end; /* of the main thread; 0 = not known */

/* Copied of a stack whose end is not known; grows when that turns out to be too little.
 * Atomic. */
static uint32_t foreign_bytes = FOREIGN_BYTES;

AT_START void stack_start(void)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	uint64_t end =
		(uint64_t)(uintptr_t)environ; /* above argc, where nobody moved it */

	if (&__libc_stack_end)
		end = (uint64_t)(uintptr_t)__libc_stack_end;
	if (end > here && end - here < STACK_MAX_BYTES)
		stack_end = end & ~UINT64_C(7);
}

/* The kernel reads the new signal mask before it looks at what to do with it: EFAULT is
 * unreadable, EINVAL readable.  No descriptor, no file, and every filter allows it. */
static bool is_readable(uint64_t address)
{
	return guard_sys(SYS_rt_sigprocmask, ~0L, address & ~UINT64_C(7), 0, 8) ==
	       -EINVAL;
}

bool stack_is_readable(uint64_t from, uint32_t bytes)
{
	uint64_t page = from & ~(uint64_t)(PAGE_BYTES - 1);

	for (; page < from + bytes; page += PAGE_BYTES)
		if (!is_readable(page))
			return false;
	return true;
}

/* The thread pointer points to its start, on aarch64 to its end: what it holds is no
 * stack, and another in each thread. */
static uint64_t thread_block(void)
{
#if defined __aarch64__
	return (uint64_t)pthread_self();
#else
	return (uint64_t)(uintptr_t)__builtin_thread_pointer();
#endif
}

enum end_is { END_IS_OURS, END_IS_PROVEN, END_IS_FOREIGN };

/* How much to copy from `from` on, and what is known of its end. */
static uint32_t reach(uint64_t from, enum end_is *end_is)
{
	uint64_t block = thread_block();

	*end_is = END_IS_OURS;
	if (stack_end > from && stack_end - from <= STACK_MAX_BYTES)
		return (uint32_t)(stack_end - from);
	*end_is = END_IS_PROVEN;
	if (block > from && block - from <= STACK_MAX_BYTES)
		return (uint32_t)(block - from) & ~7u;
	if (stack_end > from && stack_end - from <= MAX_MAIN_BYTES)
		return STACK_MAX_BYTES;
	*end_is = END_IS_FOREIGN;
	return __atomic_load_n(&foreign_bytes, __ATOMIC_RELAXED);
}

/* A fresh buffer of this class, 0 when there are as many as there may be. */
static uint32_t new_buffer(unsigned size_class)
{
	uint32_t *n = &n_of_class[size_class];

	if (__atomic_load_n(n, __ATOMIC_RELAXED) >= max_buffers[size_class] ||
	    __atomic_fetch_add(n, 1, __ATOMIC_RELAXED) >= max_buffers[size_class])
		return 0;
	char *at = arena_take((size_t)1 << (MIN_CLASS_BITS + size_class));
	if (!at) {
		__atomic_fetch_sub(n, 1, __ATOMIC_RELAXED);
		return 0;
	}
	uint32_t number = __atomic_add_fetch(&n_buffers, 1, __ATOMIC_RELAXED);
	buffers[number].at = at;
	buffers[number].size_class = size_class;
	return number;
}

static uint32_t take_buffer(uint32_t bytes)
{
	unsigned size_class = 0;

	while (size_class < N_CLASSES - 1 && bytes > 1u << (MIN_CLASS_BITS + size_class))
		size_class++;
	for (; size_class < N_CLASSES; size_class++) {
		uint32_t number = freelist_pop(&free_buffers[size_class], next_buffer);
		if (!number)
			number = new_buffer(size_class);
		if (number)
			return number;
	}
	return 0;
}

void stack_free(struct stack_copy *copy)
{
	uint32_t number = copy->buffer;

	copy->at = NULL;
	copy->bytes = copy->buffer = 0;
	if (number)
		freelist_push(&free_buffers[buffers[number].size_class], next_buffer,
			      number);
}

/* Not memcpy: sanitizers would look at what is not theirs. */
UNCHECKED static void copy_words(char *to, uint64_t from, uint32_t bytes)
{
#if defined __x86_64__
	uint64_t n_words = bytes / 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n_words) : : "memory");
#else
	for (uint32_t at = 0; at < bytes; at += 8)
		*(volatile uint64_t *)(to + at) = *(const volatile uint64_t *)(from + at);
#endif
}

/* Page by page, each right after its proof.  Returns how much was readable. */
static uint32_t copy_proven(char *to, uint64_t from, uint32_t bytes)
{
	uint32_t at = 0;

	while (at < bytes && is_readable(from + at)) {
		uint32_t part = PAGE_BYTES - (uint32_t)((from + at) % PAGE_BYTES);
		if (part > bytes - at)
			part = bytes - at;
		copy_words(to + at, from + at, part);
		at += part;
	}
	return at;
}

static uint32_t copy_foreign(char *to, uint64_t from, uint32_t bytes)
{
	struct iovec there = {(void *)from, bytes}, here = {to, bytes};

	if (guard_has_filter || guard_is_sandboxed)
		return copy_proven(to, from, bytes);
	long n = guard_sys(SYS_process_vm_readv, guard_sys(SYS_getpid), &here, 1, &there,
			   1, 0);
	return n > 0 ? (uint32_t)n & ~7u : copy_proven(to, from, bytes);
}

bool stack_copy(const uint64_t words[REGISTERS_N], struct stack_copy *copy)
{
	uint64_t from = words[REGISTERS_SP];
	enum end_is end_is;
	uint32_t bytes = reach(from, &end_is);

	*copy = (struct stack_copy){.buffer = take_buffer(bytes)};
	if (!copy->buffer)
		return false;
	copy->at = buffers[copy->buffer].at;
	if (end_is == END_IS_OURS)
		copy_words(copy->at, from, bytes);
	else if (end_is == END_IS_PROVEN)
		bytes = copy_proven(copy->at, from, bytes);
	else
		bytes = copy_foreign(copy->at, from, bytes);
	copy->bytes = bytes;
	return true;
}

/* No further than memory is proven.  The first addresses are right in any case: our own
 * functions keep frame pointers. */
UNCHECKED uint32_t stack_returns(const uint64_t words[REGISTERS_N], uint64_t returns[],
				 uint32_t max)
{
	/* On aarch64 the innermost frame's record stands at the stack pointer itself. */
	uint64_t below = words[REGISTERS_SP] - 1, frame = words[REGISTERS_FP];
	uint64_t proven = UINT64_MAX; /* the page */
	uint32_t n = 0;

	while (n < max && frame > below && frame - below <= STACK_MAX_BYTES &&
	       frame % 16 == 0) {
		if (frame / PAGE_BYTES != proven && !is_readable(frame))
			break;
		proven = frame / PAGE_BYTES;
		const uint64_t *pair = (const void *)frame;
		returns[n++] = registers_plain(pair[1]);
		below = frame;
		frame = pair[0];
	}
	return n;
}

void stack_was_short(uint32_t bytes, uint64_t distance)
{
	if (bytes == foreign_bytes && bytes < STACK_MAX_BYTES &&
	    distance < STACK_MAX_BYTES)
		__atomic_store_n(&foreign_bytes, bytes * 2, __ATOMIC_RELAXED);
}

void stack_free_all(void)
{
	for (unsigned i = 0; i < N_CLASSES; i++)
		free_buffers[i] = 0;
	for (uint32_t number = 1; number <= n_buffers; number++)
		if (buffers[number].at)
			freelist_push(&free_buffers[buffers[number].size_class],
				      next_buffer, number);
}
