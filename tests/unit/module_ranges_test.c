/* Which modules share a range with others: as comparing all with all says, for less. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "unwind/module_ranges.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#define N_RANDOM 2000
#define N_MANY   300000

static void take(struct module *module, uint64_t start, uint64_t end, uint32_t reading)
{
	memset(module, 0, sizeof(*module));
	module->start = start;
	module->end = end;
	module->found_at = reading;
	module_ranges_take(module);
	module->seen_at = reading;
}

static bool overlap(const struct module *a, const struct module *b)
{
	return a->start < b->end && b->start < a->end;
}

static void random_ranges(struct module *modules, unsigned from, bool *expected)
{
	for (unsigned i = 0; i < N_RANDOM; i++) {
		uint64_t start = UINT64_C(1) << 40 | ((uint64_t)rand() % 100000) << 12;
		uint64_t pages = 1 + (uint64_t)rand() % (i % 50 ? 20 : 2000);

		take(&modules[i], start, start + (pages << 12), from + i);
		for (unsigned j = 0; j < i; j++)
			if (overlap(&modules[i], &modules[j]))
				expected[i] = expected[j] = true;
	}
}

static void those_that_had_a_part_of_its_range_before_share_it(void **state)
{
	static struct module modules[N_RANDOM];
	static bool expected[N_RANDOM];
	unsigned n_shared = 0;

	(void)state;
	srand(17);
	random_ranges(modules, 100, expected);
	for (unsigned i = 0; i < N_RANDOM; i++) {
		assert_int_equal(modules[i].shares_range, expected[i]);
		n_shared += expected[i];
	}
	/* Of both there are some. */
	assert_in_range(n_shared, 100, N_RANDOM - 100);
}

static void one_in_a_hole_of_another_that_is_there_shares_nothing(void **state)
{
	static struct module loader, vdso, later;

	(void)state;
	take(&loader, UINT64_C(1) << 41, (UINT64_C(1) << 41) + 0x9000, 7);
	take(&vdso, (UINT64_C(1) << 41) + 0x3000, (UINT64_C(1) << 41) + 0x4000, 7);
	assert_false(loader.shares_range);
	assert_false(vdso.shares_range);
	take(&later, (UINT64_C(1) << 41) + 0x3000, (UINT64_C(1) << 41) + 0x4000, 8);
	assert_true(loader.shares_range && vdso.shares_range && later.shares_range);
}

/* All with all would take a minute of processor time. */
static void each_of_a_host_that_loads_for_ever_costs_the_same(void **state)
{
	static struct module modules[N_MANY];

	(void)state;
	for (unsigned i = 0; i < N_MANY; i++) {
		uint64_t start = UINT64_C(1) << 42 | (uint64_t)(i % 800) << 16;

		take(&modules[i], start, start + 0x5000, 10 + i);
	}
	for (unsigned i = 0; i < N_MANY; i++)
		assert_true(modules[i].shares_range);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_that_had_a_part_of_its_range_before_share_it),
		cmocka_unit_test(one_in_a_hole_of_another_that_is_there_shares_nothing),
		cmocka_unit_test(each_of_a_host_that_loads_for_ever_costs_the_same),
	};
	setrlimit(RLIMIT_CPU, &(struct rlimit){40, 40});
	return cmocka_run_group_tests(tests, NULL, NULL);
}
