#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scan/pause.h"

#define MS UINT64_C(1000000)

static uint64_t pause_ms(struct pause *pause, uint64_t repeat_ms, uint64_t first_ms)
{
	const struct scan_cost cost = {repeat_ms * MS, first_ms * MS};

	return pause_after(pause, &cost, 1000 * MS) / MS;
}

static void a_pause_is_a_thousand_times_the_dearer_of_two_scans(void **state)
{
	struct pause pause = {{0, 0}};

	(void)state;
	assert_int_equal(pause_ms(&pause, 20, 0), 20000);
	assert_int_equal(pause_ms(&pause, 19, 0), 20000);
	assert_int_equal(pause_ms(&pause, 18, 0), 19000);
}

static void a_pause_is_an_interval_at_least(void **state)
{
	struct pause pause = {{0, 0}};

	(void)state;
	assert_int_equal(pause_ms(&pause, 0, 0), 1000);
}

static void what_comes_at_once_makes_no_longer_pause(void **state)
{
	struct pause pause = {{0, 0}};

	(void)state;
	assert_int_equal(pause_ms(&pause, 20, 60), 20000);
	assert_int_equal(pause_ms(&pause, 20, 0), 20000);
	assert_int_equal(pause_ms(&pause, 20, 60), 20000);
}

static void what_comes_between_all_scans_does(void **state)
{
	struct pause pause = {{0, 0}};

	(void)state;
	pause_ms(&pause, 1, 5);
	assert_int_equal(pause_ms(&pause, 1, 4), 5000);
	assert_int_equal(pause_ms(&pause, 1, 6), 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pause_is_a_thousand_times_the_dearer_of_two_scans),
		cmocka_unit_test(a_pause_is_an_interval_at_least),
		cmocka_unit_test(what_comes_at_once_makes_no_longer_pause),
		cmocka_unit_test(what_comes_between_all_scans_does),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
