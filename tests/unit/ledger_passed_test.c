/* What a process writes of sockets that another one may hold: so much of it, and what of
 * the rest counts as dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/ledger_file.h"

#define N_RECORDS 16384 /* of each kind, in one file */
#define N_A_SCAN  1024

static uint32_t no_origin(uint32_t origin)
{
	return origin;
}

static void note(unsigned n, bool is_sent)
{
	for (unsigned i = 0; i < n; i++) {
		ledger_note_passed(&(struct ledger_passed){.cookie = i + 1,
							   .fd = 5,
							   .call = SL_CALL_accept,
							   .is_sent = is_sent});
		if (i % N_A_SCAN == N_A_SCAN - 1) {
			ledger_grow(0);
			ledger_write_passed(no_origin, 1);
		}
	}
	ledger_grow(0);
	ledger_write_passed(no_origin, 1);
}

static void closing_what_was_open_at_a_fork_drops_nothing(void **state)
{
	(void)state;
	note(2 * N_RECORDS, false);
	assert_int_equal(ledger_dropped(), 0);
}

static void what_was_sent_is_written_all_the_same(void **state)
{
	(void)state;
	note(N_RECORDS, true);
	assert_int_equal(ledger_dropped(), 0);
	note(10, true);
	assert_int_equal(ledger_dropped(), 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(closing_what_was_open_at_a_fork_drops_nothing),
		cmocka_unit_test(what_was_sent_is_written_all_the_same),
	};

	return cmocka_run_group_tests(tests, begin_ledger, end_ledger);
}
