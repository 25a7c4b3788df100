/* How soon a scan finds descriptors that no hook saw: this program is not preloaded, and
 * all of its sockets are such. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/guard.h"
#include "report/leak_groups.h"
#include "scan/scan.h"
#include "track/fd_table.h"

#include <sys/socket.h>
#include <unistd.h>

static void nothing_to_prepare(void)
{
}

static int begin(void **state)
{
	static struct settings settings = {.grace_ns = 1, .interval_ns = 1};

	(void)state;
	alarm(30);
	guard_start();
	settings.log = settings.ledger = settings.suppressions = "";
	leak_groups_start(&settings);
	scan_start(&settings, nothing_to_prepare, clock_now_ns());
	return 0;
}

static void scan(void)
{
	scan_pass(clock_now_ns(), &fd_access_directly, true);
}

static unsigned scans_until_known(int fd)
{
	unsigned n = 0;

	while (!fd_table_knows(fd) && n < 20) {
		scan();
		n++;
	}
	return n;
}

/* The first search is in the first scan. */
static void where_all_calls_were_seen_one_of_four_scans_searches(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	assert_false(fd_table_misses_calls());
	assert_int_equal(scans_until_known(fd), 5);
	assert_true(fd_table_misses_calls());
}

/* Twice: what a hook is about to record is not taken for unseen. */
static void where_calls_are_missed_the_second_scan_adopts(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	fd_table_note_missed_call();
	assert_int_equal(scans_until_known(fd), 2);
}

static void a_number_that_was_closed_in_between_is_found_anew(void **state)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	(void)state;
	fd_table_note_missed_call();
	scan();
	close(fd);
	scan();
	assert_int_equal(socket(AF_INET, SOCK_STREAM, 0), fd);
	assert_int_equal(scans_until_known(fd), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(where_all_calls_were_seen_one_of_four_scans_searches),
		cmocka_unit_test(where_calls_are_missed_the_second_scan_adopts),
		cmocka_unit_test(a_number_that_was_closed_in_between_is_found_anew),
	};
	return cmocka_run_group_tests(tests, begin, NULL);
}
