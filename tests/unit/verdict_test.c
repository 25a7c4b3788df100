/* The verdict as tables: facts, rules, and what comes of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/verdict.h"

#include <errno.h>

#define S     UINT64_C(1000000000)
#define MS    UINT64_C(1000000)
#define GRACE (60 * S)
#define NOW   (1000 * S)

#define TOLD (NOW - 5 * S) /* when the program was told, in all rows of the table */

struct judged {
	const char *what;
	struct verdict_facts facts; /* of `now_ns` = NOW */
	/* while it runs; at its end by told, grace, none, all */
	enum sl_verdict runs, told, grace, none, all;
};

#define P SL_PENDING
#define G SL_LEAK_GRACE
#define E SL_LEAK_EXIT
#define N SL_NO_VERDICT

static const struct judged judged[] = {
	{"the peer is there", {.kind = SL_KIND_NONE}, N, N, N, N, N},
	{"told after the last look",
	 {.kind = SL_KIND_NONE, .told_ns = TOLD},
	 N,
	 E,
	 N,
	 N,
	 E},
	{"young, not told",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = NOW - GRACE + 1},
	 P,
	 P,
	 P,
	 P,
	 E},
	{"just past grace",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = NOW - GRACE},
	 G,
	 G,
	 G,
	 G,
	 G},
	{"dead and past grace",
	 {.kind = SL_KIND_DEAD, .idle_since_ns = NOW - GRACE},
	 G,
	 G,
	 G,
	 G,
	 G},
	{"past grace with a queue that stands still",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = NOW - GRACE, .is_sending = true},
	 G,
	 G,
	 G,
	 G,
	 G},
	{"quiet since a later look",
	 {.kind = SL_KIND_DEAD, .idle_since_ns = NOW + S},
	 P,
	 P,
	 P,
	 P,
	 E},
	{"told and kept",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = TOLD, .told_ns = TOLD},
	 P,
	 E,
	 P,
	 P,
	 E},
	{"told and kept, a queue waits",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = TOLD,
	  .told_ns = TOLD,
	  .is_sending = true},
	 P,
	 P,
	 P,
	 P,
	 E},
	{"told, sent within 10 ms",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = TOLD,
	  .told_ns = TOLD,
	  .sent_ns = TOLD + 10 * MS},
	 P,
	 E,
	 P,
	 P,
	 E},
	{"told, sent later",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = TOLD,
	  .told_ns = TOLD,
	  .sent_ns = TOLD + 11 * MS},
	 P,
	 P,
	 P,
	 P,
	 E},
	{"was a leak, sent since",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = NOW - S, .was_leak = true},
	 P,
	 G,
	 P,
	 P,
	 G},
	{"found by a check",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = NOW - S,
	  .was_found_by_check = true},
	 P,
	 E,
	 P,
	 P,
	 E},
	{"inherited and not touched",
	 {.kind = SL_KIND_CLOSE_WAIT, .idle_since_ns = NOW - S, .is_inherited = true},
	 P,
	 P,
	 P,
	 P,
	 P},
	{"inherited and told",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = TOLD,
	  .is_inherited = true,
	  .told_ns = TOLD},
	 P,
	 E,
	 P,
	 P,
	 E},
	{"a standard stream, told",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = TOLD,
	  .ends_with_program = true,
	  .told_ns = TOLD},
	 P,
	 P,
	 P,
	 P,
	 P},
	{"a standard stream, past grace",
	 {.kind = SL_KIND_CLOSE_WAIT,
	  .idle_since_ns = NOW - GRACE,
	  .ends_with_program = true},
	 G,
	 G,
	 G,
	 G,
	 G},
};

static void judge(const struct judged *one, bool is_the_end, enum sl_at_exit at_exit,
		  enum sl_verdict expected)
{
	const struct verdict_rules rules = {GRACE, at_exit, is_the_end};
	struct verdict_facts facts = one->facts;

	facts.now_ns = NOW;
	enum sl_verdict got = verdict_of(&facts, &rules);
	if (got != expected)
		fail_msg("%s (at_exit %u, end %d): %u, not %u", one->what,
			 (unsigned)at_exit, is_the_end, got, expected);
}

static void gives_the_verdict_of_each_rule(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(judged) / sizeof(*judged); i++) {
		const struct judged *one = &judged[i];

		for (unsigned rule = SL_AT_EXIT_TOLD; rule <= SL_AT_EXIT_ALL; rule++)
			judge(one, false, rule, one->runs);
		judge(one, true, SL_AT_EXIT_TOLD, one->told);
		judge(one, true, SL_AT_EXIT_GRACE, one->grace);
		judge(one, true, SL_AT_EXIT_NONE, one->none);
		judge(one, true, SL_AT_EXIT_ALL, one->all);
	}
}

