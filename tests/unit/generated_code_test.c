/* Backtraces through code that the program generates while it runs: by its frame pointer
 * where all agrees, and to its innermost frame where anything does not. */
#include "base/guard.h"
#include "unwind/origin.h"

#include "../lib/hook.h"
#include "../lib/left_out.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

#if defined __x86_64__

#define PAGE   4096
#define RETURN 0x5d, 0xc3             /* pop %rbp; ret */
#define ENTER  0x55, 0x48, 0x89, 0xe5 /* push %rbp; mov %rsp, %rbp */

typedef uint32_t function(void);
/* `value`: in %rsi. */
typedef uint32_t generated(function *calls, uint64_t value);

static const uint8_t with_frame[] = {ENTER, 0xff, 0xd7 /* call *%rdi */, RETURN};
/* nop: at addresses that no other has */
static const uint8_t with_frame_elsewhere[] = {0x90, ENTER, 0xff, 0xd7, RETURN};
static const uint8_t calls_generated[] = {ENTER, 0xff, 0xd6 /* call *%rsi */, RETURN};
/* sub $8, %rsp; call *%rdi; add $8, %rsp; ret */
static const uint8_t without_frame[] = {0x48, 0x83, 0xec, 0x08, 0xff, 0xd7,
					0x48, 0x83, 0xc4, 0x08, 0xc3};
/* mov %rsi, %rbp */
static const uint8_t uses_register[] = {ENTER, 0x48, 0x89, 0xf5, 0xff, 0xd7, RETURN};
/* lea 16(%rsp), %rbp: that of the caller, if it has one */
static const uint8_t points_further[] = {ENTER, 0x48, 0x8d, 0x6c,  0x24,
					 0x10,  0xff, 0xd7, RETURN};
/* push %rbx; push %rax; mov (%rbp), %rbx; mov %rbp, (%rbp); call *%rdi;
 * mov %rbx, (%rbp); pop %rcx; pop %rbx */
static const uint8_t points_to_itself[] = {ENTER, 0x53, 0x50, 0x48, 0x8b, 0x5d,  0x00,
					   0x48,  0x89, 0x6d, 0x00, 0xff, 0xd7,  0x48,
					   0x89,  0x5d, 0x00, 0x59, 0x5b, RETURN};
/* push %rsi; push %rsi; call *%rdi; pop %rcx; pop %rcx */
static const uint8_t keeps_value[] = {ENTER, 0x56, 0x56, 0xff, 0xd7, 0x59, 0x59, RETURN};
/* push %rsi; push %rsi; mov %rsp, %rbp; call *%rdi; lea 16(%rsp), %rsp */
static const uint8_t points_into_itself[] = {ENTER, 0x56, 0x56, 0x48, 0x89, 0xe5, 0xff,
					     0xd7,  0x48, 0x8d, 0x64, 0x24, 0x10, RETURN};
/* call *%rdi; ud2 */
static const uint8_t traps[] = {ENTER, 0xff, 0xd7, 0x0f, 0x0b, RETURN};

static generated *generate(const uint8_t *bytes, size_t n)
{
	void *at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	assert_true(at != MAP_FAILED);
	memset(at, 0xcc, PAGE);
	memcpy((char *)at + 16, bytes, n);
	assert_int_equal(mprotect(at, PAGE, PROT_READ | PROT_EXEC), 0);
	usleep(20000); /* longer than what may be executed is believed */
	return (generated *)(uintptr_t)((char *)at + 16);
}
#define GENERATE(bytes) generate(bytes, sizeof(bytes))

static void forget(generated *code)
{
	assert_int_equal(munmap((char *)(uintptr_t)code - 16, PAGE), 0);
}

static uint64_t returns_to; /* what called() returns to */

__attribute__((noinline)) static uint32_t called(void)
{
	returns_to = (uint64_t)(uintptr_t)__builtin_return_address(0);
	uint32_t origin = hook();

	KEEP(origin);
	return origin;
}

/* With a frame pointer, and no unwind table. */
uint32_t untabled(void);
uint32_t (*const untabled_calls)(void) = called;
__asm__(".text\n\t"
	"nop; nop; nop; nop\n"
	"untabled:\n\t"
	"push %rbp\n\t"
	"mov %rsp, %rbp\n\t"
	"sub $64, %rsp\n\t"
	"call *untabled_calls(%rip)\n\t"
	"mov %rbp, %rsp\n\t"
	"pop %rbp\n\t"
	"ret\n\t"
	"nop; nop; nop; nop");

