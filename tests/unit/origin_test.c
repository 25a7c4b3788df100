/* Origins as the rest of the library sees them: captured, unwound, interned, settled. */
#include "base/guard.h"
#include "unwind/capture.h"
#include "unwind/origin.h"
#include "unwind/unwinder.h"

#include "../lib/hook.h"
#include "../lib/left_out.h"
#include "../lib/sitter.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include <cmocka.h>

/* libunwind 1.6 makes a pipe when it starts, 1.8 makes none.  As our hooks do: answered,
 * not made, and it must show that it is libunwind that asks. */
static unsigned n_pipes_made;
int pipe2(int fds[2], int flags)
{
	(void)flags;
	n_pipes_made += !guard_is_in_libunwind;
	fds[0] = fds[1] = -1;
	errno = ENOSYS;
	return -1;
}

static uint32_t settled(uint32_t origin)
{
	origin_work();
	return origin_resolve(origin);
}

__attribute__((noinline)) static uint32_t inner(void)
{
	uint32_t origin = hook();

	KEEP(origin);
	return origin;
}

__attribute__((noinline)) static uint32_t outer(void)
{
	uint32_t origin = inner();

	KEEP(origin);
	return origin;
}

/* The same place, with another address of this program on its stack each time. */
__attribute__((noinline)) static uint32_t littered(size_t nth)
{
	static char here[1 << 16];
	char *some[4] = {&here[nth % sizeof(here)]};
	char **litter = some;

	KEEP(litter);
	uint32_t origin = hook();
	KEEP(litter);
	return origin;
}

__attribute__((noinline)) static uint32_t beyond(size_t bytes)
{
	uint32_t origin = farther(bytes);

	KEEP(origin);
	return origin;
}

static const struct origin_module *module_of(uint64_t frame)
{
	return origin_module((uint32_t)(frame >> 48));
}

static uint64_t address_of(uint64_t frame)
{
	const struct origin_module *module = module_of(frame);

	return module ? module->base + (frame & UINT64_C(0xffffffffffff)) : frame;
}

static bool lies_in(uint64_t frame, uint32_t (*function)(void))
{
	uint64_t start = (uint64_t)(uintptr_t)function;

	return address_of(frame) - start < 64;
}

static void follows_the_calls_to_the_start_of_the_program(void **state)
{
	(void)state;
	const struct origin_backtrace *backtrace = origin_backtrace(settled(outer()));

	assert_non_null(backtrace);
	assert_false(backtrace->is_short);
	assert_true(lies_in(backtrace->frames[0], hook));
	assert_true(lies_in(backtrace->frames[1], inner));
	assert_true(lies_in(backtrace->frames[2], outer));
	assert_true(backtrace->n_frames > 4);
}

static void elf_symbols_the_program_by_its_path_and_build(void **state)
{
	(void)state;
	char path[4096] = "";
	const struct origin_backtrace *backtrace = origin_backtrace(settled(outer()));

	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	assert_string_equal(module_of(backtrace->frames[0])->path, path);
	assert_int_equal(module_of(backtrace->frames[0])->build_id_bytes, 20);
}

static void gives_the_same_place_the_same_id(void **state)
{
	(void)state;
	uint32_t ids[3];

	for (volatile int i = 0; i < 3; i++)
		ids[i] = settled(outer());
	assert_int_equal(ids[0], ids[1]);
	assert_int_equal(ids[1], ids[2]);
	assert_int_not_equal(ids[0], settled(inner()));
}

static void waits_until_somebody_works(void **state)
{
	(void)state;
	uint32_t origin = farther(3 * 16);

	assert_true(origin & ORIGIN_PENDING_BIT);
	assert_true(origin_has_work());
	assert_int_equal(origin_resolve(origin), origin);
	assert_int_equal(origin_work(), 1);
	assert_false(origin_has_work());
	assert_non_null(origin_backtrace(origin_resolve(origin)));
	origin_end_sweep();
	assert_non_null(origin_backtrace(origin_resolve(origin)));
}

