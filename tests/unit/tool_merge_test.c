/* Ledgers together: what is one socket, where it was opened, who holds it, which place.
 */
#include "judge/judge_linked.h"
#include "link/merge.h"

#include "../lib/ledger_maker.h"
#include "support/say.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static char directory[] = "/tmp/sockleak-merge-XXXXXX";
static struct ledger_maker maker;
static struct merge *merge;
static struct findings *findings;

static int make_directory(void **state)
{
	(void)state;
	return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
	(void)state;
	return rmdir(directory);
}

static int begin(void **state)
{
	(void)state;
	merge = merge_open();
	return 0;
}

static int end(void **state)
{
	(void)state;
	findings_free(findings);
	return 0;
}

/* The ledger that was made joins the merge. */
static void add(void)
{
	struct reader_ledger ledger;
	char path[PATH_MAX], why[READER_WHY_BYTES];

	maker_write(&maker, directory, path);
	if (reader_read(path, &ledger, why) < 0)
		fail_msg("%s", why);
	merge_add(merge, &ledger);
	reader_free(&ledger);
	unlink(path);
}

static void close_merge(void)
{
	findings = judge_linked(merge);
}

/* One frame at `offset` of /srv/app with this build-id. */
static uint32_t origin_in(uint8_t build_id, uint64_t offset)
{
	uint64_t frame =
		maker_frame(maker_module(&maker, "/srv/app", build_id, 20), offset);

	return maker_backtrace(&maker, &frame, 1);
}

static const struct findings_socket *only_socket(void)
{
	assert_int_equal(findings->n_leaks, 1);
	assert_int_equal(findings->leaks[0].n_sockets, 1);
	return &findings->leaks[0].sockets[0];
}

/* -- what is one socket ----------------------------------------------------------- */

static void duplicates_in_a_process_are_one_socket_with_two_holders(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker_leak(&maker, 5, 77);
	maker_leak(&maker, 9, 77)->why = SL_WHY_DUPLICATE;
	add();
	close_merge();
	const struct findings_socket *socket = only_socket();
	assert_int_equal(socket->n_holders, 2);
	assert_int_equal(socket->holders[0].fd, 5);
	assert_int_equal(socket->holders[1].fd, 9);
	assert_int_equal(socket->why, SL_WHY_EOF_READ | SL_WHY_DUPLICATE);
	assert_int_equal(findings->processes[0].leaked, 1);
	assert_int_equal(findings->processes[0].open, 1);
}

static void a_descriptor_that_was_closed_closes_no_socket_that_another_holds(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker.head.at_exit = SL_AT_EXIT_NONE;
	struct sl_descriptor *closed = maker_leak(&maker, 5, 77);
	closed->verdict = SL_LEAK_GRACE;
	closed->held = 0;
	closed->ended_ns = MAKER_START_NS + 5 * MAKER_SECOND;
	maker_leak(&maker, 9, 77)->verdict = SL_PENDING; /* something was sent since */
	add();
	close_merge();
	assert_int_equal(findings->n_late, 0);
	assert_int_equal(findings->n_pending, 1);
	assert_int_equal(findings->pending[0].sockets[0].n_holders, 1);
	assert_int_equal(findings->pending[0].sockets[0].holders[0].fd, 9);
}

static struct sl_descriptor *used(struct sl_descriptor *row, uint64_t s, uint32_t origin)
{
	row->used_ns = MAKER_START_NS + s * MAKER_SECOND;
	row->use_call = SL_CALL_recv;
	row->use_bytes = (uint32_t)s;
	row->use_thread = 100 + (uint32_t)s;
	row->use_origin = origin;
	return row;
}

static void the_last_use_is_that_of_any_process(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	used(maker_leak(&maker, 5, 77), 4, origin_in(1, 16));
	add();
	maker_begin(&maker, 2);
	used(maker_leak(&maker, 5, 77), 6, origin_in(1, 32))->held = 0;
	add();
	close_merge();
	const struct findings_socket *socket = only_socket();
	assert_int_equal(findings->leaks[0].n_uses, 1);
	assert_int_equal(socket->use, 1);
	assert_int_equal(socket->use_bytes, 6);
	assert_int_equal(socket->use_thread, 106);
	assert_int_equal(socket->used_ms, 4000);
	assert_int_equal(findings->leaks[0].uses[0].frames[0].offset, 32);
}