static uint32_t called_in_c(function *calls, uint64_t value)
{
	(void)value;
	uint32_t origin = calls();

	KEEP(origin);
	return origin;
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static uint32_t
through(generated *code, uint64_t value)
{
	uint32_t origin = code(called, value);

	KEEP(origin);
	return origin;
}

static const struct origin_backtrace *settled(uint32_t origin)
{
	origin_work();
	return origin_backtrace(origin_resolve(origin));
}

static unsigned n_generated(const struct origin_backtrace *backtrace)
{
	unsigned n = 0;

	for (unsigned i = 0; i < backtrace->n_frames; i++)
		n += backtrace->frames[i] >> 48 == 0;
	return n;
}

/* hook() and called(), `n` frames of generated code, and what is there without them:
 * there one frame of C stands in their place. */
static void goes_on(generated *code, uint64_t value, unsigned n)
{
	const struct origin_backtrace *by[2];

	for (volatile unsigned i = 0; i < 2; i++)
		by[i] = settled(through(i ? code : called_in_c, value));
	assert_int_equal(n_generated(by[1]), n);
	assert_false(by[1]->is_short);
	assert_int_equal(by[1]->n_frames, by[0]->n_frames - 1 + n);
	assert_memory_equal(by[1]->frames + 2 + n, by[0]->frames + 3,
			    8 * (by[0]->n_frames - 3));
	assert_int_equal(by[1]->frames[2], returns_to - 1);
}

/* The frame that called, and no other. */
static void ends(const struct origin_backtrace *backtrace, unsigned n)
{
	assert_non_null(backtrace);
	assert_true(backtrace->is_short);
	assert_int_equal(n_generated(backtrace), n);
	assert_int_equal(backtrace->n_frames, 2 + n);
	if (n)
		assert_int_equal(backtrace->frames[2], returns_to - 1);
}

static void ends_with(const uint8_t *bytes, size_t n, uint64_t value)
{
	generated *code = generate(bytes, n);

	ends(settled(through(code, value)), 1);
	ends(settled(through(code, value)), 1); /* recognised, or unwound again */
	forget(code);
}
#define ENDS_WITH(bytes, value) ends_with(bytes, sizeof(bytes), value)

static void goes_on_by_frame_pointer(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);

	goes_on(code, 0, 1);
	forget(code);
}

static void goes_on_through_code_that_calls_other_generated_code(void **state)
{
	(void)state;
	generated *outer = GENERATE(calls_generated), *inner = GENERATE(with_frame);

	goes_on(outer, (uint64_t)(uintptr_t)inner, 2);
	forget(outer);
	forget(inner);
}

/* There libunwind goes by the frame pointer, and then says another stack pointer. */
static void goes_on_where_what_it_called_has_no_table(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);
	const struct origin_backtrace *by = settled(code(untabled, 0));

	assert_int_equal(n_generated(by), 1);
	assert_int_equal(by->frames[3] >> 48, 0);
	assert_false(by->is_short);
	forget(code);
}

static void goes_on_over_what_looks_like_an_address_and_is_data(void **state)
{
	(void)state;
	static const uint8_t data[] = {0, 0, 0, 0, 0, 0, 0xff, 0xd7, 0};
	generated *code = GENERATE(keeps_value);

	goes_on(code, (uint64_t)(uintptr_t)&data[8], 1);
	forget(code);
}

static void recognises_what_it_has_followed(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);
	uint32_t origins[2];

	for (volatile int i = 0; i < 2; i++) {
		origins[i] = through(code, 0);
		assert_true(!(origins[i] & ORIGIN_PENDING_BIT) == (i == 1));
		origins[i] = settled(origins[i])->id;
	}
	assert_int_equal(origins[0], origins[1]);
	forget(code);
}

static void ends_where_code_has_no_frame_pointer(void **state)
{
	(void)state;
	ENDS_WITH(without_frame, 0);
}

static void ends_where_the_register_is_used_otherwise(void **state)
{
	(void)state;
	char *unmapped = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	const uint64_t values[] = {
		0,
		1,
		UINT64_MAX,
		UINT64_MAX - 7,
		(uint64_t)(uintptr_t)unmapped,
		(uint64_t)(uintptr_t)values,
		here,
		here + 4,
		here & ~UINT64_C(15),
		here - 65536,
		here + (UINT64_C(1) << 40),
	};

	assert_true(unmapped != MAP_FAILED);
	for (volatile unsigned i = 0; i < sizeof(values) / sizeof(*values); i++)
		ENDS_WITH(uses_register, values[i]);
	munmap(unmapped, PAGE);
}

static void ends_where_it_points_to_a_frame_further_out(void **state)
{
	(void)state;
	ENDS_WITH(points_further, 0);
}