static void recognises_what_was_unwound(void **state)
{
	(void)state;
	uint32_t ids[2];

	for (volatile int i = 0; i < 2; i++) {
		uint32_t origin = farther(5 * 16);
		assert_true(!(origin & ORIGIN_PENDING_BIT) == (i == 1));
		ids[i] = settled(origin);
	}
	assert_int_equal(ids[0], ids[1]);
}

static void never_takes_an_old_word_for_another_place(void **state)
{
	(void)state;
	uint32_t old = farther(7 * 16), id = settled(old);

	for (unsigned i = 0; i < 3000; i++) {
		settled(farther(160 + i * 16));
		origin_end_sweep();
		uint32_t now = origin_resolve(old);
		assert_true(now == id || now == 0);
	}
	assert_int_equal(origin_resolve(old), 0);
}

static void loses_nothing_of_a_burst_before_anybody_works(void **state)
{
	(void)state;
	enum { N = 20000 };
	static uint32_t origins[N];
	uint64_t n_lost = origin_lost();

	for (volatile unsigned i = 0; i < N; i++)
		origins[i] = farther(60000);
	origin_work();
	uint32_t id = origin_resolve(origins[N - 1]);
	assert_false(origin_backtrace(id)->is_short);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(origin_resolve(origins[i]), id);
	assert_true(origin_lost() == n_lost);
}

static void takes_no_place_for_another_in_a_burst(void **state)
{
	(void)state;
	enum { N = 300 };
	static uint32_t inners[N], outers[N];

	for (volatile unsigned i = 0; i < N; i++) {
		inners[i] = farther(200 + i % 7 * 16);
		outers[i] = beyond(200 + i % 5 * 16);
	}
	origin_work();
	for (unsigned i = 0; i < N; i++) {
		assert_int_equal(origin_resolve(inners[i]), origin_resolve(inners[0]));
		assert_int_equal(origin_resolve(outers[i]), origin_resolve(outers[0]));
	}
	assert_int_not_equal(origin_resolve(inners[0]), origin_resolve(outers[0]));
}

__attribute__((noinline)) static uint32_t use(void)
{
	uint32_t origin = origin_capture_use();

	KEEP(origin);
	return origin;
}

/* Nobody works, and every stack is another: flat memory, short origins, which the stacks
 * of a place share.  What is one of many is not copied. */
static void keeps_short(uint32_t (*capture)(size_t), size_t step)
{
	enum { N = 30000 };
	static uint32_t origins[N];
	uint64_t n_lost = origin_lost();
	unsigned n_short = 0, n_whole = 0;

	for (volatile unsigned i = 0; i < N; i++)
		origins[i] = capture((i % 6000 + 1) * step);
	assert_int_equal(use(), 0);
	origin_work();
	assert_int_not_equal(use(), 0);
	for (unsigned i = 0; i < N; i++) {
		const struct origin_backtrace *backtrace =
			origin_backtrace(origin_resolve(origins[i]));
		assert_non_null(backtrace);
		assert_true(lies_in(backtrace->frames[0], hook));
		n_short += backtrace->is_short;
		n_whole += !backtrace->is_short;
	}
	print_message("# %u whole, %u short\n", n_whole, n_short);
	assert_true(n_whole > 500);
	assert_true(origin_lost() == n_lost);
	origin_end_sweep();
	origin_end_sweep();
}

static void keeps_short_origins_when_nobody_works(void **state)
{
	(void)state;
	keeps_short(farther, 16);
}

__attribute__((unused)) static void
keeps_short_origins_of_one_place_when_nobody_works(void **state)
{
	(void)state;
	keeps_short(littered, 1);
}