static void places_of_last_use_stand_by_how_many_sockets_they_have(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	uint32_t once = origin_in(1, 16), twice = origin_in(1, 32);
	used(maker_leak(&maker, 5, 75), 1, once);
	used(maker_leak(&maker, 6, 76), 2, twice);
	used(maker_leak(&maker, 7, 77), 3, twice);
	maker_leak(&maker, 8, 78);
	used(maker_leak(&maker, 9, 79), 4, once)->use_is_sent = 1;
	add();
	close_merge();
	assert_int_equal(findings->n_leaks, 1);
	const struct findings_place *place = &findings->leaks[0];
	assert_int_equal(place->n_uses, 3);
	assert_int_equal(place->uses[0].n_sockets, 2);
	assert_int_equal(place->uses[0].ms, 8000);
	assert_int_equal(place->uses[0].thread, 102);
	assert_int_equal(place->uses[0].frames[0].offset, 32);
	assert_int_equal(place->uses[1].bytes, 1);
	assert_true(place->uses[2].is_sent);
	for (size_t i = 0; i < place->n_sockets; i++) {
		static const uint32_t uses[] = {2, 1, 1, 0, 3};

		assert_int_equal(place->sockets[i].use,
				 uses[place->sockets[i].cookie - 75]);
	}
	/* A rule takes two of them out. */
	for (size_t i = 0; i < place->n_sockets; i++)
		if (findings->leaks[0].sockets[i].use == 2)
			findings->leaks[0].sockets[i--] =
				findings->leaks[0]
					.sockets[--findings->leaks[0].n_sockets];
	findings_settle(findings);
	assert_int_equal(place->n_uses, 2);
	assert_true(place->uses[1].is_sent);
}

static void duplicates_without_a_cookie_are_joined_by_socket_id(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker_leak(&maker, 5, 0)->socket_id = 3;
	maker_leak(&maker, 9, 0)->socket_id = 3;
	maker_leak(&maker, 10, 0)->socket_id = 4;
	add();
	maker_begin(&maker, 2); /* socket ids mean nothing to another process */
	maker_leak(&maker, 5, 0)->socket_id = 3;
	add();
	close_merge();
	assert_int_equal(findings->leaks[0].n_sockets, 3);
}

