/* Age and verdict are pure: the tests play the kernel and the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "watch.h"

#include <string.h>

#define S          UINT64_C(1000000000)
#define GRACE      (60 * S)
#define CLOSE      7
#define CLOSE_WAIT 8
#define LAST_ACK   9
#define GENERATION 17

static struct side side;
static struct row row;
static struct told told;
static struct probe probe;

/* A socket opened at 100 s whose peer has gone, quiet since. */
static int begin(void **state)
{
	(void)state;
	memset(&side, 0, sizeof(side));
	memset((void *)&row, 0, sizeof(row));
	memset(&told, 0, sizeof(told));
	memset(&probe, 0, sizeof(probe));
	row.opened_ns = 100 * S;
	probe.state = CLOSE_WAIT;
	probe.was_connected = true;
	probe.last_sent_ms = 1000000;
	return 0;
}

static enum sl_verdict look(uint64_t now_ns, bool at_exit)
{
	watch_age(&side, GENERATION, row.opened_ns, &probe, now_ns);
	side.verdict = (uint8_t)watch_judge(&side, &told, &probe, GRACE, at_exit,
					    AT_EXIT_TOLD, now_ns);
	return side.verdict;
}

static void is_pending_until_grace_is_over(void **state)
{
	(void)state;
	probe.last_ack_ms = 0;
	assert_int_equal(look(200 * S, false), SL_PENDING);
	assert_int_equal(look(259 * S, false), SL_PENDING);
	assert_int_equal(look(260 * S, false), SL_LEAK_GRACE);
}

static void is_as_old_as_its_last_ack_when_first_seen(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(look(300 * S, false), SL_LEAK_GRACE);
	assert_true(side.gone_ns == 210 * S);
}

static void is_no_older_than_its_opening(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(look(110 * S, false), SL_PENDING);
	assert_true(side.gone_ns == 100 * S);
}

/* A look takes its time, and who opens a socket or looks next does not wait for it. */
static void is_new_when_opened_after_the_look_began(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(look(99 * S, true), SL_PENDING);
	assert_true(side.gone_ns == 99 * S);
}

static void is_no_leak_to_a_look_that_began_before_the_last(void **state)
{
	(void)state;
	probe.state = CLOSE;
	assert_int_equal(look(200 * S, false), SL_PENDING);
	assert_int_equal(look(199 * S, false), SL_PENDING);
}

static void is_as_old_as_what_it_is_a_copy_of(void **state)
{
	(void)state;
	probe.state = CLOSE;
	side.aged_at = GENERATION;
	side.copied_gone_ns = 120 * S;
	side.copied_quiet_ns = 150 * S;
	assert_int_equal(look(209 * S, false), SL_PENDING);
	assert_true(side.gone_ns == 120 * S);
	assert_int_equal(look(210 * S, false), SL_LEAK_GRACE);
}

static void is_new_when_first_seen_in_close(void **state)
{
	(void)state;
	probe.state = CLOSE;
	probe.last_ack_ms = 90000;
	assert_int_equal(look(300 * S, false), SL_PENDING);
	assert_true(side.gone_ns == 300 * S);
	assert_int_equal(side.kind, SL_KIND_DEAD);
}

static void keeps_its_age_when_close_wait_becomes_close(void **state)
{
	(void)state;
	look(200 * S, false);
	probe.state = CLOSE;
	assert_int_equal(look(260 * S, false), SL_LEAK_GRACE);
	assert_true(side.gone_ns == 200 * S);
}

static void is_no_leak_while_this_side_sends_within_grace(void **state)
{
	(void)state;
	for (uint64_t now = 200; now < 1000; now += 50) {
		probe.last_sent_ms = 1000;
		assert_int_equal(look(now * S, false), SL_PENDING);
	}
	/* ... and one from grace after the last send on. */
	probe.last_sent_ms = 60000;
	assert_int_equal(look(1009 * S, false), SL_LEAK_GRACE);
}

static void is_no_leak_while_its_send_queue_holds_data(void **state)
{
	(void)state;
	probe.is_sending = true;
	for (uint64_t now = 200; now < 1000; now += 50)
		assert_int_equal(look(now * S, false), SL_PENDING);
	probe.is_sending = false;
	assert_int_equal(look(1000 * S, false), SL_PENDING);
	assert_int_equal(look(1010 * S, false), SL_LEAK_GRACE);
}

static void is_a_leak_at_exit_if_it_was_one(void **state)
{
	(void)state;
	look(200 * S, false);
	side.was_leak = true;
	probe.last_sent_ms = 1000; /* it has sent since */
	assert_int_equal(look(300 * S, false), SL_PENDING);
	assert_int_equal(look(300 * S, true), SL_LEAK_GRACE);
	assert_int_equal(
		watch_judge(&side, &told, &probe, GRACE, true, AT_EXIT_GRACE, 300 * S),
		SL_PENDING);
	/* Another socket of the same number was none. */
	watch_age(&side, GENERATION + 1, row.opened_ns, &probe, 300 * S);
	assert_false(side.was_leak);
}

