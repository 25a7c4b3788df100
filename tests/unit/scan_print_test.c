/* The places of a scan are printed one by one, and the scan lock is given up between
 * them: a fork waits for one of them at most. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "report/leak_groups.h"
#include "report/log.h"
#include "scan/scan.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_PLACES 5

static const struct fd_access directly = {-1};
static char log_path[] = "/tmp/scan_print_test.XXXXXX";
static unsigned n_free; /* how often the lock was found free */

static int begin(void **state)
{
	static struct settings settings = {.max_reports = 100, .interval_ns = 1};
	int fd = mkstemp(log_path);

	(void)state;
	alarm(30);
	if (fd < 0)
		return -1;
	close(fd);
	guard_start();
	settings.log = log_path;
	settings.ledger = settings.suppressions = "";
	if (log_start(&settings, true))
		return -1;
	leak_groups_start(&settings);
	scan_start(&settings, NULL, 1);
	return 0;
}

static int end(void **state)
{
	(void)state;
	return unlink(log_path);
}

static int empty_log(void **state)
{
	(void)state;
	n_free = 0;
	return truncate(log_path, 0);
}

/* Places of another origin each. */
static void find_leaks(uint32_t first_origin)
{
	leak_groups_begin();
	for (uint32_t i = 0; i < N_PLACES; i++) {
		struct fd_entry entry = {.call = SL_CALL_accept, .cookie = i + 1};
		struct socket_end gone = {.kind = SL_KIND_CLOSE_WAIT,
					  .verdict = SL_LEAK_GRACE};

		atomic_store(&entry.origin, first_origin + i);
		assert_non_null(leak_groups_count(5, &entry, &gone, false, 1));
	}
	leak_groups_print_later();
}

static unsigned n_printed(void)
{
	char line[4096];
	unsigned n = 0;
	FILE *file = fopen(log_path, "r");

	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, "ERROR: sockleak") != NULL;
	fclose(file);
	return n;
}

static bool take_and_go_on(void)
{
	assert_true(scan_trylock(0));
	scan_unlock();
	assert_int_equal(n_printed(), n_free);
	n_free++;
	return false;
}

static void the_lock_is_free_between_places(void **state)
{
	(void)state;
	find_leaks(1);
	scan_print(&directly, take_and_go_on);
	assert_int_equal(n_printed(), N_PLACES);
	assert_int_equal(n_free, N_PLACES);
}

static bool stop_after_two(void)
{
	return n_free++ == 2;
}

static void who_is_told_to_stop_prints_no_more_until_the_next_scan(void **state)
{
	(void)state;
	find_leaks(11);
	scan_print(&directly, stop_after_two);
	assert_int_equal(n_printed(), 2);
	n_free = 2;
	find_leaks(11);
	scan_print(&directly, take_and_go_on);
	assert_int_equal(n_printed(), N_PLACES);
}

static bool begin_another(void)
{
	if (n_free++ == 2)
		leak_groups_begin();
	return false;
}

static void another_scan_in_between_ends_the_printing(void **state)
{
	(void)state;
	find_leaks(21);
	scan_print(&directly, begin_another);
	assert_int_equal(n_printed(), 2);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, empty_log)
	const struct CMUnitTest tests[] = {
		T(the_lock_is_free_between_places),
		T(who_is_told_to_stop_prints_no_more_until_the_next_scan),
		T(another_scan_in_between_ends_the_printing),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
