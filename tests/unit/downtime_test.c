/* What does not count of a socket's age, by tables. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scan/downtime.h"

#define S UINT64_C(1000000000)

/* The thread should have been awake at `due_s`, and is at `now_s`. */
static void late(uint64_t due_s, uint64_t now_s)
{
	downtime_expect(due_s * S);
	downtime_check(now_s * S);
}

static int start_anew(void **state)
{
	(void)state;
	downtime_fork_child();
	return 0;
}

static void what_lies_behind_is_skipped(void **state)
{
	static const struct {
		uint64_t since, after, is;
	} rows[] = {
		{10, 0, 25},  /* 5 s and 10 s behind it */
		{22, 0, 35},  /* in the first: from its end, and the second */
		{25, 0, 35},  /* at its end */
		{45, 0, 50},  /* in the second */
		{50, 0, 50},  /* behind both */
		{10, 30, 20}, /* the first was skipped before */
		{15, 60, 15}, /* both were */
	};

	(void)state;
	late(20, 25);
	late(40, 50);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(downtime_skip(rows[i].since * S, rows[i].after * S),
				 rows[i].is * S);
}

static void what_is_skipped_reaches_the_next_downtime(void **state)
{
	(void)state;
	late(20, 25);
	late(26, 30);
	/* Of 24 to 40 count 25 to 26 and 30 to 40. */
	assert_int_equal(downtime_skip(24 * S, 0), 29 * S);
}

static void a_thread_that_wakes_a_little_late_is_awake(void **state)
{
	(void)state;
	downtime_expect(20 * S);
	downtime_check(20 * S + S / 50);
	downtime_check(19 * S);
	assert_int_equal(downtime_skip(10 * S, 0), 10 * S);
}

static void each_is_noted_once(void **state)
{
	(void)state;
	late(20, 25);
	downtime_check(30 * S);
	assert_int_equal(downtime_skip(10 * S, 0), 15 * S);
	downtime_expect(0);
	downtime_check(40 * S);
	assert_int_equal(downtime_skip(10 * S, 0), 15 * S);
}

static void the_last_ones_are_kept(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 100; i++)
		late(100 + 10 * i, 101 + 10 * i);
	assert_int_equal(downtime_skip(S, 0), S + 32 * S);
	assert_int_equal(downtime_skip(1085 * S, 0), 1086 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(what_lies_behind_is_skipped, start_anew),
		cmocka_unit_test_setup(what_is_skipped_reaches_the_next_downtime,
				       start_anew),
		cmocka_unit_test_setup(a_thread_that_wakes_a_little_late_is_awake,
				       start_anew),
		cmocka_unit_test_setup(each_is_noted_once, start_anew),
		cmocka_unit_test_setup(the_last_ones_are_kept, start_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