static void ends_where_it_points_to_itself(void **state)
{
	(void)state;
	ENDS_WITH(points_to_itself, 0);
}

static void ends_where_two_addresses_may_be_returned_to(void **state)
{
	(void)state;
	called();
	ENDS_WITH(keeps_value, returns_to);
}

static void ends_where_it_points_below_its_frames_end(void **state)
{
	(void)state;
	ENDS_WITH(points_into_itself, 0);
}

static pthread_barrier_t barrier;

static void *lends_its_stack(void *frame)
{
	*(uint64_t *)frame = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void ends_where_it_points_to_another_threads_stack(void **state)
{
	(void)state;
	pthread_t thread;
	uint64_t frame = 0;

	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, lends_its_stack, &frame);
	pthread_barrier_wait(&barrier);
	ENDS_WITH(uses_register, frame);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
}

static void ends_where_the_code_is_gone(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);
	uint32_t origin = through(code, 0);

	forget(code);
	ends(settled(origin), 0);
}

/* A compiler writes its code while it may not be executed. */
static void goes_on_once_the_code_may_be_executed_again(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame_elsewhere);
	char *page = (char *)(uintptr_t)code - 16;
	uint32_t origin = through(code, 0);

	assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_WRITE), 0);
	ends(settled(origin), 0);
	assert_int_equal(mprotect(page, PAGE, PROT_READ | PROT_EXEC), 0);
	usleep(20000);
	goes_on(code, 0, 1);
	forget(code);
}

static void ends_where_a_language_has_its_own_frames(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);
	uint32_t origin = through(code, 0);

	languages_has_runtime = true;
	ends(settled(origin), 0);
	languages_has_runtime = false;
	forget(code);
}

static void ends_where_a_filter_may_forbid_to_ask(void **state)
{
	(void)state;
	generated *code = GENERATE(with_frame);

	guard_has_filter = true;
	uint32_t origin = through(code, 0);
	ends(settled(origin), 0);
	guard_has_filter = false;
	forget(code);
}

static uint32_t from_handler;

static void handle(int number, siginfo_t *is, void *at)
{
	ucontext_t *interrupted = at;

	(void)number, (void)is;
	from_handler = hook();
	interrupted->uc_mcontext.gregs[REG_RIP] += 2;
}

static uint32_t does_nothing(void)
{
	return 0;
}

/* hook(), the handler, and the code that it returns to. */
static void ends_where_a_signal_interrupted_it(void **state)
{
	(void)state;
	generated *code = GENERATE(traps);
	struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};

	sigaction(SIGILL, &action, NULL);
	code(does_nothing, 0);
	signal(SIGILL, SIG_DFL);
	const struct origin_backtrace *backtrace = settled(from_handler);
	assert_true(backtrace->is_short);
	assert_int_equal(n_generated(backtrace), 0);
	assert_int_equal(backtrace->n_frames, 3);
	forget(code);
}

static int start(void **state)
{
	(void)state;
	alarm(180);
	guard_start();
	guard_has_filter = false;
	origin_start(32, true);
	origin_allocate();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(goes_on_by_frame_pointer),
		cmocka_unit_test(goes_on_through_code_that_calls_other_generated_code),
		cmocka_unit_test(goes_on_where_what_it_called_has_no_table),
		cmocka_unit_test(goes_on_over_what_looks_like_an_address_and_is_data),
		cmocka_unit_test(recognises_what_it_has_followed),
		cmocka_unit_test(ends_where_code_has_no_frame_pointer),
		cmocka_unit_test(ends_where_the_register_is_used_otherwise),
		cmocka_unit_test(ends_where_it_points_to_a_frame_further_out),
		cmocka_unit_test(ends_where_it_points_to_itself),
		cmocka_unit_test(ends_where_two_addresses_may_be_returned_to),
		cmocka_unit_test(ends_where_it_points_below_its_frames_end),
		cmocka_unit_test(ends_where_it_points_to_another_threads_stack),
		cmocka_unit_test(ends_where_the_code_is_gone),
		cmocka_unit_test(ends_where_a_language_has_its_own_frames),
		cmocka_unit_test(goes_on_once_the_code_may_be_executed_again),
		cmocka_unit_test(ends_where_a_filter_may_forbid_to_ask),
#ifndef __SANITIZE_THREAD__
		cmocka_unit_test(ends_where_a_signal_interrupted_it),
#else
		LEFT_OUT(ends_where_a_signal_interrupted_it,
			 "frames of its runtime are among them"),
#endif
	};

	return cmocka_run_group_tests(tests, start, NULL);
}

#else

int main(void)
{
	puts("1..0 # SKIP generated code is followed on x86_64 alone");
	return 0;
}

#endif
