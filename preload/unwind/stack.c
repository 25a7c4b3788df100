/* A page that was readable a moment ago may be gone by the next: another thread of the
 * host unmaps it.  So only memory that no other thread may unmap is read in place: the
 * stack this thread runs on, from the stack pointer up.  The C library says where that
 * ends: for the main thread what the kernel put above it, for others the thread control
 * block, which lies in the block of memory that struct pthread names as the stack's.
 * Within it this thread itself may have put the stacks of coroutines, with guard pages
 * between them: the kernel is asked about each page but the first.
 *
 * A stack that is neither (a coroutine's, a signal's) may end anywhere.  The kernel reads
 * it for us, which cannot fault; where a seccomp filter may forbid that call, no more is
 * read than the page in which our own outermost frame ends: that holds a frame this
 * thread returns to.
 *
 * Copies lie in buffers of a few sizes, kept in free lists and never given back. */
#include "unwind/stack.h"

#include "base/arena.h"
#include "base/freelist.h"
#include "base/memcheck.h"
#include "base/own_memory.h"
#include "base/page.h"
#include "base/sections.h"
#include "base/unchecked.h"

#include <pthread.h>
#include <stdatomic.h>

#define MAX_MAIN_BYTES (8u << 20)  /* below the main stack nothing else is mapped */
#define FOREIGN_BYTES  (32u << 10) /* at first, of a stack whose end is not known */
#define MIN_CLASS_BITS 12          /* buffers are 4 KiB << class */
#define N_CLASSES      6

extern void *__libc_stack_end __attribute__((weak)); /* musl has none */
/* The size of struct pthread, kept for debuggers; glibc >= 2.34. */
extern const uint32_t _thread_db_sizeof_pthread __attribute__((weak));
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

static _Atomic bool has_guards; /* some page of a thread's own stack is none */
static uint64_t main_end;       /* of the main thread's stack; 0 = not known */
static uint64_t main_thread;    /* its struct pthread, which is never freed */
/* In struct pthread: where the stack's memory starts, followed by its size.  Atomic. */
static _Atomic uint32_t block_offset;
#define NOT_ASKED 0 /* it is looked for when first needed: a start does without */
#define NOT_KNOWN 1

/* Copied of a stack whose end is not known; grows when that turns out to be too little.
 * Atomic. */
static _Atomic uint32_t foreign_bytes = FOREIGN_BYTES;

/* This thread's struct pthread, which is its control block. */
static inline uint64_t thread_block(void)
{
#if defined __aarch64__
	return (uint64_t)pthread_self(); /* it lies below the thread pointer */
#else
	return (uint64_t)(uintptr_t)__builtin_thread_pointer();
#endif
}

AT_START void stack_start(void)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	uint64_t end = (uint64_t)(uintptr_t)environ; /* above argc, unless the program has
						      * moved it */

	if (&__libc_stack_end)
		end = (uint64_t)(uintptr_t)__libc_stack_end;
	if (end > here && end - here < STACK_MAX_BYTES)
		main_end = end & ~UINT64_C(7);
	main_thread = thread_block();
	memcheck_start();
}

/* The main thread's stack is none of the C library's making: there the start is NULL, and
 * in place of a size stands the stack's end.  Where no pair of words, or more than one,
 * looks like that, every thread's stack counts as foreign. */
UNCHECKED_MEMORY __attribute__((noinline)) static uint32_t find_block_offset(void)
{
	const uint64_t *words = (const void *)main_thread;
	uint32_t found = NOT_KNOWN;

	if (!&__libc_stack_end || !&_thread_db_sizeof_pthread)
		return NOT_KNOWN;
	for (uint32_t i = 1; i + 2 <= _thread_db_sizeof_pthread / 8; i++) {
		if (words[i] || words[i + 1] != (uint64_t)(uintptr_t)__libc_stack_end)
			continue;
		if (found != NOT_KNOWN)
			return NOT_KNOWN;
		found = i * 8;
	}
	return found;
}

/* Two threads may look at once: they find the same. */
static uint32_t known_block_offset(void)
{
	uint32_t offset = atomic_load_explicit(&block_offset, memory_order_relaxed);

	if (offset != NOT_ASKED)
		return offset;
	offset = find_block_offset();
	atomic_store_explicit(&block_offset, offset, memory_order_relaxed);
	return offset;
}

/* Where the stack this thread runs on ends; 0 = not known.  The thread control block is
 * no stack, and another in each thread. */
