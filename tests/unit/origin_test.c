/* Origins as the rest of the library sees them: captured, unwound, interned, settled. */
#include "guard.h"
#include "origin.h"

#include <dlfcn.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static uint32_t capture_and_settle(void)
{
	uint32_t origin = origin_capture();

	origin_work();
	return origin_settle(origin);
}

__attribute__((noinline)) static uint32_t inner(void)
{
	uint32_t origin = capture_and_settle();

	__asm__ volatile("" : "+r"(origin));
	return origin;
}

__attribute__((noinline)) static uint32_t outer(void)
{
	uint32_t origin = inner();

	__asm__ volatile("" : "+r"(origin));
	return origin;
}

static const char *path_of_frame(uint64_t frame)
{
	const struct origin_module *module = origin_module((uint32_t)(frame >> 48));

	return module ? module->path : "";
}

static uint64_t address_of_frame(uint64_t frame)
{
	const struct origin_module *module = origin_module((uint32_t)(frame >> 48));

	return module ? module->base + (frame & UINT64_C(0xffffffffffff)) : frame;
}

static bool lies_in(uint64_t frame, uint32_t (*function)(void))
{
	uint64_t start = (uint64_t)(uintptr_t)function;
	uint64_t address = address_of_frame(frame);

	return address >= start && address < start + 64;
}

static void follows_a_call_to_the_start_of_the_program(void **state)
{
	(void)state;
	uint32_t origin = outer();
	const struct origin_backtrace *backtrace = origin_backtrace(origin);

	assert_non_null(backtrace);
	assert_false(backtrace->is_short);
	assert_true(lies_in(backtrace->frames[0], inner) ||
		    lies_in(backtrace->frames[1], inner));
	assert_true(lies_in(backtrace->frames[1], outer) ||
		    lies_in(backtrace->frames[2], outer));
	assert_true(backtrace->n_frames >= 4);
}

static void names_the_program_by_its_path(void **state)
{
	(void)state;
	char path[4096] = "";
	const struct origin_backtrace *backtrace = origin_backtrace(outer());

	assert_true(readlink("/proc/self/exe", path, sizeof(path) - 1) > 0);
	assert_string_equal(path_of_frame(backtrace->frames[0]), path);
	assert_true(
		origin_module((uint32_t)(backtrace->frames[0] >> 48))->build_id_bytes >
		0);
}

static void gives_the_same_place_the_same_id(void **state)
{
	(void)state;
	uint32_t ids[3];

	for (volatile int i = 0; i < 3; i++)
		ids[i] = outer();
	assert_int_equal(ids[0], ids[1]);
	assert_int_equal(ids[1], ids[2]);
	assert_int_not_equal(ids[0], inner());
}

static int start(void **state)
{
	(void)state;
	alarm(60);
	guard_start();
	origin_start(32, true);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(follows_a_call_to_the_start_of_the_program),
		cmocka_unit_test(names_the_program_by_its_path),
		cmocka_unit_test(gives_the_same_place_the_same_id),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
