/* What a scan writes into the ledger is current, whatever hooks did since it read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/ledger_file.h"
#include "scan/scan_internal.h"

#define FD 5

static const struct sl_descriptor *row(void)
{
	assert_int_equal(file->blocks[0].kind, SL_BLOCK_ROWS);
	return (const struct sl_descriptor *)(file + 1) + FD;
}

static void open_by(enum sl_call call)
{
	fd_table_remember(FD, call, SL_ORIGIN_KIND_NONE, 0, ENTRY_CONNECTED, NULL);
}

/* As a scan begins with a descriptor. */
static struct fd_scan read_entry(void)
{
	struct fd_scan scanned = {.fd = FD, .probe.state = STATE_ESTABLISHED};

	assert_true(fd_table_read(FD, &scanned.entry));
	scanned.generation = ENTRY_GENERATION(atomic_load(&scanned.entry.word));
	return scanned;
}

static void a_number_that_was_used_again_keeps_its_row(void **state)
{
	(void)state;
	open_by(SL_CALL_accept);
	struct fd_scan scanned = read_entry();
	fd_table_forget(FD, NULL);
	open_by(SL_CALL_socket);
	const struct sl_descriptor before = *row();
	assert_false(publish(&scanned, NULL));
	assert_int_equal(row()->held, 1);
	assert_int_equal(row()->call, SL_CALL_socket);
	assert_int_equal(row()->socket_id, before.socket_id);
	assert_int_equal(row()->opened_ns, before.opened_ns);
	fd_table_forget(FD, NULL);
}

static void what_was_told_of_the_next_one_is_told_again(void **state)
{
	(void)state;
	open_by(SL_CALL_accept);
	struct fd_scan scanned = read_entry();
	fd_table_forget(FD, NULL);
	open_by(SL_CALL_accept4);
	notice_eof(FD, SL_CALL_recv, 0, VERDICT_END_OF_STREAM);
	assert_false(publish(&scanned, NULL));
	assert_int_equal(row()->held, 1);
	assert_int_equal(row()->eof_call, SL_CALL_recv);
	assert_true(row()->told_ns);
	fd_table_forget(FD, NULL);
}

static void a_number_that_was_closed_is_not_held(void **state)
{
	(void)state;
	open_by(SL_CALL_accept);
	struct fd_scan scanned = read_entry();
	fd_table_forget(FD, NULL);
	const struct sl_descriptor before = *row();
	assert_false(publish(&scanned, NULL));
	assert_int_equal(row()->held, 0);
	assert_int_equal(row()->ended_ns, before.ended_ns);
}

static void the_program_may_be_told_after_its_socket_was_judged(void **state)
{
	struct eof_notice notice = {0};
	struct socket_end its_end = {.kind = SL_KIND_CLOSE_WAIT};

	(void)state;
	open_by(SL_CALL_accept);
	struct fd_scan scanned = read_entry();
	scanned.end = &its_end;
	scanned.is_gone = true;
	notice_eof(FD, SL_CALL_read, 0, VERDICT_END_OF_STREAM);
	assert_true(publish(&scanned, &notice));
	assert_int_equal(row()->held, 1);
	assert_int_equal(row()->eof_call, SL_CALL_read);
	assert_true(row()->told_ns);
	fd_table_forget(FD, NULL);
}

static void a_last_use_is_written_when_it_is_another(void **state)
{
	(void)state;
	uses_start();
	open_by(SL_CALL_accept);
	struct fd_scan scanned = read_entry();
	struct fd_entry *entry = fd_table_entry(FD);
	publish_connected(&scanned, entry);
	assert_int_equal(row()->used_ns, 0);
	uses_note(FD, 517, SL_CALL_recv, false);
	publish_connected(&scanned, entry);
	assert_int_not_equal(row()->used_ns, 0);
	assert_int_equal(row()->use_call, SL_CALL_recv);
	assert_int_equal(row()->use_bytes, 517);
	assert_int_equal(row()->use_is_sent, 0);
	uses_note(FD, 9, SL_CALL_send, true);
	publish_connected(&scanned, entry);
	assert_int_equal(row()->use_bytes, 9);
	assert_int_equal(row()->use_is_sent, 1);
	fd_table_forget(FD, NULL);
}

static void an_ending_that_comes_late_ends_nothing_new(void **state)
{
	(void)state;
	open_by(SL_CALL_accept);
	fd_table_end_row(FD, 0);
	assert_int_equal(row()->held, 1);
	assert_int_equal(row()->call, SL_CALL_accept);
	fd_table_forget(FD, NULL);
	assert_int_equal(row()->held, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_that_was_used_again_keeps_its_row),
		cmocka_unit_test(what_was_told_of_the_next_one_is_told_again),
		cmocka_unit_test(a_number_that_was_closed_is_not_held),
		cmocka_unit_test(the_program_may_be_told_after_its_socket_was_judged),
		cmocka_unit_test(a_last_use_is_written_when_it_is_another),
		cmocka_unit_test(an_ending_that_comes_late_ends_nothing_new),
	};
	return cmocka_run_group_tests(tests, begin_ledger, end_ledger);
}