#define WAIT SL_KIND_CLOSE_WAIT
#define DEAD SL_KIND_DEAD
static const struct {
	const char *what;
	struct verdict_reasons reasons;
	unsigned why;
} reasoned[] = {
	{"read by a call we see", {.kind = WAIT, .was_told = true}, SL_WHY_EOF_READ},
	{"unread", {.kind = WAIT, .fin_unread = true}, SL_WHY_NEVER_READ},
	{"read unseen", {.kind = WAIT}, SL_WHY_READ_UNSEEN},
	{"of which only the parent knows",
	 {.kind = WAIT, .parent_knew = true, .is_inherited = true},
	 SL_WHY_HELD_BY_CHILD},
	{"shut for sending",
	 {.kind = WAIT, .shut_sending = true},
	 SL_WHY_SHUT_NOT_CLOSED},
	{"EPIPE after its own shutdown",
	 {.kind = WAIT, .shut_sending = true, .was_told = true, .error = VERDICT_ERROR},
	 SL_WHY_SHUT_NOT_CLOSED},
	{"stalled, FIN unread",
	 {.kind = WAIT, .fin_unread = true, .is_stalled = true},
	 SL_WHY_NEVER_READ | SL_WHY_STALLED},
	{"dead, nobody told", {.kind = DEAD}, SL_WHY_RESET},
	{"dead, told by ECONNRESET",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_RESET},
	 SL_WHY_RESET},
	{"the same after probes",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_RESET, .may_time_out = true},
	 SL_WHY_RESET},
	{"dead, told by ETIMEDOUT",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_TIMED_OUT},
	 SL_WHY_TIMED_OUT},
	{"dead, told by EPIPE",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_ERROR},
	 SL_WHY_RESET},
	{"dead, told by EPIPE after retransmissions",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_ERROR, .may_time_out = true},
	 0},
	{"dead by all its keepalive probes",
	 {.kind = DEAD, .timed_out = true, .may_time_out = true},
	 SL_WHY_TIMED_OUT},
	{"dead after retransmissions", {.kind = DEAD, .may_time_out = true}, 0},
	{"dead by the administrator",
	 {.kind = DEAD, .was_told = true, .error = VERDICT_ABORTED},
	 0},
	{"dead after its own shutdown",
	 {.kind = DEAD, .shut_sending = true},
	 SL_WHY_SHUT_NOT_CLOSED},
	{"dead before the fork",
	 {.kind = DEAD, .parent_knew = true, .is_inherited = true},
	 SL_WHY_HELD_BY_CHILD},
	{"a duplicate",
	 {.kind = WAIT, .was_told = true, .is_duplicate = true},
	 SL_WHY_EOF_READ | SL_WHY_DUPLICATE},
};

static void gives_the_reasons(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(reasoned) / sizeof(*reasoned); i++) {
		unsigned why = verdict_why(&reasoned[i].reasons);

		if (why != reasoned[i].why)
			fail_msg("%s: %u, not %u", reasoned[i].what, why,
				 reasoned[i].why);
	}
}

static void a_shutdown_tells_where_nothing_can_follow(void **state)
{
	struct verdict_telling telling = {.shut_ns = 7, .shut_how = 2};
	bool by_shutdown;

	(void)state;
	assert_int_equal(verdict_told_ns(&telling, WAIT, 0, &by_shutdown), 0);
	assert_false(by_shutdown);
	assert_int_equal(verdict_told_ns(&telling, DEAD, 0, &by_shutdown), 7);
	assert_true(by_shutdown);
	telling.shut_how = 3;
	assert_int_equal(verdict_told_ns(&telling, WAIT, 0, &by_shutdown), 7);
	telling.shut_how = 1;
	assert_int_equal(verdict_told_ns(&telling, DEAD, 0, &by_shutdown), 0);
	/* What a call said comes first, unless more was sent since. */
	telling = (struct verdict_telling){.eof_ns = 5, .shut_ns = 7, .shut_how = 3};
	assert_int_equal(verdict_told_ns(&telling, DEAD, 0, &by_shutdown), 5);
	assert_false(by_shutdown);
	assert_int_equal(verdict_told_ns(&telling, DEAD, S, &by_shutdown), 7);
	assert_true(by_shutdown);
}

static void knows_which_errors_end_a_connection(void **state)
{
	enum verdict_error error;

	(void)state;
	assert_true(verdict_error_of(ECONNRESET, &error) && error == VERDICT_RESET);
	assert_true(verdict_error_of(ETIMEDOUT, &error) && error == VERDICT_TIMED_OUT);
	assert_true(verdict_error_of(EHOSTUNREACH, &error) && error == VERDICT_TIMED_OUT);
	assert_true(verdict_error_of(ECONNREFUSED, &error) && error == VERDICT_TIMED_OUT);
	assert_true(verdict_error_of(ECONNABORTED, &error) && error == VERDICT_ABORTED);
	assert_true(verdict_error_of(EPIPE, &error) && error == VERDICT_ERROR);
	assert_false(verdict_error_of(EAGAIN, &error));
	assert_false(verdict_error_of(EBADF, &error));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_the_verdict_of_each_rule),
		cmocka_unit_test(gives_the_reasons),
		cmocka_unit_test(a_shutdown_tells_where_nothing_can_follow),
		cmocka_unit_test(knows_which_errors_end_a_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
