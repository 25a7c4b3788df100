/* How much of a stack may be read in place: all of it where the C library says whose it
 * is, else the page in which our outermost frame ends. */
#include "base/guard.h"
#include "unwind/stack.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#define PAGE        ((size_t)4096)
#define GIVEN_PAGES 1024 /* room for what a sanitizer keeps in each thread */

extern void *__libc_stack_end;

/* Where may be read to, from the frame of the function that asks. */
static uint64_t certain_end;
__attribute__((noinline)) static void *ask(void *unused)
{
	uint64_t stack = (uint64_t)(uintptr_t)__builtin_frame_address(0);

	certain_end = stack + stack_certain_bytes(stack, stack + 16);
	return unused;
}

static void in_thread(const pthread_attr_t *attributes)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, attributes, ask, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void all_of_the_main_stack_is_certain(void **state)
{
	(void)state;
	ask(NULL);
	assert_int_equal(certain_end, (uintptr_t)__libc_stack_end);
}

static pthread_t self;
static void *ask_for_all(void *unused)
{
	self = pthread_self();
	return ask(unused);
}

/* Above it lies the thread's control block, in the same memory. */
static void all_of_a_thread_s_stack_is_certain(void **state)
{
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, ask_for_all, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(certain_end, self);
}

static void all_of_a_stack_given_to_a_thread_is_certain(void **state)
{
	size_t size = GIVEN_PAGES * PAGE;
	char *given = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_attr_t attributes;

	(void)state;
	assert_true(given != MAP_FAILED);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, given, size), 0);
	in_thread(&attributes);
	assert_in_range(certain_end, (uintptr_t)(given + size - 2 * PAGE),
			(uintptr_t)(given + size));
	munmap(given, size);
}

static char *coroutine_stack;
static ucontext_t outside, inside;
static uint64_t own_page_end;
static void in_coroutine(void)
{
	uint64_t stack = (uint64_t)(uintptr_t)__builtin_frame_address(0);

	certain_end = stack + stack_certain_bytes(stack, stack + 16);
	own_page_end = (stack + 16 + PAGE - 1) / PAGE * PAGE;
}

static void *run_coroutine(void *unused)
{
	if (getcontext(&inside))
		abort();
	inside.uc_stack.ss_sp = coroutine_stack;
	inside.uc_stack.ss_size = 16 * PAGE;
	inside.uc_link = &outside;
	makecontext(&inside, in_coroutine, 0);
	swapcontext(&outside, &inside);
	return unused;
}

/* Wherever it lies: here right below a thread's. */
static void of_a_coroutine_s_stack_one_page_is_certain(void **state)
{
	size_t size = GIVEN_PAGES * PAGE;
	pthread_attr_t attributes;
	pthread_t thread;

	(void)state;
	coroutine_stack = mmap(NULL, size, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(coroutine_stack != MAP_FAILED);
	run_coroutine(NULL);
	assert_int_equal(certain_end, own_page_end);
	assert_int_equal(pthread_attr_init(&attributes), 0);
	assert_int_equal(pthread_attr_setstack(&attributes, coroutine_stack + 32 * PAGE,
					       (GIVEN_PAGES - 32) * PAGE),
			 0);
	assert_int_equal(pthread_create(&thread, &attributes, run_coroutine, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(certain_end, own_page_end);
	munmap(coroutine_stack, size);
}

/* The kernel reads what is there. */
static void a_copy_of_a_foreign_stack_ends_where_memory_does(void **state)
{
	char *memory = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t stack = (uint64_t)(uintptr_t)memory + 128;
	uint64_t words[REGISTERS_N] = {[REGISTERS_SP] = stack};
	struct stack_copy copy;

	(void)state;
	assert_true(memory != MAP_FAILED);
	memset(memory, 7, 3 * PAGE);
	assert_int_equal(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE), 0);
	guard_has_filter = false;
	assert_true(stack_copy(words, stack + 64, &copy));
	assert_int_equal(copy.bytes, 2 * PAGE - 128);
	assert_memory_equal(copy.at, memory + 128, copy.bytes);
	stack_free(&copy);
	guard_has_filter = true; /* no such question may be asked */
	assert_true(stack_copy(words, stack + 64, &copy));
	assert_int_equal(copy.bytes, PAGE - 128);
	stack_free(&copy);
	guard_has_filter = false;
	munmap(memory, 3 * PAGE);
}

/* A caller's large buffer may never have been written to. */
static void a_copy_goes_on_past_pages_that_are_not_in_memory(void **state)
{
	const size_t size = 16 * PAGE;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t stack = (uint64_t)(uintptr_t)memory + 128;
	uint64_t words[REGISTERS_N] = {[REGISTERS_SP] = stack};
	struct stack_copy copy;
	unsigned char is_resident[16];

	(void)state;
	assert_true(memory != MAP_FAILED);
	assert_int_equal(madvise(memory, size, MADV_NOHUGEPAGE), 0);
	memset(memory, 7, PAGE);
	memset(memory + 4 * PAGE, 8, 2 * PAGE);
	memset(memory + 7 * PAGE, 9, PAGE);
	assert_true(stack_copy(words, stack + 64, &copy));
	assert_int_equal(mincore(memory, size, is_resident), 0);
	assert_false(is_resident[3] & 1); /* nothing was brought for us */
	assert_int_equal(copy.bytes, 8 * PAGE - 128);
	assert_memory_equal(copy.at, memory + 128, copy.bytes);
	stack_free(&copy);
	munmap(memory, size);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_of_the_main_stack_is_certain),
		cmocka_unit_test(all_of_a_thread_s_stack_is_certain),
		cmocka_unit_test(all_of_a_stack_given_to_a_thread_is_certain),
		cmocka_unit_test(of_a_coroutine_s_stack_one_page_is_certain),
		cmocka_unit_test(a_copy_of_a_foreign_stack_ends_where_memory_does),
		cmocka_unit_test(a_copy_goes_on_past_pages_that_are_not_in_memory),
	};

	stack_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
