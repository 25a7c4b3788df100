/* Slots and buffers are kept in free lists that are changed by compare-and-swap, each
 * head with a count beside it so that a list that looks unchanged is unchanged.  A word
 * names a slot and its generation; the generation moves when the slot is taken again, so
 * an old word never names another's place.
 *
 * The stack is copied from the stack pointer up to where it is known to end: for the main
 * thread at what the kernel put there, for others at their thread control block, which
 * lies above the stack.  What is not known to be ours is proven readable page by page
 * first.  A stack that is neither (a coroutine's, a signal's) may end anywhere, and
 * behind its end may lie memory that another thread is just unmapping: the kernel copies
 * it for us, or, where calls are scarce, it is copied page by page right after the proof.
 */
#include "capture.h"

#include "arena.h"
#include "guard.h"
#include "modules.h"
#include "origin.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE_BYTES        4096u
#define CAPTURE_MAX_BYTES (128u << 10)
#define MAX_MAIN_BYTES                                                                   \
	(8u << 20) /* below the main stack's end nothing else is mapped                  \
		    */
#define FOREIGN_BYTES     (32u << 10) /* of a stack whose end is not known */
#define MAX_BUFFERS_BYTES (16u << 20) /* of all copies together */
#define INDEX_BITS        13
#define N_CAPTURES        (1u << INDEX_BITS)
#define GENERATION_MASK   ((1u << (31 - INDEX_BITS)) - 1)
#define MIN_CLASS_BITS    12 /* buffers are 4 KiB << class */
#define N_CLASSES         6

#define UNCHECKED __attribute__((no_sanitize_address, no_sanitize_thread, noinline))

extern void *__libc_stack_end __attribute__((weak)); /* musl has none */
extern char **environ;

ARENA_TABLE static struct capture captures[N_CAPTURES];
ARENA_TABLE static uint32_t
	next_capture[N_CAPTURES + 1]; /* in whatever list it is; 0 = the end */
static uint64_t free_captures;        /* atomic; a free list, see pop() */
static uint32_t n_captures;    /* atomic; those above were never taken; may run past */
static uint32_t waiting;       /* atomic; newest first; only ever taken whole */
static uint32_t n_waiting;     /* atomic */
static uint32_t todo;          /* the worker's: oldest first */
static uint32_t done, settled; /* the worker's: since the last sweep, and before it */

#define N_BUFFERS (MAX_BUFFERS_BYTES >> MIN_CLASS_BITS)
ARENA_TABLE static struct {
	char *at;
	unsigned size_class;
} buffers[N_BUFFERS + 1]; /* by number, from 1 */
ARENA_TABLE static uint32_t next_buffer[N_BUFFERS + 1];
static uint64_t free_buffers[N_CLASSES]; /* atomic; free lists */
static uint32_t n_buffers;               /* atomic */
static uint32_t n_buffer_bytes;          /* atomic */

static uint64_t stack_end; /* of the main thread; 0 = not known */

/* A free list is a word, count << 32 | number of the first, and an array that says who
 * follows whom.  The count keeps a list that was emptied and filled meanwhile from
 * looking unchanged. */
static uint32_t pop(uint64_t *list, uint32_t *next)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_ACQUIRE), new;

	do {
		if (!(uint32_t)old)
			return 0;
		uint32_t second = __atomic_load_n(&next[(uint32_t)old], __ATOMIC_RELAXED);
		new = (((old >> 32) + 1) << 32) | second;
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	return (uint32_t)old;
}

static void push(uint64_t *list, uint32_t *next, uint32_t number)
{
	uint64_t old = __atomic_load_n(list, __ATOMIC_RELAXED), new;

	do {
		__atomic_store_n(&next[number], (uint32_t)old, __ATOMIC_RELAXED);
		new = (((old >> 32) + 1) << 32) | number;
	} while (!__atomic_compare_exchange_n(list, &old, new, true, __ATOMIC_RELEASE,
					      __ATOMIC_RELAXED));
}

void capture_start(void)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	uint64_t end =
		(uint64_t)(uintptr_t)environ; /* above argc, where nobody moved it */

	if (&__libc_stack_end)
		end = (uint64_t)(uintptr_t)__libc_stack_end;
	if (end > here && end - here < CAPTURE_MAX_BYTES)
		stack_end = end & ~UINT64_C(7);
}

bool capture_waits(void)
{
	return __atomic_load_n(&n_waiting, __ATOMIC_RELAXED) != 0;
}

/* The kernel reads the new signal mask before it looks at what to do with it: EFAULT is
 * unreadable, EINVAL readable.  No descriptor, no file, and every filter allows it. */
