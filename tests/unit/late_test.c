/* What the end of a program closed, and what it had closed before, whenever it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "report/late.h"

#include <string.h>

#define MS UINT64_C(1000000)
#define S  (1000 * MS)

static struct late late;

static int begin(void **state)
{
	(void)state;
	memset(&late, 0, sizeof(late));
	return 0;
}

static void ends_at(uint64_t end_ns, uint64_t n_by_end, uint64_t n_earlier)
{
	struct late_count by_end, earlier;

	late_split(&late, end_ns, &by_end, &earlier);
	assert_int_equal(by_end.n, n_by_end);
	assert_int_equal(earlier.n, n_earlier);
}

static void what_is_closed_in_the_last_second_is_closed_by_the_end(void **state)
{
	(void)state;
	late_add(&late, 100 * S, 7);
	ends_at(100 * S, 1, 0);
	ends_at(101 * S, 1, 0);
	ends_at(101 * S + VERDICT_STEP_NS, 0, 1);
	ends_at(200 * S, 0, 1);
}

static void the_longest_is_known_of_both(void **state)
{
	struct late_count by_end, earlier;

	(void)state;
	late_add(&late, 10 * S, 90);
	late_add(&late, 10 * S, 70);
	late_add(&late, 50 * S, 20);
	late_add(&late, 50 * S + 1, 30);
	late_split(&late, 50 * S + 500 * MS, &by_end, &earlier);
	assert_int_equal(by_end.max_ms, 30);
	assert_int_equal(earlier.max_ms, 90);
	assert_int_equal(by_end.n, 2);
	assert_int_equal(earlier.n, 2);
}

/* Whatever the steps are: as one by one. */
static void many_are_counted_as_one_by_one(void **state)
{
	uint64_t times[3000], n_by_end = 0;
	unsigned seed = 1;

	(void)state;
	for (size_t i = 0; i < 3000; i++) {
		/* in order but for 50 ms, as scans find them */
		times[i] = 1000 * S + i * 2 * MS +
			   (seed = seed * 1103515245 + 12345) % (50 * MS);
		late_add(&late, times[i], i);
		uint64_t end_ns = times[i] + seed % (100 * MS);
		n_by_end = 0;
		for (size_t j = 0; j <= i; j++)
			n_by_end += verdict_closed_by_end(times[j], end_ns);
		ends_at(end_ns, n_by_end, i + 1 - n_by_end);
	}
}

static void one_that_is_found_late_is_not_by_the_end(void **state)
{
	(void)state;
	late_add(&late, 100 * S, 1);
	late_add(&late, 0, 1); /* nobody knows when: another process closed it */
	ends_at(100 * S, 1, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		T(what_is_closed_in_the_last_second_is_closed_by_the_end),
		T(the_longest_is_known_of_both),
		T(many_are_counted_as_one_by_one),
		T(one_that_is_found_late_is_not_by_the_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
