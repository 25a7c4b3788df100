/* Age and verdict are pure: the tests play the kernel and the clock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "scan/age.h"

#include <string.h>

#define S          UINT64_C(1000000000)
#define GRACE      (60 * S)
#define CLOSE      7
#define CLOSE_WAIT 8
#define LAST_ACK   9
#define GENERATION 17

static struct socket_end end;
static struct fd_entry entry;
static struct eof_notice notice;
static struct probe probe;

/* A socket opened at 100 s whose peer has gone, quiet since. */
static int begin(void **state)
{
	(void)state;
	memset(&end, 0, sizeof(end));
	memset((void *)&entry, 0, sizeof(entry));
	memset(&notice, 0, sizeof(notice));
	memset(&probe, 0, sizeof(probe));
	entry.opened_ns = 100 * S;
	probe.state = CLOSE_WAIT;
	probe.was_connected = true;
	probe.last_sent_ms = 1000000;
	return 0;
}

static enum sl_verdict judge(bool at_exit, enum sl_at_exit rule, uint64_t now_ns)
{
	const struct verdict_rules rules = {GRACE, rule, at_exit};
	struct verdict_facts facts = age_facts(&end, &notice, now_ns);

	return verdict_of(&facts, &rules);
}

static enum sl_verdict scanned(uint64_t now_ns, bool at_exit)
{
	age_update(&end, GENERATION, &(struct age_bounds){entry.opened_ns, 0}, &notice,
		   &probe, now_ns);
	return judge(at_exit, SL_AT_EXIT_TOLD, now_ns);
}

static void is_pending_until_grace_is_over(void **state)
{
	(void)state;
	probe.last_ack_ms = 0;
	assert_int_equal(scanned(200 * S, false), SL_PENDING);
	assert_int_equal(scanned(259 * S, false), SL_PENDING);
	assert_int_equal(scanned(260 * S, false), SL_LEAK_GRACE);
}

static void is_as_old_as_its_last_ack_when_first_seen(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(scanned(300 * S, false), SL_LEAK_GRACE);
	assert_true(end.peer_gone_since_ns == 210 * S);
}

static void is_no_older_than_its_opening(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(scanned(110 * S, false), SL_PENDING);
	assert_true(end.peer_gone_since_ns == 100 * S);
}

/* A scan takes its time, and who opens a socket or looks next does not wait for it. */
static void is_new_when_opened_after_the_look_began(void **state)
{
	(void)state;
	probe.last_ack_ms = 90000;
	assert_int_equal(scanned(99 * S, true), SL_PENDING);
	assert_true(end.peer_gone_since_ns == 99 * S);
}

static void is_no_leak_to_a_look_that_began_before_the_last(void **state)
{
	(void)state;
	probe.state = CLOSE;
	assert_int_equal(scanned(200 * S, false), SL_PENDING);
	assert_int_equal(scanned(199 * S, false), SL_PENDING);
}

static void is_new_when_first_seen_in_close(void **state)
{
	(void)state;
	probe.state = CLOSE;
	probe.last_ack_ms = 90000;
	assert_int_equal(scanned(300 * S, false), SL_PENDING);
	assert_true(end.peer_gone_since_ns == 300 * S);
	assert_int_equal(end.kind, SL_KIND_DEAD);
}

static void keeps_its_age_when_close_wait_becomes_close(void **state)
{
	(void)state;
	scanned(200 * S, false);
	probe.state = CLOSE;
	assert_int_equal(scanned(260 * S, false), SL_LEAK_GRACE);
	assert_true(end.peer_gone_since_ns == 200 * S);
}

static void is_no_leak_while_this_side_sends_within_grace(void **state)
{
	(void)state;
	for (uint64_t now = 200; now < 1000; now += 50) {
		probe.last_sent_ms = 1000;
		assert_int_equal(scanned(now * S, false), SL_PENDING);
	}
	/* ... and one from grace after the last send on. */
	probe.last_sent_ms = 60000;
	assert_int_equal(scanned(1009 * S, false), SL_LEAK_GRACE);
}

static void is_no_leak_while_its_send_queue_moves(void **state)
{
	(void)state;
	probe.is_sending = true;
	for (uint64_t now = 200; now < 1000; now += 50) {
		probe.acked++;
		assert_int_equal(scanned(now * S, false), SL_PENDING);
	}
	probe.is_sending = false;
	assert_int_equal(scanned(1000 * S, false), SL_PENDING);
	assert_int_equal(scanned(1010 * S, false), SL_LEAK_GRACE);
}

