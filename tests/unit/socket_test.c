/* The records of sockets: what duplicates have in common, for any number of them, and
 * numbers that come round. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "track/fd_table_internal.h"
#include "track/notices.h"
#include "track/socket.h"

#include <pthread.h>
#include <unistd.h>

#define FD        700
#define N_SOCKETS 40000
#define COPY(fd)  ((fd) + N_SOCKETS)

static int begin(void **state)
{
	(void)state;
	alarm(120);
	fd_table_forget_range(0, ~0U);
	for (uint32_t record = 1; record < socket_top(); record++) {
		socket_at(record)->end.gone_id = 0;
		socket_free(record, socket_id_of(socket_at(record)));
	}
	atomic_store(&fd_table_counts.opened, 0);
	atomic_store(&fd_table_counts.closed, 0);
	return 0;
}

static void open_one(int fd)
{
	fd_table_remember(fd, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 5, ENTRY_CONNECTED,
			  NULL);
}

static uint64_t n_closed(void)
{
	uint64_t opened, closed;

	fd_table_count_sockets(&opened, &closed);
	return closed;
}

static void any_number_of_duplicated_sockets_share_what_is_known(void **state)
{
	(void)state;
	for (int fd = 0; fd < N_SOCKETS; fd++) {
		open_one(fd);
		fd_table_copy(fd, COPY(fd));
		notice_eof(COPY(fd), SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	}
	for (int fd = 0; fd < N_SOCKETS; fd++) {
		assert_true(notice_was_eof_of(fd));
		fd_table_forget(COPY(fd), NULL);
	}
	assert_int_equal(n_closed(), 0);
	for (int fd = 0; fd < N_SOCKETS; fd++) {
		assert_true(notice_was_eof_of(fd));
		fd_table_forget(fd, NULL);
	}
	assert_int_equal(n_closed(), N_SOCKETS);
}

static void a_close_that_failed_was_not_the_last(void **state)
{
	struct fd_entry was;

	(void)state;
	open_one(FD);
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	fd_table_copy(FD, FD + 1);
	assert_true(fd_table_forget(FD, &was));
	fd_table_restore(FD, &was);
	assert_int_equal(n_closed(), 0);
	fd_table_forget(FD + 1, NULL);
	assert_true(fd_table_forget(FD, &was));
	assert_int_equal(n_closed(), 1);
	fd_table_restore(FD, &was);
	assert_int_equal(n_closed(), 0);
	assert_true(notice_was_eof_of(FD));
}

static void a_record_that_nobody_holds_is_used_again(void **state)
{
	uint32_t top;
	struct fd_entry was;

	(void)state;
	open_one(FD);
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	fd_table_forget(FD, NULL);
	top = socket_top();
	for (int i = 0; i < 1000; i++) {
		open_one(FD);
		assert_false(notice_was_eof_of(FD));
		notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
		fd_table_copy(FD, FD + 1);
		assert_true(fd_table_forget(FD + 1, &was));
		fd_table_confirm(&was);
		assert_true(fd_table_forget(FD, &was));
		fd_table_confirm(&was);
	}
	assert_int_equal(socket_top(), top);
}

/* Of one whose peer has gone the scanning thread has to take notice. */
static void a_record_with_a_peer_that_has_gone_waits_for_the_next_scan(void **state)
{
	struct fd_entry entry;
	struct socket *one;

	(void)state;
	open_one(FD);
	assert_non_null(one = fd_table_make_socket(FD, &entry));
	one->end.gone_id = entry.socket_id;
	fd_table_forget(FD, NULL);
	assert_true(atomic_load(&one->holders) == (uint64_t)entry.socket_id << 32);
	assert_true(atomic_load(&one->ended_ns) > 0);
	one->end.gone_id = 0;
	socket_free(ENTRY_RECORD(atomic_load(&entry.word)), entry.socket_id);
	assert_true(atomic_load(&one->holders) == 0);
}

static void a_dissolved_connection_was_told_nothing(void **state)
{
	(void)state;
	open_one(FD);
	fd_table_copy(FD, FD + 1);
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	fd_table_dissolve(FD + 1);
	assert_false(notice_was_eof_of(FD));
	fd_table_forget(FD, NULL);
	assert_int_equal(n_closed(), 0);
	fd_table_forget(FD + 1, NULL);
	assert_int_equal(n_closed(), 1);
}