UNCHECKED_MEMORY __attribute__((noinline)) static uint64_t own_end(uint64_t stack)
{
	uint64_t control = thread_block();

	if (stack < main_end && main_end - stack <= MAX_MAIN_BYTES)
		return main_end;
	if (known_block_offset() == NOT_KNOWN)
		return 0;
	const uint64_t *block = (const void *)(control + known_block_offset());
	uint64_t start = block[0], bytes = block[1];
	bool is_own = start != 0 && control - start < bytes && stack - start < bytes;
	return is_own && stack < control ? control & ~UINT64_C(7) : 0;
}

static uint64_t first_page_end(uint64_t frame_end)
{
	return page_of(frame_end + PAGE_BYTES - 1);
}

/* No other thread may unmap what lies below this. */
static uint64_t end_of(uint64_t stack, uint64_t frame_end)
{
	uint64_t end = own_end(stack);

	return end ? end : first_page_end(frame_end);
}

uint64_t stack_certain_bytes(uint64_t stack, uint64_t frame_end)
{
	bool is_plain = !atomic_load_explicit(&has_guards, memory_order_relaxed);

	return (is_plain ? end_of(stack, frame_end) : first_page_end(frame_end)) - stack;
}

bool stack_is_own(uint64_t stack, uint64_t bytes)
{
	return own_end(stack) != 0 && own_end(stack - bytes) != 0;
}

bool stack_is_known(uint64_t stack)
{
	return own_end(stack) != 0 || own_memory_may_ask();
}

uint32_t stack_reach(uint64_t stack, uint64_t frame_end)
{
	if (!own_end(stack) && own_memory_may_ask())
		return atomic_load_explicit(&foreign_bytes, memory_order_relaxed);
	uint64_t own = end_of(stack, frame_end) - stack;
	return own < STACK_MAX_BYTES ? (uint32_t)own : STACK_MAX_BYTES;
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
UNCHECKED_MEMORY __attribute__((noinline)) static void copy_words(char *to, uint64_t from,
								  uint32_t bytes)
{
#if defined __x86_64__
	uint64_t n_words = bytes / 8;
	__asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(n_words) : : "memory");
#else
	for (uint32_t at = 0; at < bytes; at += 8)
		*(volatile uint64_t *)(to + at) = *(const volatile uint64_t *)(from + at);
#endif
}

/* Up to where, `until` at most, the bytes from `from` on may be read in place. */
static uint64_t readable_end(uint64_t stack, uint64_t frame_end, uint64_t from,
			     uint64_t until)
{
	uint64_t end = end_of(stack, frame_end), at = first_page_end(frame_end);

	if (until > end)
		until = end;
	if (at < from)
		at = page_of(from);
	while (at < until && own_memory_is_there(at))
		at += PAGE_BYTES;
	if (at >= until)
		return until;
	atomic_store_explicit(&has_guards, true, memory_order_relaxed);
	return at;
}

uint32_t stack_read(uint64_t stack, uint64_t frame_end, uint64_t from, void *to,
		    uint32_t bytes)
{
	uint64_t end = readable_end(stack, frame_end, from, from + bytes);
	uint32_t certain = end > from ? (uint32_t)(end - from) : 0;
	uint32_t more = 0;

	copy_words(to, from, certain);
	if (bytes > certain && own_memory_may_ask())
		more = own_memory_read_resident(from + certain, (char *)to + certain,
						bytes - certain);
	memcheck_define(to, certain + more);
	return (certain + more) & ~7u;
}

bool stack_copy(const uint64_t words[REGISTERS_N], uint64_t frame_end,
		struct stack_copy *copy)
{
	uint64_t stack = words[REGISTERS_SP];
	uint32_t bytes = stack_reach(stack, frame_end);

	*copy = (struct stack_copy){.buffer = take_buffer(bytes)};
	if (!copy->buffer)
		return false;
	copy->at = buffers[copy->buffer].at;
	copy->bytes = stack_read(stack, frame_end, stack, copy->at, bytes);
	return true;
}

/* The first addresses are right in any case: our own functions keep frame pointers. */
uint32_t stack_returns(const uint64_t words[REGISTERS_N], uint64_t frame_end,
		       uint64_t returns[], uint32_t max)
{
	/* On aarch64 the innermost frame's record stands at the stack pointer itself. */
	uint64_t stack = words[REGISTERS_SP], below = stack - 1;
	uint64_t frame = words[REGISTERS_FP], pair[2];
	uint32_t n = 0;

	while (n < max && frame > below && frame - below <= STACK_MAX_BYTES &&
	       frame % 16 == 0 &&
	       stack_read(stack, frame_end, frame, pair, sizeof(pair)) == sizeof(pair)) {
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
		atomic_store_explicit(&foreign_bytes, bytes * 2, memory_order_relaxed);
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