static void is_a_leak_when_its_send_queue_stands_still(void **state)
{
	(void)state;
	probe.is_sending = true;
	probe.acked = 5;
	assert_int_equal(scanned(200 * S, false), SL_PENDING);
	/* Data is sent again and again, and never acknowledged. */
	probe.last_sent_ms = 1000;
	probe.last_acked_ms = 59000;
	assert_int_equal(scanned(259 * S, false), SL_PENDING);
	assert_int_equal(scanned(260 * S, false), SL_LEAK_GRACE);
	/* Some of it is, a second ago. */
	probe.acked = 6;
	probe.last_acked_ms = 1000;
	assert_int_equal(scanned(270 * S, false), SL_PENDING);
	assert_true(end.idle_since_ns == 269 * S);
}

static void is_as_old_as_what_the_program_was_told(void **state)
{
	(void)state;
	probe.state = CLOSE;
	notice.eof_ns = 120 * S;
	assert_int_equal(scanned(179 * S, false), SL_PENDING);
	assert_true(end.peer_gone_since_ns == 120 * S);
	assert_int_equal(scanned(180 * S, false), SL_LEAK_GRACE);
}

static void is_a_leak_at_exit_if_it_was_one(void **state)
{
	(void)state;
	scanned(200 * S, false);
	end.was_leak = true;
	probe.last_sent_ms = 1000; /* it has sent since */
	assert_int_equal(scanned(300 * S, false), SL_PENDING);
	assert_int_equal(scanned(300 * S, true), SL_LEAK_GRACE);
	assert_int_equal(judge(true, SL_AT_EXIT_GRACE, 300 * S), SL_PENDING);
	/* Another socket of the same number was none. */
	age_update(&end, GENERATION + 1, &(struct age_bounds){entry.opened_ns, 0},
		   &notice, &probe, 300 * S);
	assert_false(end.was_leak);
}

static void begins_anew_when_the_number_has_a_new_life(void **state)
{
	(void)state;
	scanned(200 * S, false);
	age_update(&end, GENERATION + 1, &(struct age_bounds){entry.opened_ns, 0},
		   &notice, &probe, 280 * S);
	assert_true(end.peer_gone_since_ns == 280 * S);
	assert_int_equal(end.verdict, SL_PENDING);
}

static void is_a_leak_at_exit_if_told_and_kept(void **state)
{
	(void)state;
	notice.eof_ns = 199 * S;
	assert_int_equal(scanned(200 * S, false), SL_PENDING);
	assert_int_equal(scanned(200 * S, true), SL_LEAK_EXIT);
}

static void is_pending_at_exit_if_not_told(void **state)
{
	(void)state;
	assert_int_equal(scanned(200 * S, true), SL_PENDING);
}

static void is_no_leak_at_exit_if_it_sent_after_it_was_told(void **state)
{
	(void)state;
	notice.eof_ns = 199 * S;
	probe.last_sent_ms = 500;
	assert_int_equal(scanned(200 * S, true), SL_PENDING);
	/* The kernel's clock of sends is no finer than 10 ms. */
	probe.last_sent_ms = 990;
	assert_int_equal(scanned(200 * S, true), SL_LEAK_EXIT);
}

static void is_told_by_a_shutdown_of_both_directions(void **state)
{
	(void)state;
	notice.shut_ns = 199 * S;
	notice.shut_how = 3;
	assert_int_equal(scanned(200 * S, true), SL_LEAK_EXIT);
}

static void is_told_by_a_shutdown_of_sending_only_in_close(void **state)
{
	(void)state;
	notice.shut_ns = 199 * S;
	notice.shut_how = 2;
	probe.state = LAST_ACK;
	assert_int_equal(scanned(200 * S, true), SL_PENDING);
	probe.state = CLOSE;
	assert_int_equal(scanned(200 * S, true), SL_LEAK_EXIT);
}

static void is_not_told_by_a_shutdown_of_receiving(void **state)
{
	(void)state;
	notice.shut_ns = 199 * S;
	notice.shut_how = 1;
	probe.state = CLOSE;
	assert_int_equal(scanned(200 * S, true), SL_PENDING);
}

static void obeys_at_exit_grace(void **state)
{
	(void)state;
	notice.eof_ns = 199 * S;
	scanned(200 * S, false);
	assert_int_equal(judge(true, SL_AT_EXIT_GRACE, 200 * S), SL_PENDING);
	assert_int_equal(judge(true, SL_AT_EXIT_GRACE, 300 * S), SL_LEAK_GRACE);
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
		T(is_new_when_first_seen_in_close),
		T(keeps_its_age_when_close_wait_becomes_close),
		T(is_no_leak_while_this_side_sends_within_grace),
		T(is_no_leak_while_its_send_queue_moves),
		T(is_a_leak_when_its_send_queue_stands_still),
		T(is_as_old_as_what_the_program_was_told),
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