/* An entry that a scan last saw so long ago that its generation is given again. */
static void numbers_come_round_without_a_false_answer(void **state)
{
	struct fd_entry first, entry;

	(void)state;
	atomic_store(&last_generation, UINT32_MAX - 2);
	open_one(FD);
	assert_true(fd_table_read(FD, &first));
	fd_table_entry(FD)->scanned_gen = ENTRY_GENERATION(atomic_load(&first.word));
	fd_table_entry(FD)->published = ENTRY_GENERATION(atomic_load(&first.word));
	fd_table_entry(FD)->cookie = 77;
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	fd_table_forget(FD, NULL);
	for (int i = 0; i < 8; i++) {
		open_one(FD + 1);
		assert_true(fd_table_read(FD + 1, &entry));
		assert_int_not_equal(ENTRY_GENERATION(atomic_load(&entry.word)), 0);
		assert_int_not_equal(entry.socket_id, 0);
		fd_table_forget(FD + 1, NULL);
	}
	atomic_store(&last_generation, UINT32_MAX - 2);
	open_one(FD);
	assert_true(fd_table_read(FD, &entry));
	assert_int_equal(ENTRY_GENERATION(atomic_load(&entry.word)),
			 ENTRY_GENERATION(atomic_load(&first.word)));
	assert_int_equal(entry.socket_id, first.socket_id);
	assert_int_not_equal(entry.scanned_gen,
			     ENTRY_GENERATION(atomic_load(&entry.word)));
	assert_int_equal(fd_table_entry(FD)->published, 0);
	assert_false(notice_was_eof_of(FD));
}

static _Atomic bool is_over;

static void *never_more_closed(void *argument)
{
	(void)argument;
	while (!atomic_load(&is_over)) {
		uint64_t opened, closed;

		fd_table_count_sockets(&opened, &closed);
		assert_true(closed <= opened);
	}
	return NULL;
}

/* Of four numbers all are one socket's, or nobody's; each is opened only by the thread
 * whose it is. */
static void *open_copy_close(void *argument)
{
	int fd = FD + 8 * (int)(uintptr_t)argument;

	for (int i = 0; i < 50000; i++) {
		open_one(fd);
		fd_table_copy(fd, fd + 1);
		if (i % 2)
			notice_eof(fd, SL_CALL_read, 0, VERDICT_END_OF_STREAM);
		fd_table_forget(fd, NULL);
		fd_table_copy(fd + 1, fd + 2);
		fd_table_forget(fd + 1, NULL);
		fd_table_forget(fd + 2, NULL);
	}
	return NULL;
}

static void never_are_more_closed_than_opened(void **state)
{
	pthread_t threads[4], reader;
	uint64_t opened, closed;

	(void)state;
	atomic_store(&is_over, false);
	pthread_create(&reader, NULL, never_more_closed, NULL);
	for (uintptr_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, open_copy_close, (void *)i);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	atomic_store(&is_over, true);
	pthread_join(reader, NULL);
	fd_table_count_sockets(&opened, &closed);
	assert_int_equal(opened, 200000);
	assert_int_equal(closed, 200000);
}

/* The kernel said that the peer is there: what was told before it was asked goes. */
static void a_notice_is_withdrawn_if_it_was_before_the_answer(void **state)
{
	struct fd_entry entry;

	(void)state;
	fd_table_remember(FD, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, ENTRY_CONNECTED,
			  NULL);
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	assert_true(fd_table_read(FD, &entry));
	assert_false(notice_withdraw(&entry, 1)); /* asked long before */
	assert_true(notice_was_eof_of(FD));
	assert_true(notice_withdraw(&entry, UINT64_MAX));
	assert_false(notice_was_eof_of(FD));
	assert_false(notice_withdraw(&entry, UINT64_MAX));
	fd_table_forget(FD, NULL);
}

/* A file, most likely: it is nobody's socket until a scan has asked. */
static void what_was_opened_unseen_is_counted_once_it_is_a_socket(void **state)
{
	const uint64_t opened = atomic_load(&fd_table_counts.opened);
	const uint64_t closed = atomic_load(&fd_table_counts.closed);
	struct fd_entry entry;

	(void)state;
	fd_table_adopt_unseen(FD, false);
	notice_eof(FD, SL_CALL_read, 0, VERDICT_END_OF_STREAM);
	fd_table_copy(FD, COPY(0));
	assert_int_equal(atomic_load(&fd_table_counts.opened), opened);
	assert_true(fd_table_read(FD, &entry));
	assert_true(fd_table_is_tcp(FD, ENTRY_GENERATION(atomic_load(&entry.word)), 0));
	assert_int_equal(atomic_load(&fd_table_counts.opened), opened + 1);
	assert_true(fd_table_read(COPY(0), &entry));
	assert_false(atomic_load(&entry.word) & (ENTRY_NOT_TCP | ENTRY_UNSEEN));
	fd_table_forget(FD, NULL);
	assert_int_equal(atomic_load(&fd_table_counts.closed), closed);
	fd_table_forget(COPY(0), NULL);
	assert_int_equal(atomic_load(&fd_table_counts.closed), closed + 1);
	fd_table_adopt_unseen(FD, false);
	fd_table_forget(FD, NULL);
	assert_int_equal(atomic_load(&fd_table_counts.closed), closed + 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_notice_is_withdrawn_if_it_was_before_the_answer),
		cmocka_unit_test(what_was_opened_unseen_is_counted_once_it_is_a_socket),
		T(any_number_of_duplicated_sockets_share_what_is_known),
		T(a_close_that_failed_was_not_the_last),
		T(a_record_that_nobody_holds_is_used_again),
		T(a_record_with_a_peer_that_has_gone_waits_for_the_next_scan),
		T(a_dissolved_connection_was_told_nothing),
		T(numbers_come_round_without_a_false_answer),
		T(never_are_more_closed_than_opened),
	};

	guard_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
