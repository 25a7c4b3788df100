/* The names of tests that sockleak_name() keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/memory.h"
#include "base/guard.h"
#include "report/test_names.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define N_KEPT 4096

static const char *numbered(unsigned n)
{
	static __thread char name[128];

	snprintf(name, sizeof(name), "test_%u_%0100u", n, 0);
	return name;
}

static void a_text_has_one_id(void **state)
{
	uint16_t first = test_names_id("first"), second = test_names_id("second");

	(void)state;
	assert_int_not_equal(first, 0);
	assert_int_not_equal(first, second);
	assert_int_equal(test_names_id("first"), first);
	assert_string_equal(test_names_text(second), "second");
	assert_null(test_names_text(0));
}

static void *add_all(void *nothing)
{
	for (unsigned n = 0; n < N_KEPT; n++)
		test_names_id(numbered(n));
	return nothing;
}

static void threads_that_bring_the_same_names_get_the_same_ids(void **state)
{
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, add_all, NULL);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (unsigned n = 0; n < N_KEPT / 2; n++) {
		uint16_t id = test_names_id(numbered(n));

		if (id)
			assert_string_equal(test_names_text(id), numbered(n));
	}
	assert_in_range(test_names_count(), N_KEPT / 2, N_KEPT);
}

static void more_names_take_no_more_memory(void **state)
{
	(void)state;
	for (unsigned n = 0; n < 2 * N_KEPT; n++)
		test_names_id(numbered(n));
	assert_int_equal(test_names_count(), N_KEPT);
	long before = anonymous_kb();
	for (unsigned n = 2 * N_KEPT; n < 20 * N_KEPT; n++)
		assert_int_equal(test_names_id(numbered(n)), 0);
	assert_true(before > 0);
	assert_in_range(anonymous_kb(), 0, before + 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_has_one_id),
		cmocka_unit_test(threads_that_bring_the_same_names_get_the_same_ids),
		cmocka_unit_test(more_names_take_no_more_memory),
	};

	alarm(60);
	guard_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