static void processes_of_one_boot_share_cookies_others_do_not(void **state)
{
	(void)state;
	for (uint32_t pid = 1; pid <= 3; pid++) {
		maker_begin(&maker, pid);
		maker_leak(&maker, 5, 77);
		maker.head.boot_id[0] = pid == 3;
		add();
	}
	close_merge();
	assert_int_equal(findings->leaks[0].n_sockets, 2);
	assert_int_equal(findings_n_leaked(findings), 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(findings->processes[i].leaked, 1);
}

static void who_ended_before_it_was_a_leak_is_no_holder_of_it(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	struct sl_descriptor *row = maker_leak(&maker, 5, 77);
	row->verdict = SL_PENDING;
	row->why = SL_WHY_HELD_BY_CHILD;
	add();
	maker_begin(&maker, 2);
	maker_leak(&maker, 6, 77)->verdict = SL_LEAK_GRACE;
	add();
	close_merge();
	assert_int_equal(only_socket()->verdict, SL_LEAK_GRACE);
	assert_int_equal(only_socket()->n_holders, 1);
	assert_int_equal(only_socket()->holders[0].fd, 6);
	assert_int_equal(only_socket()->why, SL_WHY_EOF_READ);
	assert_int_equal(findings->n_pending, 0);
}

static void who_held_it_while_the_peer_was_there_is_no_holder(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	struct sl_descriptor *row = maker_row(&maker, 5);
	row->cookie = 77;
	row->state = 1;
	add();
	maker_begin(&maker, 2);
	maker_leak(&maker, 6, 77);
	add();
	close_merge();
	assert_int_equal(only_socket()->n_holders, 1);
	assert_int_equal(only_socket()->holders[0].fd, 6);
}

/* -- where it was opened ---------------------------------------------------------- */

/* A leak of a process that inherited or received it and knows no more. */
static void add_taker(uint32_t pid, uint8_t origin_kind)
{
	maker_begin(&maker, pid);
	struct sl_descriptor *row = maker_leak(&maker, 6, 77);
	row->origin_kind = origin_kind;
	row->call = SL_CALL_NONE;
	if (origin_kind == SL_ORIGIN_INHERITED) {
		row->flags = SL_ROW_INHERITED;
		row->why |= SL_WHY_HELD_BY_CHILD;
	}
	add();
}

static void assert_origin(uint64_t offset)
{
	const struct findings_place *place = &findings->leaks[0];

	only_socket();
	assert_int_equal(place->n_origin, 1);
	assert_int_equal(place->origin[0].offset, offset);
	assert_int_equal(place->origin_kind, SL_ORIGIN_KIND_NONE);
	assert_int_equal(place->call, SL_CALL_accept);
}

static void the_openers_row_serves_the_one_who_inherited(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	struct sl_descriptor *row = maker_leak(&maker, 5, 77);
	row->held = 0;
	row->origin = origin_in(1, 0x123);
	add();
	add_taker(2, SL_ORIGIN_INHERITED);
	close_merge();
	assert_origin(0x123);
	assert_true(only_socket()->opener_closed);
	assert_int_equal(only_socket()->opener_pid, 1);
	assert_int_equal(only_socket()->why, SL_WHY_EOF_READ | SL_WHY_HELD_BY_CHILD);
}

static void the_order_of_the_ledgers_does_not_matter(void **state)
{
	(void)state;
	add_taker(2, SL_ORIGIN_INHERITED);
	maker_begin(&maker, 1);
	maker_leak(&maker, 5, 77)->origin = origin_in(1, 0x123);
	add();
	close_merge();
	assert_origin(0x123);
	assert_int_equal(only_socket()->n_holders, 2);
	assert_false(only_socket()->opener_closed);
}

/* What the program says of a socket later is not in the row of what it has closed. */
static void a_row_that_is_held_says_it_rather_than_one_that_was_closed(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	struct sl_descriptor *row = maker_leak(&maker, 3, 77);
	row->held = 0;
	row->origin = origin_in(1, 0x123);
	maker_leak(&maker, 5, 77)->origin = origin_in(1, 0x456);
	add();
	close_merge();
	assert_origin(0x456);
}

static void an_event_of_the_giver_serves_the_one_who_received(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	uint32_t origin = origin_in(1, 0x456);
	struct sl_event *event = maker_event(&maker, SL_EVENT_PASSED);
	event->cookie = 77;
	event->call = SL_CALL_accept;
	event->origin = origin;
	add();
	add_taker(2, SL_ORIGIN_RECEIVED);
	close_merge();
	assert_origin(0x456);
	assert_int_equal(findings->processes[0].leaked, 0);
}

static void without_the_giver_the_note_says_why_there_is_no_origin(void **state)
{
	(void)state;
	add_taker(2, SL_ORIGIN_RECEIVED);
	close_merge();
	only_socket();
	assert_int_equal(findings->leaks[0].n_origin, 0);
	assert_int_equal(findings->leaks[0].origin_kind, SL_ORIGIN_RECEIVED);
}

static void an_origin_that_was_never_unwound_is_unknown(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker_leak(&maker, 5, 77)->origin = SL_ORIGIN_PENDING;
	add();
	close_merge();
	only_socket();
	assert_int_equal(findings->leaks[0].origin_kind, SL_ORIGIN_UNKNOWN);
	assert_int_equal(findings->leaks[0].call, SL_CALL_accept);
}

/* -- exec ------------------------------------------------------------------------- */

/* The former program of pid 1, killed as far as its ledger tells, past grace on fd 5. */
static void add_former(void)
{
	maker_begin(&maker, 1);
	maker.head.ended = SL_RUNNING;
	maker.head.grace_ns = MAKER_SECOND;
	struct sl_descriptor *row = maker_leak(&maker, 5, 77);
	row->origin = origin_in(1, 0x123);
	row->verdict = SL_LEAK_GRACE;
	add();
}

static struct sl_descriptor *later(void)
{
	maker_begin(&maker, 1);
	maker.sequence = 2;
	struct sl_descriptor *row = maker_leak(&maker, 5, 77);
	row->origin_kind = SL_ORIGIN_INHERITED;
	row->flags = SL_ROW_INHERITED;
	row->verdict = SL_PENDING;
	row->call = SL_CALL_NONE;
	return row;
}

static void a_leak_before_an_exec_that_is_still_held_stays_one(void **state)
{
	(void)state;
	add_former();
	later();
	add();
	close_merge();
	assert_origin(0x123);
	assert_int_equal(only_socket()->n_holders, 1);
	assert_int_equal(only_socket()->holders[0].process, 1);
	assert_int_equal(findings->processes[0].ended, FINDINGS_EXEC);
	assert_int_equal(findings->processes[1].ended, FINDINGS_EXIT);
	assert_false(only_socket()->opener_closed);
}

/* Its later program sent so many seconds after the former one had looked; 0 = not. */
static void add_later_that_sent(enum sl_at_exit at_exit, unsigned after_s)
{
	struct sl_descriptor *row = later();

	maker.head.at_exit = at_exit;
	row->scanned_ns += 2 * MAKER_SECOND;
	if (after_s)
		row->sent_ns = maker.head.scanned_ns + after_s * MAKER_SECOND;
	add();
	close_merge();
}

static void
a_leak_before_an_exec_counts_at_the_end_though_something_was_sent(void **state)
{
	(void)state;
	add_former();
	add_later_that_sent(SL_AT_EXIT_TOLD, 1);
	assert_int_equal(only_socket()->verdict, SL_LEAK_GRACE);
}

static void
a_leak_before_an_exec_is_over_with_a_send_where_the_age_alone_counts(void **state)
{
	(void)state;
	add_former();
	add_later_that_sent(SL_AT_EXIT_GRACE, 1);
	assert_int_equal(findings->n_leaks, 0);
	assert_int_equal(findings->n_pending, 1);
}

static void a_leak_before_an_exec_stays_one_without_a_send(void **state)
{
	(void)state;
	add_former();
	add_later_that_sent(SL_AT_EXIT_GRACE, 0);
	assert_int_equal(only_socket()->verdict, SL_LEAK_GRACE);
}

/* The former program of pid 1 became another before it looked at its socket. */
static struct sl_descriptor *begin_unlooked(void)
{
	maker_begin(&maker, 1);
	maker.head.ended = SL_RUNNING;
	struct sl_descriptor *row = maker_leak(&maker, 5, 0);
	row->origin = origin_in(1, 0x123);
	row->kind = SL_KIND_NONE;
	row->state = 0;
	row->verdict = SL_NO_VERDICT;
	row->why = 0;
	row->told_ns = row->peer_gone_since_ns = row->idle_since_ns = row->scanned_ns = 0;
	row->eof_call = SL_CALL_NONE;
	return row;
}

static void add_later_leak(void)
{
	later()->verdict = SL_LEAK_GRACE;
	add();
}

static void what_was_accepted_and_carried_over_an_exec_unlooked_is_joined(void **state)
{
	(void)state;
	begin_unlooked();
	add();
	add_later_leak();
	close_merge();
	assert_origin(0x123);
	assert_int_equal(findings->leaks[0].call, SL_CALL_accept);
	assert_int_equal(only_socket()->n_holders, 1);
	assert_int_equal(only_socket()->holders[0].process, 1);
	assert_false(only_socket()->opener_closed);
}

static void assert_not_joined(void)
{
	add();
	add_later_leak();
	close_merge();
	only_socket();
	assert_int_equal(findings->leaks[0].n_origin, 0);
	assert_int_equal(findings->leaks[0].origin_kind, SL_ORIGIN_INHERITED);
}

static void another_peer_after_an_exec_is_another_socket(void **state)
{
	(void)state;
	begin_unlooked()->peer_port++;
	assert_not_joined();
}

static void what_was_connected_before_an_exec_may_be_another_socket(void **state)
{
	(void)state;
	begin_unlooked()->call = SL_CALL_socket;
	assert_not_joined();
}

static void what_was_closed_before_an_exec_is_another_socket(void **state)
{
	(void)state;
	begin_unlooked()->held = 0;
	assert_not_joined();
}

static void a_program_in_between_may_have_put_another_socket_there(void **state)
{
	(void)state;
	begin_unlooked();
	maker.sequence = 0;
	assert_not_joined();
}

static void what_the_later_program_closed_is_no_leak(void **state)
{
	(void)state;
	add_former();
	later()->held = 0;
	add();
	close_merge();
	assert_int_equal(findings->n_leaks, 0);
	assert_int_equal(findings->n_pending, 0);
}

/* Asked for alone, while the ledger of the later program lies beside it. */
static void a_later_ledger_in_the_directory_tells_of_the_exec(void **state)
{
	char beside[PATH_MAX];

	(void)state;
	later();
	maker_write(&maker, directory, beside);
	add_former();
	close_merge();
	unlink(beside);
	assert_int_equal(findings->n_processes, 1);
	assert_int_equal(findings->processes[0].ended, FINDINGS_EXEC);
}

static void a_program_that_was_seen_to_exit_had_become_another(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker.head.ended = SL_RUNNING;
	maker_leak(&maker, 5, 77)->verdict = SL_PENDING; /* told, but the exec took it */
	add();
	merge_saw_end(merge, 1, 0);
	close_merge();
	assert_int_equal(findings->processes[0].ended, FINDINGS_EXEC);
	assert_int_equal(findings->n_leaks, 0);
}

static void a_program_that_was_seen_to_be_killed_ended_by_signal(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	maker.head.ended = SL_RUNNING;
	maker_leak(&maker, 5, 77)->verdict = SL_PENDING;
	add();
	merge_saw_end(merge, 1, 9);
	close_merge();
	assert_int_equal(findings->processes[0].ended, FINDINGS_SIGNAL);
	assert_int_equal(only_socket()->verdict, SL_LEAK_EXIT);
}

/* -- places ----------------------------------------------------------------------- */

static void places_are_merged_over_hosts_by_build_id_and_offset(void **state)
{
	(void)state;
	for (uint32_t pid = 1; pid <= 2; pid++) {
		maker_begin(&maker, pid);
		maker.head.boot_id[0] = (uint8_t)pid;
		maker_module(&maker, pid == 1 ? "/usr/lib/a.so" : "/usr/lib/b.so", 9, 20);
		uint32_t app =
			maker_module(&maker, pid == 1 ? "/srv/app" : "/opt/app", 7, 20);
		uint64_t frame = maker_frame(app, 0x99);
		maker_leak(&maker, 5, pid)->origin = maker_backtrace(&maker, &frame, 1);
		add();
	}
	close_merge();
	assert_int_equal(findings->n_leaks, 1);
	assert_int_equal(findings->leaks[0].n_sockets, 2);
}

static void another_origin_or_kind_is_another_place(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	uint32_t here = origin_in(1, 0x10), there = origin_in(1, 0x20);
	maker_leak(&maker, 5, 1)->origin = here;
	maker_leak(&maker, 6, 2)->origin = there;
	struct sl_descriptor *row = maker_leak(&maker, 7, 3);
	row->origin = here;
	row->kind = SL_KIND_DEAD;
	row->state = MAKER_TCP_CLOSE;
	add();
	close_merge();
	assert_int_equal(findings->n_leaks, 3);
	for (size_t i = 0; i < 3; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(findings->leaks[i].id,
						findings->leaks[j].id);
}

static void the_largest_place_and_the_oldest_socket_come_first(void **state)
{
	(void)state;
	maker_begin(&maker, 1);
	uint32_t small = origin_in(1, 0x10), large = origin_in(1, 0x20);
	maker_leak(&maker, 4, 1)->origin = small;
	for (uint32_t fd = 5; fd < 8; fd++) {
		struct sl_descriptor *row = maker_leak(&maker, fd, fd);

		row->origin = large;
		row->peer_gone_since_ns -= fd * MAKER_SECOND / 10;
	}
	add();
	close_merge();
	const struct findings_place *place = &findings->leaks[0];
	assert_int_equal(place->n_sockets, 3);
	assert_int_equal(place->sockets[0].holders[0].fd, 7);
	assert_int_equal(place->oldest_ms, 8700);
	assert_int_equal(place->newest_ms, 8500);
	assert_int_equal(place->sockets[0].opened_ms, 9000);
}

static void when_an_unseen_socket_was_opened_is_not_known(void **state)
{
	(void)state;
	maker_begin(&maker, 100);
	struct sl_descriptor *row = maker_leak(&maker, 4, 1);

	row->call = SL_CALL_NONE;
	row->origin_kind = SL_ORIGIN_UNKNOWN;
	row = maker_leak(&maker, 5, 2);
	row->origin_kind = SL_ORIGIN_RECEIVED;
	add();
	close_merge();
	assert_int_equal(findings->n_leaks, 2);
	for (size_t i = 0; i < findings->n_leaks; i++)
		assert_int_equal(findings->leaks[i].sockets[0].opened_ms,
				 TEXT_MS_UNKNOWN);
}

static void what_was_not_counted_before_a_kill_was_opened_all_the_same(void **state)
{
	(void)state;
	maker_begin(&maker, 100);
	maker.head.ended = SL_RUNNING;
	maker.head.closed = 2;
	maker_leak(&maker, 4, 1);
	maker_leak(&maker, 5, 1); /* its duplicate */
	maker_leak(&maker, 6, 2)->flags = SL_ROW_INHERITED;
	add();
	close_merge();
	assert_int_equal(findings->processes[0].opened, 3);
	assert_int_equal(findings->processes[0].open, 2);
}

static void a_test_is_named_by_who_knows_it(void **state)
{
	(void)state;
	add_taker(2, SL_ORIGIN_INHERITED);
	maker_begin(&maker, 1);
	uint32_t name = maker_name(&maker, "test_login");
	struct sl_descriptor *row = maker_leak(&maker, 5, 77);
	row->held = 0;
	row->name = name;
	add();
	close_merge();
	assert_string_equal(only_socket()->test, "test_login");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(duplicates_in_a_process_are_one_socket_with_two_holders),
		TEST(a_descriptor_that_was_closed_closes_no_socket_that_another_holds),
		TEST(the_last_use_is_that_of_any_process),
		TEST(places_of_last_use_stand_by_how_many_sockets_they_have),
		TEST(duplicates_without_a_cookie_are_joined_by_socket_id),
		TEST(processes_of_one_boot_share_cookies_others_do_not),
		TEST(who_ended_before_it_was_a_leak_is_no_holder_of_it),
		TEST(who_held_it_while_the_peer_was_there_is_no_holder),
		TEST(the_openers_row_serves_the_one_who_inherited),
		TEST(the_order_of_the_ledgers_does_not_matter),
		TEST(a_row_that_is_held_says_it_rather_than_one_that_was_closed),
		TEST(an_event_of_the_giver_serves_the_one_who_received),
		TEST(without_the_giver_the_note_says_why_there_is_no_origin),
		TEST(an_origin_that_was_never_unwound_is_unknown),
		TEST(a_leak_before_an_exec_that_is_still_held_stays_one),
		TEST(a_leak_before_an_exec_counts_at_the_end_though_something_was_sent),
		TEST(a_leak_before_an_exec_is_over_with_a_send_where_the_age_alone_counts),
		TEST(a_leak_before_an_exec_stays_one_without_a_send),
		TEST(what_was_accepted_and_carried_over_an_exec_unlooked_is_joined),
		TEST(another_peer_after_an_exec_is_another_socket),
		TEST(what_was_connected_before_an_exec_may_be_another_socket),
		TEST(what_was_closed_before_an_exec_is_another_socket),
		TEST(a_program_in_between_may_have_put_another_socket_there),
		TEST(what_the_later_program_closed_is_no_leak),
		TEST(a_later_ledger_in_the_directory_tells_of_the_exec),
		TEST(a_program_that_was_seen_to_exit_had_become_another),
		TEST(a_program_that_was_seen_to_be_killed_ended_by_signal),
		TEST(places_are_merged_over_hosts_by_build_id_and_offset),
		TEST(another_origin_or_kind_is_another_place),
		TEST(the_largest_place_and_the_oldest_socket_come_first),
		TEST(when_an_unseen_socket_was_opened_is_not_known),
		TEST(what_was_not_counted_before_a_kill_was_opened_all_the_same),
		TEST(a_test_is_named_by_who_knows_it),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
