/* Verdicts: of the library's own where it could give one, by the same rules where the
 * process was killed. */
#include "judge/judge.h"
#include "kernel/process.h"

#include "../lib/ledger_maker.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define LOOK (MAKER_START_NS + 10 * MAKER_SECOND)

/* Killed; last looked at ten seconds after its start; grace is five seconds. */
static const struct process_facts killed = {
	.ended = FINDINGS_UNKNOWN,
	.at_exit = SL_AT_EXIT_TOLD,
	.grace_ns = 5 * MAKER_SECOND,
	.last_ns = LOOK,
};

static struct process_facts but(enum findings_ended ended)
{
	struct process_facts process = killed;

	process.ended = ended;
	return process;
}

/* In CLOSE_WAIT at the last look, for `quiet` seconds; nobody was told. */
static struct sl_descriptor quiet_for(unsigned quiet)
{
	return (struct sl_descriptor){
		.held = 1,
		.state = MAKER_CLOSE_WAIT,
		.kind = SL_KIND_CLOSE_WAIT,
		.verdict = SL_PENDING,
		.why = SL_WHY_NEVER_READ,
		.peer_gone_since_ns = LOOK - quiet * MAKER_SECOND,
		.idle_since_ns = LOOK - quiet * MAKER_SECOND,
		.scanned_ns = LOOK,
	};
}

/* The same, told a second before the look. */
static struct sl_descriptor told(void)
{
	struct sl_descriptor row = quiet_for(2);

	row.told_ns = LOOK - MAKER_SECOND;
	row.eof_call = SL_CALL_recv;
	row.why = SL_WHY_EOF_READ;
	return row;
}

static enum sl_verdict verdict(const struct process_facts *process,
			       struct sl_descriptor row)
{
	return judge_row(process, &row, 7).verdict;
}

static void what_the_library_said_at_exit_stands(void **state)
{
	struct process_facts exited = but(FINDINGS_EXIT), running = but(FINDINGS_RUNNING);
	struct sl_descriptor row = quiet_for(60);

	(void)state;
	for (uint8_t said = SL_NO_VERDICT; said <= SL_LEAK_EXIT; said++) {
		row.verdict = said;
		assert_int_equal(verdict(&exited, row), said);
		assert_int_equal(verdict(&running, row), said);
	}
}

static void a_leak_stays_one_whatever_a_killed_process_sent_since(void **state)
{
	struct process_facts by_grace = killed, running = but(FINDINGS_RUNNING);
	struct process_facts exec = but(FINDINGS_EXEC);
	struct sl_descriptor row = quiet_for(1);

	(void)state;
	row.flags = SL_ROW_WAS_LEAK;
	assert_int_equal(verdict(&killed, row), SL_LEAK_GRACE);
	by_grace.at_exit = SL_AT_EXIT_GRACE;
	assert_int_equal(verdict(&by_grace, row), SL_PENDING);
	assert_int_equal(verdict(&running, row), SL_PENDING);
	assert_int_equal(verdict(&exec, row), SL_PENDING); /* that is no exit */
	/* One that came over exec as a standard stream ends with the program. */
	row.origin_kind = SL_ORIGIN_INHERITED;
	assert_int_equal(judge_row(&killed, &row, 0).verdict, SL_PENDING);
}

static void a_killed_process_leaked_what_was_past_grace_at_the_last_look(void **state)
{
	(void)state;
	assert_int_equal(verdict(&killed, quiet_for(4)), SL_PENDING);
	assert_int_equal(verdict(&killed, quiet_for(5)), SL_LEAK_GRACE);
	assert_int_equal(verdict(&killed, quiet_for(60)), SL_LEAK_GRACE);
}

static void the_time_after_the_last_look_of_a_row_does_not_count(void **state)
{
	struct sl_descriptor row = quiet_for(6);

	(void)state;
	row.scanned_ns -= 2 * MAKER_SECOND;
	assert_int_equal(verdict(&killed, row), SL_PENDING);
}

static void what_came_over_exec_as_a_standard_stream_ends_with_the_program(void **state)
{
	struct sl_descriptor row = told();

	(void)state;
	row.origin_kind = SL_ORIGIN_INHERITED;
	assert_int_equal(judge_row(&killed, &row, 0).verdict, SL_PENDING);
	assert_int_equal(judge_row(&killed, &row, 3).verdict, SL_LEAK_EXIT);
	row = quiet_for(61);
	row.origin_kind = SL_ORIGIN_INHERITED;
	assert_int_equal(judge_row(&killed, &row, 0).verdict, SL_LEAK_GRACE);
}

static void a_killed_process_leaked_what_it_was_told_of_and_kept(void **state)
{
	struct judged_row judged;
	struct sl_descriptor row = told();

	(void)state;
	judged = judge_row(&killed, &row, 7);
	assert_int_equal(judged.verdict, SL_LEAK_EXIT);
	assert_int_equal(judged.why, SL_WHY_EOF_READ);
}

static void a_socket_that_sends_on_after_the_end_of_stream_is_no_leak(void **state)
{
	struct sl_descriptor row = told();

	(void)state;
	row.sent_ns = row.told_ns + 9 * MAKER_SECOND / 1000;
	assert_int_equal(verdict(&killed, row), SL_LEAK_EXIT);
	row.sent_ns = row.told_ns + 11 * MAKER_SECOND / 1000;
	assert_int_equal(verdict(&killed, row), SL_PENDING);
}