static bool is_readable(uint64_t address)
{
	return guard_sys(SYS_rt_sigprocmask, ~0L, address & ~UINT64_C(7), 0, 8) ==
	       -EINVAL;
}

static uint64_t thread_block(void)
{
	return (uint64_t)(uintptr_t)__builtin_thread_pointer();
}

enum end_is { END_IS_OURS, END_IS_PROVEN, END_IS_FOREIGN };

/* How much to copy from `from` on, and what is known of its end. */
static uint32_t reach(uint64_t from, enum end_is *end_is)
{
	uint64_t block = thread_block();

	*end_is = END_IS_OURS;
	if (stack_end > from && stack_end - from <= CAPTURE_MAX_BYTES)
		return (uint32_t)(stack_end - from);
	*end_is = END_IS_PROVEN;
	if (block > from && block - from <= CAPTURE_MAX_BYTES)
		return (uint32_t)(block - from) & ~7u;
	if (stack_end > from && stack_end - from <= MAX_MAIN_BYTES)
		return CAPTURE_MAX_BYTES;
	*end_is = END_IS_FOREIGN;
	return FOREIGN_BYTES;
}

static void count_up(uint32_t *counter)
{
	__atomic_fetch_add(counter, 1, __ATOMIC_RELAXED);
}

/* A fresh buffer of this class, 0 when all together are as large as they may be. */
static uint32_t new_buffer(unsigned size_class)
{
	uint32_t bytes = 1u << (MIN_CLASS_BITS + size_class);

	if (__atomic_add_fetch(&n_buffer_bytes, bytes, __ATOMIC_RELAXED) >
	    MAX_BUFFERS_BYTES) {
		__atomic_fetch_sub(&n_buffer_bytes, bytes, __ATOMIC_RELAXED);
		return 0;
	}
	char *at = arena_take(bytes);
	if (!at)
		return 0;
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
	uint32_t number = pop(&free_buffers[size_class], next_buffer);
	if (!number)
		number = new_buffer(size_class);
	while (!number && ++size_class < N_CLASSES)
		number = pop(&free_buffers[size_class], next_buffer);
	return number;
}

static void free_buffer(struct capture *capture)
{
	uint32_t number = capture->buffer;

	capture->buffer = 0;
	if (number)
		push(&free_buffers[buffers[number].size_class], next_buffer, number);
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
	long n = guard_sys(SYS_process_vm_readv, guard_pid, &here, 1, &there, 1, 0);
	return n > 0 ? (uint32_t)n & ~7u : copy_proven(to, from, bytes);
}

static bool copy_stack(struct capture *capture)
{
	uint64_t from = capture->words[REGISTERS_SP];
	enum end_is end_is;
	uint32_t bytes = reach(from, &end_is);

	capture->buffer = take_buffer(bytes);
	if (!capture->buffer)
		return false;
	char *to = buffers[capture->buffer].at;
	if (end_is == END_IS_OURS)
		copy_words(to, from, bytes);
	else if (end_is == END_IS_PROVEN)
		bytes = copy_proven(to, from, bytes);
	else
		bytes = copy_foreign(to, from, bytes);
	capture->copy = to;
	capture->bytes = bytes;
	return true;
}

/* The return addresses that frame pointers lead to, no further than memory is proven.
 * The first ones are right in any case: our own functions keep frame pointers. */
UNCHECKED static void follow_frame_pointers(struct capture *capture)
{
	uint64_t below = capture->words[REGISTERS_SP];
	uint64_t frame = capture->words[REGISTERS_FP];
	uint64_t proven = UINT64_MAX; /* the page */

	capture->copy = NULL;
	capture->bytes = 0;
	for (capture->n_returns = 0; capture->n_returns < CAPTURE_MAX_SHORT;) {
		if (frame <= below || frame - below > CAPTURE_MAX_BYTES ||
		    frame % 16 != 0)
			return;
		if (frame / PAGE_BYTES != proven && !is_readable(frame))
			return;
		proven = frame / PAGE_BYTES;
		const uint64_t *words = (const void *)frame;
		capture->returns[capture->n_returns++] = registers_plain(words[1]);
		below = frame;
		frame = words[0];
	}
}

/* A slot of the next generation, which waits; its number, 0 = all are taken. */
static uint32_t take_slot(void)
{
	uint32_t number = pop(&free_captures, next_capture);

	if (!number) {
		if (__atomic_load_n(&n_captures, __ATOMIC_RELAXED) >= N_CAPTURES)
			return 0;
		number = __atomic_add_fetch(&n_captures, 1, __ATOMIC_RELAXED);
		if (number > N_CAPTURES)
			return 0;
	}
	struct capture *capture = &captures[number - 1];
	uint64_t generation =
		(__atomic_load_n(&capture->state, __ATOMIC_RELAXED) >> 32) + 1;
	__atomic_store_n(&capture->state, (generation & GENERATION_MASK) << 32,
			 __ATOMIC_RELEASE);
	return number;
}

