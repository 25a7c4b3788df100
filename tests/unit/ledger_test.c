/* The writer of the ledger: what a row names is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/ledger_file.h"

/* As a reader sees it. */
static const struct sl_descriptor *row_of(unsigned fd)
{
	for (uint32_t k = 0; k < file->n_blocks; k++)
		if (file->blocks[k].kind == SL_BLOCK_ROWS && file->blocks[k].first == 0)
			return (const struct sl_descriptor *)((const char *)(file + 1) +
							      (size_t)k *
								      SL_BLOCK_BYTES) +
			       fd;
	fail_msg("there is no row");
	return NULL;
}

static void append_backtrace(uint32_t id)
{
	struct sl_backtrace record = {
		.head = {SL_RECORD_BACKTRACE, sizeof(record)}, .id = id, .n_frames = 1};
	uint64_t frame = 0x77;

	assert_true(ledger_append(&record.head, &frame, sizeof(frame)));
}

static void a_row_names_an_origin_only_once_its_backtrace_is_in_the_file(void **state)
{
	struct sl_descriptor row = {.held = 1, .cookie = 7, .origin = 1, .eof_origin = 2};

	(void)state;
	assert_false(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->origin, SL_ORIGIN_PENDING);
	assert_int_equal(row_of(5)->eof_origin, SL_ORIGIN_PENDING);
	append_backtrace(1);
	assert_false(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->origin, 1);
	assert_int_equal(row_of(5)->eof_origin, SL_ORIGIN_PENDING);
	append_backtrace(2);
	assert_true(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->eof_origin, 2);
}

static void a_row_names_a_test_only_once_its_name_is_in_the_file(void **state)
{
	struct sl_descriptor row = {.held = 1, .cookie = 8, .name = 1};
	struct sl_name record = {
		.head = {SL_RECORD_NAME, sizeof(record)}, .id = 1, .text_bytes = 1};

	(void)state;
	assert_false(ledger_publish(6, &row));
	assert_int_equal(row_of(6)->name, 0);
	assert_true(ledger_append(&record.head, "x", 1));
	assert_true(ledger_publish(6, &row));
	assert_int_equal(row_of(6)->name, 1);
}

/* A handler jumped out of it, or its thread was cancelled. */
static void a_row_that_its_writer_left_is_taken_over(void **state)
{
	struct sl_descriptor row = {.held = 1, .cookie = 7};

	(void)state;
	assert_true(ledger_publish(8, &row));
	_Atomic uint32_t *sequence = (_Atomic uint32_t *)&row_of(8)->sequence;
	++*sequence;
	row.cookie = 9;
	assert_true(ledger_publish(8, &row));
	assert_int_equal(row_of(8)->cookie, 9);
	assert_int_equal(*sequence % 2, 0);
	++*sequence;
	ledger_end_row(8, 1);
	assert_false(row_of(8)->held);
	assert_int_equal(*sequence % 2, 0);
}

/* Scans a second apart, of which each adds a socket. */
static void the_series_spans_the_whole_life_in_its_bound(void **state)
{
	const struct sl_series *series = &file->series;
	const uint64_t second = UINT64_C(1000000000);

	(void)state;
	for (uint64_t i = 0; i < 100000; i++) {
		ledger_add_point(i * second, i, i / 2);
		assert_in_range(series->n_points, 1, SL_MAX_POINTS);
		assert_true(series->points[series->n_points - 1].time_ns == i * second);
		assert_int_equal(series->sequence % 2, 0);
	}
	assert_in_range(series->n_points, SL_MAX_POINTS / 2, SL_MAX_POINTS);
	assert_true(series->points[0].time_ns == 0);
	for (uint32_t i = 1; i < series->n_points; i++) {
		const struct sl_point *point = &series->points[i];

		assert_true(point->open == point->time_ns / second);
		assert_int_equal(point->leaked, point->open / 2);
		assert_in_range(point->open - point[-1].open, 1,
				3 * 100000 / SL_MAX_POINTS);
	}
}

static void no_point_of_the_series_is_before_the_last(void **state)
{
	const struct sl_series *series = &file->series;
	uint64_t last_ns = series->points[series->n_points - 1].time_ns;

	(void)state;
	ledger_add_point(last_ns / 2, 1, 1);
	assert_true(series->points[series->n_points - 1].time_ns == last_ns);
	assert_int_equal(series->points[series->n_points - 1].open, 1);
}

/* As descriptors that are handed over between two scans, by the thousand. */
static void records_find_room_when_no_scan_has_made_any(void **state)
{
	struct sl_event record = {.head = {SL_RECORD_EVENT, sizeof(record)}};

	(void)state;
	for (unsigned i = 0; i < 16384; i++)
		assert_true(ledger_append(&record.head, NULL, 0));
	assert_true(ledger_dropped() == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_row_names_an_origin_only_once_its_backtrace_is_in_the_file),
		cmocka_unit_test(a_row_names_a_test_only_once_its_name_is_in_the_file),
		cmocka_unit_test(a_row_that_its_writer_left_is_taken_over),
		cmocka_unit_test(the_series_spans_the_whole_life_in_its_bound),
		cmocka_unit_test(no_point_of_the_series_is_before_the_last),
		cmocka_unit_test(records_find_room_when_no_scan_has_made_any),
	};

	return cmocka_run_group_tests(tests, begin_ledger, end_ledger);
}