static void at_exit_none_or_grace_spares_what_was_only_told(void **state)
{
	struct process_facts spared = killed;

	(void)state;
	spared.at_exit = SL_AT_EXIT_GRACE;
	assert_int_equal(verdict(&spared, told()), SL_PENDING);
	assert_int_equal(verdict(&spared, quiet_for(6)), SL_LEAK_GRACE);
}

static void what_became_another_program_is_not_judged_by_what_it_was_told(void **state)
{
	struct process_facts exec = but(FINDINGS_EXEC);

	(void)state;
	assert_int_equal(verdict(&exec, told()), SL_PENDING);
	assert_int_equal(verdict(&exec, quiet_for(6)), SL_LEAK_GRACE);
}

static void told_after_the_last_look_still_counts(void **state)
{
	struct sl_descriptor row = {
		.held = 1,
		.state = 1, /* ESTABLISHED, when it was last looked at */
		.told_ns = LOOK + 1,
		.eof_call = SL_CALL_read,
		.scanned_ns = LOOK,
	};
	struct judged_row judged = judge_row(&killed, &row, 7);

	(void)state;
	assert_int_equal(judged.verdict, SL_LEAK_EXIT);
	assert_int_equal(judged.kind, SL_KIND_CLOSE_WAIT);
	assert_int_equal(judged.state, MAKER_CLOSE_WAIT);
	assert_int_equal(judged.why, SL_WHY_EOF_READ);
	row.eof_call = SL_CALL_write;
	judged = judge_row(&killed, &row, 7);
	assert_int_equal(judged.kind, SL_KIND_DEAD);
	assert_int_equal(judged.state, MAKER_TCP_CLOSE);
}

static void an_own_shutdown_says_nothing_of_the_peer(void **state)
{
	struct sl_descriptor row = {
		.held = 1,
		.state = 5, /* FIN_WAIT_2: the peer is there */
		.told_ns = LOOK - 1,
		.eof_call = SL_CALL_shutdown,
		.scanned_ns = LOOK,
	};

	(void)state;
	assert_int_equal(verdict(&killed, row), SL_NO_VERDICT);
}

static void a_socket_whose_peer_is_there_has_no_verdict(void **state)
{
	struct sl_descriptor row = {.held = 1, .state = 1, .scanned_ns = LOOK};

	(void)state;
	assert_int_equal(verdict(&killed, row), SL_NO_VERDICT);
}

static void an_expected_socket_is_never_a_leak(void **state)
{
	struct process_facts exited = but(FINDINGS_EXIT);
	struct sl_descriptor row = quiet_for(60);

	(void)state;
	row.flags = SL_ROW_EXPECTED;
	row.verdict = SL_LEAK_GRACE;
	assert_int_equal(verdict(&killed, row), SL_NO_VERDICT);
	assert_int_equal(verdict(&exited, row), SL_NO_VERDICT);
}

/* -- is it alive? ----------------------------------------------------------------- */

static void describe_self(struct sl_header *head)
{
	char line[1024] = "", exe[512] = "";
	FILE *file = fopen("/proc/self/stat", "re");

	assert_non_null(file);
	assert_non_null(fgets(line, sizeof(line), file));
	fclose(file);
	char *at = strrchr(line, ')');
	for (int field = 2; field < 22; field++)
		at = strchr(at + 1, ' ');
	head->start_ticks = strtoull(at, NULL, 10);
	head->pid = (uint32_t)getpid();
	head->ended = SL_RUNNING;
	assert_true(readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0);
	strcpy(head->exe, exe);
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	assert_non_null(file);
	for (int i = 0; i < 16; i++) {
		char hex[3] = "";
		int c;

		while (hex[1] == 0 && (c = fgetc(file)) != EOF)
			if (c != '-')
				hex[hex[0] != 0] = (char)c;
		head->boot_id[i] = (uint8_t)strtoul(hex, NULL, 16);
	}
	fclose(file);
}

static void only_the_very_process_is_alive(void **state)
{
	static struct sl_header head, other;

	(void)state;
	describe_self(&head);
	assert_true(process_is_alive(&head));
	other = head;
	other.start_ticks++; /* the pid was used again */
	assert_false(process_is_alive(&other));
	other = head;
	other.boot_id[3] ^= 1; /* another host, or this one before it was booted */
	assert_false(process_is_alive(&other));
	other = head;
	strcpy(other.exe, "/another/program"); /* it became another program */
	assert_false(process_is_alive(&other));
	other = head;
	other.ended = SL_ENDED_EXIT;
	assert_false(process_is_alive(&other));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_library_said_at_exit_stands),
		cmocka_unit_test(
			a_killed_process_leaked_what_was_past_grace_at_the_last_look),
		cmocka_unit_test(the_time_after_the_last_look_of_a_row_does_not_count),
		cmocka_unit_test(a_leak_stays_one_whatever_a_killed_process_sent_since),
		cmocka_unit_test(a_killed_process_leaked_what_it_was_told_of_and_kept),
		cmocka_unit_test(
			what_came_over_exec_as_a_standard_stream_ends_with_the_program),
		cmocka_unit_test(
			a_socket_that_sends_on_after_the_end_of_stream_is_no_leak),
		cmocka_unit_test(at_exit_none_or_grace_spares_what_was_only_told),
		cmocka_unit_test(
			what_became_another_program_is_not_judged_by_what_it_was_told),
		cmocka_unit_test(told_after_the_last_look_still_counts),
		cmocka_unit_test(an_own_shutdown_says_nothing_of_the_peer),
		cmocka_unit_test(a_socket_whose_peer_is_there_has_no_verdict),
		cmocka_unit_test(an_expected_socket_is_never_a_leak),
		cmocka_unit_test(only_the_very_process_is_alive),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
