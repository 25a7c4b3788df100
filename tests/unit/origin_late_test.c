/* A host that loads what makes connections only later: libunwind is noted at start and
 * loaded by the first work. */
#include "base/guard.h"
#include "unwind/origin.h"

#include "../lib/hook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static bool libunwind_is_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	char line[512];
	bool is_mapped = false;

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		is_mapped |= strstr(line, "/libunwind-") != NULL;
	fclose(maps);
	return is_mapped;
}

static void is_loaded_by_the_first_work(void **state)
{
	(void)state;
	assert_int_equal(hook(), 0); /* nothing is started */
	guard_start();
	guard_has_filter = false;
	origin_start(32, false);
	uint32_t origin = hook();
	assert_true(origin & ORIGIN_PENDING_BIT);
	assert_false(libunwind_is_mapped());
	assert_int_equal(origin_work(), 1);
	assert_true(libunwind_is_mapped());
	assert_non_null(origin_backtrace(origin_resolve(origin)));
	assert_false(origin_backtrace(origin_resolve(origin))->is_short);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_loaded_by_the_first_work),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