/* A thousand call sites. */
#define CALL(n)                                                                          \
	case n:                                                                          \
		origin = hook();                                                         \
		__asm__ volatile("# " #n : "+r"(origin));                                \
		break;
#define CALL10(n)                                                                        \
	CALL(n##0)                                                                       \
	CALL(n##1)                                                                       \
	CALL(n##2)                                                                       \
	CALL(n##3) CALL(n##4) CALL(n##5) CALL(n##6) CALL(n##7) CALL(n##8) CALL(n##9)
#define CALL100(n)                                                                       \
	CALL10(n##0)                                                                     \
	CALL10(n##1)                                                                     \
	CALL10(n##2)                                                                     \
	CALL10(n##3)                                                                     \
	CALL10(n##4) CALL10(n##5) CALL10(n##6) CALL10(n##7) CALL10(n##8) CALL10(n##9)
/* Sanitizers leave other things on each stack: none can be shared. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define SANITIZED 1
#define N_PLACES  100
#else
#define SANITIZED 0
#define N_PLACES  1000
#endif
#define N_THREADS 8

__attribute__((noinline)) static uint32_t at_place(unsigned leak_group)
{
	uint32_t origin = 0;

	switch (leak_group + 1000) {
		CALL100(10)
		CALL100(11)
		CALL100(12)
		CALL100(13)
		CALL100(14)
		CALL100(15)
		CALL100(16)
		CALL100(17)
		CALL100(18)
		CALL100(19)
	}
	return origin;
}

static uint32_t by_thread[N_THREADS][N_PLACES];

static void *visit_all(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;

	for (unsigned i = 0; i < N_PLACES; i++) {
		unsigned leak_group = (i * 7 + thread * 125) % N_PLACES;
		by_thread[thread][leak_group] = at_place(leak_group);
	}
	return NULL;
}

static void eight_threads_at_a_thousand_places_lose_no_origin(void **state)
{
	(void)state;
	pthread_t threads[N_THREADS];
	uint64_t n_lost = origin_lost();

	for (uintptr_t i = 0; i < N_THREADS; i++)
		pthread_create(&threads[i], NULL, visit_all, (void *)i);
	origin_work(); /* meanwhile */
	for (unsigned i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	origin_work();
	for (unsigned leak_group = 0; leak_group < N_PLACES; leak_group++) {
		uint32_t id = origin_resolve(by_thread[0][leak_group]);
		assert_non_null(origin_backtrace(id));
		if (SANITIZED)
			continue; /* their threads' stacks are too large to be kept whole
				   */
		assert_false(origin_backtrace(id)->is_short);
		for (unsigned i = 1; i < N_THREADS; i++)
			assert_int_equal(origin_resolve(by_thread[i][leak_group]), id);
		assert_true(leak_group == 0 ||
			    id != origin_resolve(by_thread[0][leak_group - 1]));
	}
	assert_true(origin_lost() == n_lost);
	origin_end_sweep();
	origin_end_sweep();
}

static uint32_t (*plugin(void **handle, const char *name))(uint32_t (*)(void))
{
	char path[4096] = "";

	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 64) > 0);
	strcpy(strrchr(path, '/') + 1, name);
	*handle = dlopen(path, RTLD_NOW);
	assert_non_null(*handle);
	return (uint32_t(*)(uint32_t(*)(void)))dlsym(*handle, "origin_plugin");
}

static const struct origin_module *plugin_module(uint32_t id)
{
	const struct origin_backtrace *backtrace = origin_backtrace(id);

	assert_non_null(backtrace);
	for (unsigned i = 0; i < backtrace->n_frames; i++)
		if (module_of(backtrace->frames[i]) &&
		    strstr(module_of(backtrace->frames[i])->path, "origin_plugin"))
			return module_of(backtrace->frames[i]);
	return NULL;
}

/* Both are called from the same place: but for the code in the midst all is equal. */
static void forgets_what_went_through_an_unloaded_module(void **state)
{
	static const char *const names[] = {"origin_plugin_1.so", "origin_plugin_2.so"};
	uint32_t origins[2];
	void *at[2];

	(void)state;
	origin_work();
	for (volatile int i = 0; i < 2; i++) {
		void *handle;
		uint32_t (*call)(uint32_t(*)(void)) = plugin(&handle, names[i]);

		at[i] = call;
		origin_work();
		for (volatile int k = 0; k < 2; k++)
			origins[i] = settled(call(hook));
		const struct origin_module *module = plugin_module(origins[i]);
		assert_non_null(module);
		assert_non_null(strstr(module->path, names[i]));
		assert_false(module->is_gone);
		dlclose(handle);
		origin_work();
		assert_true(module->is_gone);
	}
	assert_ptr_equal(at[0],
			 at[1]); /* it took the place: else nothing is shown here */
	assert_int_not_equal(origins[0], origins[1]);
}

static void says_nothing_of_a_module_that_took_anothers_place(void **state)
{
	(void)state;
	void *handle;
	uint32_t (*call)(uint32_t(*)(void)) = plugin(&handle, "origin_plugin_1.so");

	origin_work();
	dlclose(handle);
	call = plugin(&handle, "origin_plugin_2.so");
	origin_work();
	dlclose(handle);
	origin_work();
	call = plugin(&handle, "origin_plugin_1.so");
	uint32_t origin = call(hook);
	dlclose(handle);
	plugin(&handle, "origin_plugin_2.so");
	const struct origin_module *module = plugin_module(settled(origin));
	assert_true(!module || strstr(module->path, "origin_plugin_1.so"));
	dlclose(handle);
}

static void a_module_that_comes_back_elsewhere_is_another(void **state)
{
	(void)state;
	void *handle;
	uint32_t (*call)(uint32_t(*)(void)) = plugin(&handle, "origin_plugin_1.so");
	origin_work();
	uint32_t first = settled(call(hook));
	uint64_t base = plugin_module(first)->base, size = plugin_module(first)->size;

	dlclose(handle);
	void *squatter =
		mmap((void *)base, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	call = plugin(&handle, "origin_plugin_1.so");
	origin_work();
	uint32_t second = settled(call(hook));
	assert_int_not_equal(plugin_module(first)->base, plugin_module(second)->base);
	assert_int_not_equal(plugin_module(first)->id, plugin_module(second)->id);
	assert_true(plugin_module(first)->is_gone);
	dlclose(handle);
	munmap(squatter, size);
}

/* It is loaded under ever new names. */
static void only_modules_that_backtraces_name_have_ids(void **state)
{
	char directory[] = "/tmp/origin_test_XXXXXX", from[4096] = "", to[64];
	uint32_t n_before = origin_n_modules();

	(void)state;
	assert_non_null(mkdtemp(directory));
	assert_true(readlink("/proc/self/exe", from, sizeof(from) - 64) > 0);
	strcpy(strrchr(from, '/') + 1, "origin_plugin_1.so");
	for (volatile unsigned i = 0; i < 20; i++) {
		snprintf(to, sizeof(to), "%s/origin_plugin_%u.so", directory, i);
		assert_int_equal(symlink(from, to), 0);
		void *handle = dlopen(to, RTLD_NOW);
		assert_non_null(handle);
		origin_work();
		if (i == 19) {
			void *call = dlsym(handle, "origin_plugin");
			uint32_t id =
				settled(((uint32_t(*)(uint32_t(*)(void)))call)(hook));
			assert_string_equal(plugin_module(id)->path, to);
		}
		dlclose(handle);
		unlink(to);
	}
	assert_int_equal(origin_n_modules(), n_before + 1);
	rmdir(directory);
}

static unsigned n_descriptors(void)
{
	DIR *list = opendir("/proc/self/fd");
	unsigned n = 0;

	assert_non_null(list);
	while (readdir(list))
		n++;
	closedir(list);
	return n;
}

static unsigned n_descriptors_at_start;

static void owns_no_descriptor(void **state)
{
	(void)state;
	settled(farther(100000));
	assert_int_equal(n_descriptors(), n_descriptors_at_start);
	assert_int_equal(n_pipes_made, 0);
}

static const char *provider(const char *name)
{
	static Dl_info found;
	void *function = dlsym(RTLD_DEFAULT, name);

	assert_non_null(function);
	assert_int_not_equal(dladdr(function, &found), 0);
	return found.dli_fname;
}

static void leaves_unwinding_to_the_compilers_library(void **state)
{
	(void)state;
	if (SANITIZED)
		return; /* theirs come first */
	assert_non_null(dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_GLOBAL));
	assert_non_null(strstr(provider("_Unwind_RaiseException"), "libgcc_s"));
	assert_non_null(strstr(provider("_Unwind_Backtrace"), "libgcc_s"));
	assert_non_null(strstr(provider("backtrace"), "libc.so"));
}

static void leaves_errno_alone(void **state)
{
	(void)state;
	errno = EXDEV;
	uint32_t origin = farther(110000);
	origin_resolve(origin);
	assert_int_equal(errno, EXDEV);
	origin_work();
	farther(110000);
	assert_int_equal(errno, EXDEV);
}

static void call_on_stack(void *stack, size_t bytes, void (*body)(void))
{
	ucontext_t here, there;

	getcontext(&there);
	there.uc_stack.ss_sp = stack;
	there.uc_stack.ss_size = bytes;
	there.uc_link = &here;
	makecontext(&there, body, 0);
	swapcontext(&here, &there);
}

/* How deep a capture reaches below the hook, on a stack that was painted before. */
#define PAINT_BYTES (64u << 10)
static char painted[PAINT_BYTES] __attribute__((aligned(64)));
static uint64_t hook_frame;

__attribute__((noinline, optimize("no-omit-frame-pointer"))) static void
hook_on_paint(void)
{
	uint32_t origin = origin_capture();

	hook_frame = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	KEEP(origin);
}

static size_t depth_of_capture(void)
{
	size_t at = 0;

	memset(painted, 0x5a, sizeof(painted));
	call_on_stack(painted, sizeof(painted), hook_on_paint);
	while (at < sizeof(painted) && painted[at] == 0x5a)
		at++;
	return hook_frame - (uint64_t)(uintptr_t)&painted[at];
}

#if defined __aarch64__
#define MOST_STACK 832 /* six registers more, and frames of 16 bytes */
#else
#define MOST_STACK 736 /* 168 of them which pages are in memory */
#endif

__attribute__((unused)) static void needs_little_stack(void **state)
{
	(void)state;
	for (volatile unsigned i = 0; i < 3; i++) {
		guard_has_filter = i == 1;
		size_t depth = depth_of_capture();
		print_message("# %zu bytes\n", depth);
		assert_true(depth < MOST_STACK);
		if (i == 1)
			origin_work();
	}
	guard_has_filter = false;
}

/* 100 frames of 3 KiB: more than is copied. */
__attribute__((noinline)) static uint32_t deep(unsigned depth)
{
	char some[3000];
	char *at = some;

	KEEP(at);
	uint32_t origin = depth ? deep(depth - 1) : hook();
	KEEP(at);
	return origin;
}

static void keeps_as_many_frames_as_were_asked_for(void **state)
{
	(void)state;
	const struct origin_backtrace *backtrace = origin_backtrace(settled(deep(100)));

	assert_non_null(backtrace);
	assert_int_equal(backtrace->n_frames, 32);
	assert_false(backtrace->is_short);
}

static uint32_t from_coroutine;
static void deep_in_coroutine(void)
{
	from_coroutine = deep(25); /* 75 KiB; the bottom is the 29th frame */
	KEEP(from_coroutine);
}

/* Nobody knows where such a stack ends: first little of it is copied. */
static void learns_how_deep_coroutines_go(void **state)
{
	(void)state;
	static char own[200000];
	const struct origin_backtrace *backtrace = NULL;
	volatile unsigned n_tries = 0;

	for (; (!backtrace || backtrace->is_short) && n_tries < 4; n_tries++) {
		call_on_stack(own, sizeof(own), deep_in_coroutine);
		backtrace = origin_backtrace(settled(from_coroutine));
		assert_non_null(backtrace);
	}
	assert_false(backtrace->is_short);
	assert_true(backtrace->n_frames > 26);
	assert_true(n_tries > 1);
}

#if defined __x86_64__
/* Keeps a value where others have a frame pointer, as its unwind table tells. */
uint32_t with_value(uint64_t value, uint32_t (*function)(void));
__asm__(".text\n"
	"with_value:\n\t"
	".cfi_startproc\n\t"
	"push %rbp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	".cfi_rel_offset %rbp, 0\n\t"
	"mov %rdi, %rbp\n\t"
	"call *%rsi\n\t"
	"pop %rbp\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	".cfi_restore %rbp\n\t"
	"ret\n\t"
	".cfi_endproc");

static void recognises_a_place_whatever_its_callers_keep_in_that_register(void **state)
{
	(void)state;
	uint32_t origins[2];

	for (volatile int i = 0; i < 2; i++) {
		origins[i] = with_value(4711 * (unsigned)i, outer);
		assert_true(!(origins[i] & ORIGIN_PENDING_BIT) == (i == 1));
		origins[i] = settled(origins[i]);
	}
	assert_int_equal(origins[0], origins[1]);
}
#endif

#if defined __x86_64__
/* No unwind table tells of it, but it has a frame pointer. */
uint32_t untabled(uint32_t (*function)(void));
__asm__(".text\n\t"
	"nop; nop; nop; nop\n"
	"untabled:\n\t"
	"push %rbp\n\t"
	"mov %rsp, %rbp\n\t"
	"call *%rdi\n\t"
	"pop %rbp\n\t"
	"ret\n\t"
	"nop; nop; nop; nop");

__attribute__((noinline)) static uint32_t through_untabled(void)
{
	uint32_t origin = untabled(outer);

	KEEP(origin);
	return origin;
}

static void follows_frame_pointers_where_there_is_no_table(void **state)
{
	(void)state;
	uint32_t origins[2];

	for (volatile int i = 0; i < 2; i++) {
		origins[i] = through_untabled();
		assert_true(!(origins[i] & ORIGIN_PENDING_BIT) == (i == 1));
		origins[i] = settled(origins[i]);
	}
	assert_int_equal(origins[0], origins[1]);
	const struct origin_backtrace *backtrace = origin_backtrace(origins[0]);
	assert_true(lies_in(backtrace->frames[2], outer));
	assert_true(lies_in(backtrace->frames[4], through_untabled));
	assert_true(backtrace->n_frames > 6);
}

static void untabled_in_coroutine(void)
{
	from_coroutine = through_untabled();
	KEEP(from_coroutine);
}

/* Where words lie is a guess there: on such a stack they are looked up in a copy, or,
 * where the kernel may not be asked for one, in the page that is certainly there. */
static void recognises_guessed_chains_in_coroutines(void **state)
{
	(void)state;
	static char own[65536] __attribute__((aligned(4096)));

	for (volatile unsigned i = 0; i < 4; i++) {
		guard_has_filter = i >= 2;
		call_on_stack(own, sizeof(own), untabled_in_coroutine);
		assert_true(i % 2 == 0 || !(from_coroutine & ORIGIN_PENDING_BIT));
		const struct origin_backtrace *found =
			origin_backtrace(settled(from_coroutine));
		assert_non_null(found);
		assert_true(found->n_frames > 4);
		assert_true(lies_in(found->frames[4], through_untabled));
	}
	guard_has_filter = false;
}
#endif

/* What a child finds, as its exit status. */
static int in_child(pid_t (*make)(void), int (*body)(uint32_t), uint32_t origin)
{
	int status;
	pid_t child = make();

	if (child == 0) {
		alarm(180);
		guard_adopt_process();
		origin_fork_child();
		_exit(body(origin));
	}
	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int unwinds_what_waited(uint32_t origin)
{
	const struct origin_backtrace *backtrace = origin_backtrace(settled(origin));

	if (!backtrace || backtrace->is_short)
		return 1;
	backtrace = origin_backtrace(settled(farther(120016)));
	return !backtrace || backtrace->is_short ? 2 : 0;
}

static pid_t proper_fork(void)
{
	origin_fork_prepare();
	pid_t child = fork();
	if (child != 0)
		origin_fork_parent();
	return child;
}

static void a_child_unwinds_what_waited(void **state)
{
	(void)state;
	uint32_t origin = farther(120000);

	assert_true(origin & ORIGIN_PENDING_BIT);
	assert_int_equal(in_child(proper_fork, unwinds_what_waited, origin), 0);
	assert_false(origin_backtrace(settled(origin))->is_short);
}

/* Somebody is in the loader for long, and so is who works. */
static void *works(void *nothing)
{
	origin_work();
	return nothing;
}

static pthread_t loader_thread, working_thread;

static void block_the_worker(void)
{
	loader_thread = begin_to_sit();
	pthread_create(&working_thread, NULL, works, NULL);
}

static void let_the_worker_go(void)
{
	let_go(loader_thread);
	pthread_join(working_thread, NULL);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int keeps_short_origins(uint32_t origin)
{
	const struct origin_backtrace *backtrace;

	if (origin_resolve(origin) != 0) /* the parent's */
		return 1;
	backtrace = origin_backtrace(settled(farther(90016)));
	if (!backtrace || !backtrace->is_short || !lies_in(backtrace->frames[0], hook))
		return 2;
	return settled(outer()) ? 0 : 3;
}

/* Waits for a condition that another thread brings about. */
static bool comes_true(bool (*condition)(void))
{
	for (unsigned ms = 0; ms < 30000; ms++) {
		if (condition())
			return true;
		usleep(1000);
	}
	return false;
}

static uint64_t prepare_ms(void)
{
	uint64_t start = now_ms();

	origin_fork_prepare();
	origin_fork_parent();
	return now_ms() - start;
}

static bool prepare_waits(void)
{
	return prepare_ms() >= 90;
}

__attribute__((unused)) static void
a_child_of_a_fork_in_the_middle_keeps_short_origins(void **state)
{
	(void)state;
	uint32_t origin = farther(90000);

	assert_true(origin & ORIGIN_PENDING_BIT);
	block_the_worker();
	/* It is inside now; and is not waited for until it leaves. */
	assert_true(comes_true(prepare_waits));
	assert_int_equal(in_child(_Fork, keeps_short_origins, origin), 0);
	let_the_worker_go();
	assert_false(origin_backtrace(settled(origin))->is_short);
}

static int start(void **state)
{
	(void)state;
	alarm(180);
	guard_start();
	n_descriptors_at_start = n_descriptors();
	guard_has_filter = false;
	origin_start(32, true);
	origin_allocate();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_the_calls_to_the_start_of_the_program),
		cmocka_unit_test(elf_symbols_the_program_by_its_path_and_build),
		cmocka_unit_test(gives_the_same_place_the_same_id),
		cmocka_unit_test(waits_until_somebody_works),
		cmocka_unit_test(recognises_what_was_unwound),
		cmocka_unit_test(never_takes_an_old_word_for_another_place),
		cmocka_unit_test(loses_nothing_of_a_burst_before_anybody_works),
		cmocka_unit_test(takes_no_place_for_another_in_a_burst),
		cmocka_unit_test(eight_threads_at_a_thousand_places_lose_no_origin),
		cmocka_unit_test(forgets_what_went_through_an_unloaded_module),
		cmocka_unit_test(says_nothing_of_a_module_that_took_anothers_place),
		cmocka_unit_test(a_module_that_comes_back_elsewhere_is_another),
		cmocka_unit_test(only_modules_that_backtraces_name_have_ids),
		cmocka_unit_test(owns_no_descriptor),
		cmocka_unit_test(leaves_unwinding_to_the_compilers_library),
		cmocka_unit_test(leaves_errno_alone),
#ifndef BUILT_WITH_SANITIZER
		cmocka_unit_test(needs_little_stack),
#else
		LEFT_OUT(needs_little_stack, "the frames are the sanitizer's"),
#endif
		cmocka_unit_test(keeps_as_many_frames_as_were_asked_for),
		cmocka_unit_test(learns_how_deep_coroutines_go),
#if defined __x86_64__
		cmocka_unit_test(
			recognises_a_place_whatever_its_callers_keep_in_that_register),
		cmocka_unit_test(follows_frame_pointers_where_there_is_no_table),
		cmocka_unit_test(recognises_guessed_chains_in_coroutines),
#endif
		cmocka_unit_test(a_child_unwinds_what_waited),
#if !defined __SANITIZE_THREAD__
		cmocka_unit_test(a_child_of_a_fork_in_the_middle_keeps_short_origins),
#else
		LEFT_OUT(a_child_of_a_fork_in_the_middle_keeps_short_origins,
			 "its runtime needs the loader in the child"),
#endif
		cmocka_unit_test(keeps_short_origins_when_nobody_works),
#if !SANITIZED
		cmocka_unit_test(keeps_short_origins_of_one_place_when_nobody_works),
#else
		LEFT_OUT(keeps_short_origins_of_one_place_when_nobody_works,
			 "its stacks of one place differ"),
#endif
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