static uint32_t word_of(uint32_t number)
{
	uint64_t state = __atomic_load_n(&captures[number - 1].state, __ATOMIC_RELAXED);

	return ORIGIN_PENDING_BIT | (uint32_t)(state >> 32) << INDEX_BITS | (number - 1);
}

static void queue(uint32_t number)
{
	uint32_t old = __atomic_load_n(&waiting, __ATOMIC_RELAXED);

	count_up(&n_waiting);
	do {
		__atomic_store_n(&next_capture[number], old, __ATOMIC_RELAXED);
	} while (!__atomic_compare_exchange_n(&waiting, &old, number, true,
					      __ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

uint32_t capture_take(uint64_t key, const uint64_t words[REGISTERS_N])
{
	uint32_t number = take_slot();

	if (!number)
		return 0;
	struct capture *capture = &captures[number - 1];
	for (unsigned i = 0; i < REGISTERS_N; i++)
		capture->words[i] = words[i];
	capture->key = key;
	capture->words_at = (uint32_t)((uintptr_t)words - words[REGISTERS_SP]);
	capture->reading = modules_reading();
	capture->n_returns = 0;
	if (!copy_stack(capture))
		follow_frame_pointers(capture);
	uint32_t word = word_of(number);
	queue(number);
	return word;
}

uint32_t capture_settle(uint32_t word)
{
	const struct capture *capture = &captures[word % N_CAPTURES];
	uint64_t state = __atomic_load_n(&capture->state, __ATOMIC_ACQUIRE);
	uint32_t result = (uint32_t)state;

	if ((word & ~ORIGIN_PENDING_BIT) >> INDEX_BITS != state >> 32)
		return 0;
	if (result == 0)
		return word;
	return result == CAPTURE_LOST ? 0 : result;
}

static uint32_t number_of(const struct capture *capture)
{
	return (uint32_t)(capture - captures) + 1;
}

/* Turns what came in meanwhile round: it lies newest first. */
static void fetch(void)
{
	uint32_t number = __atomic_exchange_n(&waiting, 0, __ATOMIC_ACQUIRE);

	while (number) {
		uint32_t next = next_capture[number];
		next_capture[number] = todo;
		todo = number;
		number = next;
	}
}

struct capture *capture_next(void)
{
	if (!todo)
		fetch();
	if (!todo)
		return NULL;
	uint32_t number = todo;
	todo = next_capture[number];
	return &captures[number - 1];
}

void capture_give_back(struct capture *capture)
{
	uint32_t number = number_of(capture);

	next_capture[number] = todo;
	todo = number;
}

void capture_done(struct capture *capture, uint32_t result)
{
	uint32_t number = number_of(capture);
	uint64_t state = __atomic_load_n(&capture->state, __ATOMIC_RELAXED);

	free_buffer(capture);
	__atomic_store_n(&capture->state, state | result, __ATOMIC_RELEASE);
	next_capture[number] = done;
	done = number;
	__atomic_fetch_sub(&n_waiting, 1, __ATOMIC_RELAXED);
}

/* Not at once: a hook may still hold a word that it has not put where sweeps see it. */
void capture_swept(void)
{
	while (settled) {
		uint32_t number = settled;
		settled = next_capture[number];
		push(&free_captures, next_capture, number);
	}
	settled = done;
	done = 0;
}

void capture_forget_all(void)
{
	uint32_t n_used = n_captures < N_CAPTURES ? n_captures : N_CAPTURES;
	uint32_t n_mapped = n_buffers < N_BUFFERS ? n_buffers : N_BUFFERS;

	waiting = todo = done = settled = 0;
	n_waiting = 0;
	free_captures = 0;
	n_captures = n_used;
	for (uint32_t number = 1; number <= n_used; number++) {
		struct capture *capture = &captures[number - 1];
		uint64_t generation = ((capture->state >> 32) + 1) & GENERATION_MASK;
		capture->state = generation << 32 | CAPTURE_LOST;
		capture->buffer = 0;
		push(&free_captures, next_capture, number);
	}
	for (unsigned i = 0; i < N_CLASSES; i++)
		free_buffers[i] = 0;
	n_buffers = n_mapped;
	for (uint32_t number = 1; number <= n_mapped; number++)
		if (buffers[number].at)
			push(&free_buffers[buffers[number].size_class], next_buffer,
			     number);
}