static void begins_anew_when_the_number_has_a_new_life(void **state)
{
	(void)state;
	look(200 * S, false);
	watch_age(&side, GENERATION + 1, row.opened_ns, &probe, 280 * S);
	assert_true(side.gone_ns == 280 * S);
	assert_int_equal(side.verdict, SL_PENDING);
}

static void is_a_leak_at_exit_if_told_and_kept(void **state)
{
	(void)state;
	told.eof_ns = 199 * S;
	assert_int_equal(look(200 * S, false), SL_PENDING);
	assert_int_equal(look(200 * S, true), SL_LEAK_EXIT);
}

static void is_pending_at_exit_if_not_told(void **state)
{
	(void)state;
	assert_int_equal(look(200 * S, true), SL_PENDING);
}

static void is_no_leak_at_exit_if_it_sent_after_it_was_told(void **state)
{
	(void)state;
	told.eof_ns = 199 * S;
	probe.last_sent_ms = 500;
	assert_int_equal(look(200 * S, true), SL_PENDING);
	/* The kernel's clock of sends is no finer than 10 ms. */
	probe.last_sent_ms = 990;
	assert_int_equal(look(200 * S, true), SL_LEAK_EXIT);
}

static void is_told_by_a_shutdown_of_both_directions(void **state)
{
	(void)state;
	told.shut_ns = 199 * S;
	told.shut_how = 3;
	assert_int_equal(look(200 * S, true), SL_LEAK_EXIT);
}

static void is_told_by_a_shutdown_of_sending_only_in_close(void **state)
{
	(void)state;
	told.shut_ns = 199 * S;
	told.shut_how = 2;
	probe.state = LAST_ACK;
	assert_int_equal(look(200 * S, true), SL_PENDING);
	probe.state = CLOSE;
	assert_int_equal(look(200 * S, true), SL_LEAK_EXIT);
}

static void is_not_told_by_a_shutdown_of_receiving(void **state)
{
	(void)state;
	told.shut_ns = 199 * S;
	told.shut_how = 1;
	probe.state = CLOSE;
	assert_int_equal(look(200 * S, true), SL_PENDING);
}

static void obeys_at_exit_grace(void **state)
{
	(void)state;
	told.eof_ns = 199 * S;
	look(200 * S, false);
	assert_int_equal(
		watch_judge(&side, &told, &probe, GRACE, true, AT_EXIT_GRACE, 200 * S),
		SL_PENDING);
	assert_int_equal(
		watch_judge(&side, &told, &probe, GRACE, true, AT_EXIT_GRACE, 300 * S),
		SL_LEAK_GRACE);
}

static void knows_which_states_mean_that_the_peer_is_gone(void **state)
{
	static const uint8_t gone[] = {8, 9, 11};
	static const uint8_t there[] = {1, 2, 3, 4, 5, 6, 10, 12};

	(void)state;
	for (size_t i = 0; i < sizeof(gone); i++) {
		probe.state = gone[i];
		assert_true(probe_peer_is_gone(&probe));
	}
	for (size_t i = 0; i < sizeof(there); i++) {
		probe.state = there[i];
		assert_false(probe_peer_is_gone(&probe));
	}
	probe.state = CLOSE;
	assert_true(probe_peer_is_gone(&probe));
	probe.was_connected = false;
	assert_false(probe_peer_is_gone(&probe));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		T(is_pending_until_grace_is_over),
		T(is_as_old_as_its_last_ack_when_first_seen),
		T(is_no_older_than_its_opening),
		T(is_new_when_opened_after_the_look_began),
		T(is_no_leak_to_a_look_that_began_before_the_last),
		T(is_as_old_as_what_it_is_a_copy_of),
		T(is_new_when_first_seen_in_close),
		T(keeps_its_age_when_close_wait_becomes_close),
		T(is_no_leak_while_this_side_sends_within_grace),
		T(is_no_leak_while_its_send_queue_holds_data),
		T(is_a_leak_at_exit_if_it_was_one),
		T(begins_anew_when_the_number_has_a_new_life),
		T(is_a_leak_at_exit_if_told_and_kept),
		T(is_pending_at_exit_if_not_told),
		T(is_no_leak_at_exit_if_it_sent_after_it_was_told),
		T(is_told_by_a_shutdown_of_both_directions),
		T(is_told_by_a_shutdown_of_sending_only_in_close),
		T(is_not_told_by_a_shutdown_of_receiving),
		T(obeys_at_exit_grace),
		T(knows_which_states_mean_that_the_peer_is_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
