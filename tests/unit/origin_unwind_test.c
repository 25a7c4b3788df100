/* Backtraces against a full unwind in place by libgcc, over random call trees: every way
 * of having a frame that compilers and the C library know, mixed at random with a fixed
 * seed, seen by a first capture (a copy that is unwound) and by later ones (recognised).
 */
#include "base/guard.h"
#include "unwind/origin.h"

#include "../lib/left_out.h"

#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#include <cmocka.h>

/* Sanitizers put signals off, know nothing of other stacks, and want to be told of jumps.
 */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

#define MAX_FRAMES 128
#define MAX_DEPTH  12
#define N_TREES    2600 /* each is walked N_WALKS times */
#define N_WALKS    4
#define PAGE       4096

struct witness {
	unsigned n_frames;
	uint64_t ip[MAX_FRAMES + 32];
	bool is_exact[MAX_FRAMES + 32]; /* interrupted there, not calling */
};

static unsigned n_stacks, n_recognised, n_unwound, n_different, n_short;
static volatile bool expects_short; /* below a handler on its own stack */
static volatile bool may_be_short;  /* where little of a stack is certainly its own */
static uint64_t seed;

static unsigned random_below(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static _Unwind_Reason_Code take_frame(struct _Unwind_Context *context, void *argument)
{
	struct witness *witness = argument;
	int is_exact = 0;
	uint64_t ip = _Unwind_GetIPInfo(context, &is_exact);

	if (ip == 0 || witness->n_frames == sizeof(witness->ip) / sizeof(*witness->ip))
		return _URC_END_OF_STACK;
	witness->ip[witness->n_frames] = ip;
	witness->is_exact[witness->n_frames++] = is_exact;
	return _URC_NO_REASON;
}

#if defined __aarch64__
#define CALL_BYTES 4
#else
#define CALL_BYTES 1 /* enough to be inside it */
#endif

/* As origin.h has them: inside the call, or at the instruction a signal interrupted; a
 * signal's trampoline is never called. */
static uint64_t expected_address(const struct witness *witness, unsigned i)
{
	bool is_trampoline = i + 1 < witness->n_frames && witness->is_exact[i + 1];

	return witness->is_exact[i] || is_trampoline ? witness->ip[i]
						     : witness->ip[i] - CALL_BYTES;
}

static uint64_t address_of_frame(uint64_t frame)
{
	const struct origin_module *module = origin_module((uint32_t)(frame >> 48));

	return module ? module->base + (frame & UINT64_C(0xffffffffffff)) : frame;
}

static void say_difference(const struct origin_backtrace *got,
			   const struct witness *witness)
{
	fprintf(stderr, "# stack %u: %u frames%s, expected %u\n", n_stacks,
		got ? got->n_frames : 0, got && got->is_short ? " (short)" : "",
		witness->n_frames);
	for (unsigned i = 0; got && (i < got->n_frames || i < witness->n_frames); i++)
		fprintf(stderr, "#   %2u %#14llx %#14llx\n", i,
			i < got->n_frames
				? (unsigned long long)address_of_frame(got->frames[i])
				: 0,
			i < witness->n_frames
				? (unsigned long long)expected_address(witness, i)
				: 0);
}

/* The innermost frame makes both captures, at different instructions: left out. */
static bool is_equal(const struct origin_backtrace *got, const struct witness *witness)
{
	unsigned n = witness->n_frames < MAX_FRAMES ? witness->n_frames : MAX_FRAMES;

	if (!got || (got->is_short != expects_short && !may_be_short) ||
	    (got->is_short ? got->n_frames > n : got->n_frames != n))
		return false;
	for (unsigned i = 1; i < got->n_frames; i++)
		if (address_of_frame(got->frames[i]) != expected_address(witness, i))
			return false;
	return true;
}

/* It plays the hook, and so has a frame pointer as all hooks do. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void
compare_here(void)
{
	static struct witness witness;
	uint32_t origin = origin_capture();

	n_stacks++;
	if (origin & ORIGIN_PENDING_BIT)
		n_unwound++;
	else
		n_recognised++;
	origin_work();
	const struct origin_backtrace *got = origin_backtrace(origin_resolve(origin));
	witness.n_frames = 0;
	_Unwind_Backtrace(take_frame, &witness);
	n_short += got && got->is_short;
	if (!is_equal(got, &witness) && n_different++ < 3)
		say_difference(got, &witness);
	origin_end_sweep();
}

void grow(unsigned depth);

/* Keeps a call from being the last thing a function does. */
#define NOT_LAST() __asm__ volatile("" ::: "memory")
/* Keeps what it points to on the stack. */
#define KEEP(some) __asm__ volatile("" ::"r"(some) : "memory")

__attribute__((noinline)) static void plain(unsigned depth)
{
	grow(depth);
	NOT_LAST();
}

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void
with_frame_pointer(unsigned depth)
{
	grow(depth);
	NOT_LAST();
}

__attribute__((noinline)) static void with_all_registers(unsigned depth)
{
	unsigned long a = seed, b = a * 3, c = b ^ 5, d = c + 7, e = d * 11, f = e ^ 13;

	__asm__ volatile("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d), "+r"(e), "+r"(f));
	grow(depth);
	__asm__ volatile("" ::"r"(a), "r"(b), "r"(c), "r"(d), "r"(e), "r"(f));
}

__attribute__((noinline)) static void with_alloca(unsigned depth)
{
	char *some = alloca(16 + random_below(6) * 48);

	grow(depth);
	KEEP(some);
}

__attribute__((noinline)) static void with_variable_array(unsigned depth)
{
	char *some = __builtin_alloca_with_align(1 + random_below(4) * 37, 256);

	grow(depth);
	KEEP(some);
}

__attribute__((noinline)) static void realigned(unsigned depth)
{
	_Alignas(64) char some[96];

	KEEP(some);
	grow(depth);
	KEEP(some);
}

__attribute__((noinline)) static void realigned_with_alloca(unsigned a, unsigned b,
							    unsigned c, unsigned d,
							    unsigned e, unsigned f,
							    unsigned depth)
{
	_Alignas(128) char some[160];
	char *more = alloca(32 + (a + b + c + d + e + f) % 64);

	KEEP(some);
	grow(depth);
	KEEP(some);
	KEEP(more);
}

__attribute__((noinline)) static void realigned_seven(unsigned depth)
{
	realigned_with_alloca(depth, 2, 3, 4, 5, 6, depth);
	NOT_LAST();
}

__attribute__((noinline)) static void large(unsigned depth)
{
	char some[5000];

	KEEP(some);
	grow(depth);
	KEEP(some);
}

__attribute__((noinline)) static void recursive(unsigned depth)
{
	if (random_below(3) == 0)
		grow(depth);
	else
		recursive(depth);
	NOT_LAST();
}

__attribute__((noinline)) static void tail_call(unsigned depth)
{
	random_below(2);
	grow(depth);
}

/* The compiler may drop what lies above the call: nothing returns. */
static jmp_buf way_back;
__attribute__((noinline, noreturn)) static void never_returns(unsigned depth)
{
	grow(depth);
	longjmp(way_back, 1);
}

__attribute__((noinline, unused)) static void into_noreturn(unsigned depth)
{
	jmp_buf saved;

	memcpy(&saved, &way_back, sizeof(saved));
	if (setjmp(way_back) == 0)
		never_returns(depth);
	memcpy(&way_back, &saved, sizeof(saved));
}

static volatile unsigned passed_depth; /* to functions that get no arguments */

static int as_comparator(const void *a, const void *b)
{
	unsigned depth = passed_depth;

	(void)a, (void)b;
	if (depth != UINT32_MAX) {
		passed_depth = UINT32_MAX;
		grow(depth);
	}
	return 0;
}

__attribute__((noinline)) static void through_qsort(unsigned depth)
{
	int some[5] = {5, 4, 3, 2, 1};

	passed_depth = depth;
	qsort(some, 5, sizeof(*some), as_comparator);
}

__attribute__((noinline)) static void through_bsearch(unsigned depth)
{
	int some[5] = {1, 2, 3, 4, 5};

	passed_depth = depth;
	if (!bsearch(&some[2], some, 5, sizeof(*some), as_comparator))
		abort();
}

static void on_signal(int number)
{
	(void)number;
	unsigned depth = passed_depth;
	grow(depth);
	NOT_LAST();
}

__attribute__((noinline, unused)) static void through_signal(unsigned depth)
{
	passed_depth = depth;
	raise(SIGUSR1);
	NOT_LAST();
}

/* Only one at a time: the alternate stack is in use below. */
static volatile bool on_alternate_stack;
__attribute__((noinline, unused)) static void through_alternate_stack(unsigned depth)
{
	if (on_alternate_stack) {
		grow(depth);
		return;
	}
	bool expected = expects_short;
	on_alternate_stack = expects_short = true;
	passed_depth = depth;
	raise(SIGUSR2);
	on_alternate_stack = false;
	expects_short = expected;
}

/* A stack of its own that ends where nothing is mapped. */
#define COROUTINE_BYTES (128u << 10)
static void *new_stack(void)
{
	char *stack = mmap(NULL, COROUTINE_BYTES + PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(stack != MAP_FAILED);
	assert_int_equal(mprotect(stack + COROUTINE_BYTES, PAGE, PROT_NONE), 0);
	return stack;
}

__attribute__((noinline, unused)) static void in_coroutine(unsigned depth)
{
	ucontext_t here, there;
	void *stack = new_stack();
	bool expected = expects_short, was_allowed = may_be_short;

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = COROUTINE_BYTES;
	there.uc_link = &here;
	makecontext(&there, (void (*)(void))(void *)grow, 1, depth);
	expects_short = false;
	may_be_short = guard_has_filter;
	swapcontext(&here, &there);
	expects_short = expected;
	may_be_short = was_allowed;
	munmap(stack, COROUTINE_BYTES + PAGE);
}

static void set_alternate_stack(void)
{
	stack_t own = {.ss_sp = new_stack(), .ss_size = COROUTINE_BYTES};

	assert_int_equal(sigaltstack(&own, NULL), 0);
}

static void drop_alternate_stack(void)
{
	stack_t none = {.ss_flags = SS_DISABLE}, own;

	assert_int_equal(sigaltstack(&none, &own), 0);
	munmap(own.ss_sp, COROUTINE_BYTES + PAGE);
}

static void *as_thread(void *argument)
{
	set_alternate_stack();
	grow((unsigned)(uintptr_t)argument);
	drop_alternate_stack();
	return NULL;
}

static void run_thread(void *(*body)(void *), unsigned depth)
{
	pthread_t thread;
	bool expected = expects_short, was_on = on_alternate_stack;
	bool was_allowed = may_be_short;

	expects_short = on_alternate_stack = may_be_short = false;
	assert_int_equal(pthread_create(&thread, NULL, body, (void *)(uintptr_t)depth),
			 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	expects_short = expected;
	on_alternate_stack = was_on;
	may_be_short = was_allowed;
}

__attribute__((noinline)) static void in_thread(unsigned depth)
{
	run_thread(as_thread, depth);
}

static void on_the_way_out(unsigned *depth)
{
	grow(*depth);
	NOT_LAST();
}

/* Its cleanup runs while the stack is being unwound above it. */
__attribute__((noinline)) static void leaves(unsigned depth)
{
	__attribute__((cleanup(on_the_way_out))) unsigned kept = depth;

	pthread_exit(NULL);
}

static void *as_leaving_thread(void *argument)
{
	set_alternate_stack();
	leaves((unsigned)(uintptr_t)argument);
	return NULL;
}

__attribute__((noinline, unused)) static void in_unwinding(unsigned depth)
{
	run_thread(as_leaving_thread, depth);
}

/* In origin_cxx.cc. */
void cxx_catch(unsigned depth);
void cxx_destructor(unsigned depth);
void cxx_rethrow(unsigned depth);
void cxx_function(unsigned depth);

static void (*const kinds[])(unsigned) = {
	plain,
	with_frame_pointer,
	with_all_registers,
	with_all_registers,
	with_alloca,
	with_alloca,
	with_variable_array,
	realigned,
	realigned_seven,
	large,
	recursive,
	tail_call,
	through_qsort,
	through_bsearch,
#if !SANITIZED
	into_noreturn,
	through_signal,
	through_alternate_stack,
	in_coroutine,
	cxx_catch,
	cxx_destructor,
	cxx_rethrow,
	cxx_function,
#endif
};
static void (*const rare_kinds[])(unsigned) = {
	in_thread,
#if !SANITIZED
	in_unwinding,
	in_coroutine,
#endif
};
#define N(kinds) (sizeof(kinds) / sizeof(*(kinds)))

__attribute__((noinline)) void grow(unsigned depth)
{
	if (depth == 0) {
		compare_here();
		NOT_LAST();
		return;
	}
	if (random_below(40) == 0)
		rare_kinds[random_below(N(rare_kinds))](depth - 1);
	else
		kinds[random_below(N(kinds))](depth - 1);
	NOT_LAST();
}

static void finds_what_a_full_unwind_in_place_finds(void **state)
{
	(void)state;
	set_alternate_stack();
	for (unsigned tree = 0; tree < N_TREES; tree++) {
		for (volatile unsigned walk = 0; walk < N_WALKS; walk++) {
			guard_has_filter = tree % 3 == 0; /* other ways to copy */
			seed = tree / 2 * UINT64_C(0x9e3779b97f4a7c15);
			grow(1 + random_below(MAX_DEPTH));
		}
	}
	guard_has_filter = false;
	drop_alternate_stack();
	print_message("# %u stacks: %u unwound, %u recognised, %u short, %u different\n",
		      n_stacks, n_unwound, n_recognised, n_short, n_different);
	assert_true(n_stacks >= 10000);
	assert_int_equal(n_different, 0);
}

#if defined __x86_64__ && !SANITIZED
#define TRAP_FLAG 0x100
static unsigned n_steps;

/* Not while the flag itself is set: that moves the stack pointer behind the compiler's
 * back. */
static volatile bool is_stepping;

static void on_step(int number)
{
	(void)number;
	if (is_stepping)
		compare_here();
	n_steps++;
	NOT_LAST();
}

static int by_number(const void *a, const void *b)
{
	return *(const int *)a - *(const int *)b;
}

__attribute__((noinline)) static int aligned_work(int n)
{
	_Alignas(64) int some[32];
	char *more = alloca((size_t)n * 16 + 16);

	for (int i = 0; i < 32; i++)
		some[i] = (i * 7 + n) % 32;
	snprintf(more, 16, "%d %s", n, "text");
	qsort(some, 8, sizeof(*some), by_number);
	return some[n % 8] + (int)strtol(more, NULL, 10) + more[0];
}

__attribute__((noinline)) static void step_through(unsigned times)
{
	for (unsigned i = 0; i < times; i++) {
		free(memset(malloc(100 + i * 1000), aligned_work((int)i), 100));
		if (getenv("no such variable"))
			abort();
	}
}

/* Prologues, epilogues, stubs of the linker, between any two instructions. */
static void finds_it_between_any_two_instructions(void **state)
{
	(void)state;
	n_stacks = n_different = n_unwound = n_recognised = 0;
	__asm__ volatile("pushfq; orq %0, (%%rsp); popfq" ::"i"(TRAP_FLAG)
			 : "memory", "cc");
	is_stepping = true;
	step_through(3);
	is_stepping = false;
	__asm__ volatile("pushfq; andq %0, (%%rsp); popfq" ::"i"(~TRAP_FLAG)
			 : "memory", "cc");
	print_message("# %u instructions, %u stacks: %u unwound, %u recognised\n",
		      n_steps, n_stacks, n_unwound, n_recognised);
	assert_true(n_stacks >= 5000);
	assert_int_equal(n_different, 0);
}
#endif

static void handle(int number, int flags, void (*handler)(int))
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	assert_int_equal(sigaction(number, &action, NULL), 0);
}

static int start(void **state)
{
	(void)state;
	alarm(180);
	handle(SIGUSR1, SA_NODEFER, on_signal);
	handle(SIGUSR2, SA_NODEFER | SA_ONSTACK, on_signal);
#if defined __x86_64__ && !SANITIZED
	handle(SIGTRAP, 0, on_step);
#endif
	guard_start();
	guard_has_filter = false;
	origin_start(MAX_FRAMES, true);
	origin_allocate();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_a_full_unwind_in_place_finds),
#if defined __x86_64__ && !SANITIZED
		cmocka_unit_test(finds_it_between_any_two_instructions),
#endif
#if SANITIZED
		LEFT_OUT(finds_it_between_any_two_instructions,
			 "its runtime puts signals off"),
		LEFT_OUT(finds_it_past_signals_coroutines_and_exceptions,
			 "it knows nothing of other stacks and of jumps"),
#endif
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
