/* The table of descriptors: one life an entry, and what many threads do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "track/notices.h"
#include "track/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#define FD       700 /* no descriptor of this program's: the table asks nobody */
#define N_ROUNDS 20000

static int begin(void **state)
{
	(void)state;
	alarm(180);
	fd_table_forget_range(0, ~0U);
	atomic_store(&fd_table_counts.opened, 0);
	atomic_store(&fd_table_counts.closed, 0);
	return 0;
}

static void open_one(int fd)
{
	fd_table_remember(fd, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 5, ENTRY_CONNECTED,
			  NULL);
}

static void remembers_and_forgets(void **state)
{
	struct fd_entry entry;

	(void)state;
	assert_false(fd_table_knows(FD));
	open_one(FD);
	assert_true(fd_table_knows(FD));
	assert_true(fd_table_read(FD, &entry));
	assert_int_equal(entry.call, SL_CALL_accept);
	assert_int_equal(atomic_load(&entry.origin), 5);
	assert_true(fd_table_forget(FD, NULL));
	assert_false(fd_table_knows(FD));
	assert_false(fd_table_forget(FD, NULL));
	assert_int_equal(atomic_load(&fd_table_counts.opened), 1);
	assert_int_equal(atomic_load(&fd_table_counts.closed), 1);
}

static void gives_each_life_a_generation(void **state)
{
	struct fd_entry first, second;

	(void)state;
	open_one(FD);
	fd_table_read(FD, &first);
	fd_table_forget(FD, NULL);
	open_one(FD);
	fd_table_read(FD, &second);
	assert_int_not_equal(ENTRY_GENERATION(atomic_load(&first.word)),
			     ENTRY_GENERATION(atomic_load(&second.word)));
	/* Who saw the first life cannot end the second. */
	assert_false(fd_table_forget_stale(FD, atomic_load(&first.word)));
	assert_true(fd_table_knows(FD));
}

static void numbers_out_of_range_are_missed_not_written(void **state)
{
	uint64_t before = atomic_load(&fd_table_counts.missed);

	(void)state;
	fd_table_remember(-1, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, 0, NULL);
	fd_table_remember(FD_TABLE_ENTRIES * FD_TABLE_CHUNKS, SL_CALL_accept,
			  SL_ORIGIN_KIND_NONE, 0, 0, NULL);
	assert_int_equal(atomic_load(&fd_table_counts.missed), before + 2);
	assert_false(fd_table_knows(-1));
	open_one(FD_TABLE_ENTRIES * FD_TABLE_CHUNKS - 1);
	assert_true(fd_table_knows(FD_TABLE_ENTRIES * FD_TABLE_CHUNKS - 1));
}

static void a_range_forgets_what_lies_in_it_and_nothing_else(void **state)
{
	(void)state;
	for (int fd = 100; fd < 1200; fd++)
		open_one(fd);
	assert_true(fd_table_knows_any(300, 5000));
	fd_table_forget_range(300, 999);
	assert_true(fd_table_knows(299));
	assert_false(fd_table_knows(300));
	assert_false(fd_table_knows(999));
	assert_true(fd_table_knows(1000));
	assert_false(fd_table_knows_any(300, 999));
}

static void a_duplicate_knows_what_its_source_was_told(void **state)
{
	struct fd_entry entry;
	struct eof_notice notice;

	(void)state;
	open_one(FD);
	notice_eof(FD, SL_CALL_read, 9, VERDICT_END_OF_STREAM);
	fd_table_copy(FD, FD + 1);
	fd_table_forget(FD, NULL);
	assert_true(fd_table_read(FD + 1, &entry));
	notice_read(&entry, &notice);
	assert_true(notice.eof_ns > 0);
	assert_int_equal(notice.eof_call, SL_CALL_read);
	assert_int_equal(notice.eof_origin, 9);
}

static void what_one_duplicate_is_told_the_other_knows(void **state)
{
	struct fd_entry entry;
	struct eof_notice notice;

	(void)state;
	open_one(FD);
	fd_table_copy(FD, FD + 1);
	notice_shutdown(FD + 1, 2 /* SHUT_RDWR */, 0);
	fd_table_forget(FD + 1, NULL);
	fd_table_read(FD, &entry);
	notice_read(&entry, &notice);
	assert_int_equal(notice.shut_how, 3);
	assert_true(socket_facts(socket_of(&entry), entry.socket_id) & SOCKET_ONE_CLOSED);
}

static void a_socket_is_closed_with_its_last_descriptor(void **state)
{
	(void)state;
	open_one(FD);
	fd_table_copy(FD, FD + 1);
	fd_table_copy(FD, FD + 2);
	fd_table_forget(FD, NULL);
	fd_table_forget(FD + 1, NULL);
	assert_int_equal(atomic_load(&fd_table_counts.closed), 0);
	fd_table_forget(FD + 2, NULL);
	assert_int_equal(atomic_load(&fd_table_counts.closed), 1);
	assert_int_equal(atomic_load(&fd_table_counts.opened), 1);
}

static void a_call_that_failed_gives_the_row_back(void **state)
{
	struct fd_entry was, now;

	(void)state;
	open_one(FD);
	fd_table_forget(FD, &was);
	fd_table_restore(FD, &was);
	assert_true(fd_table_read(FD, &now));
	assert_true(atomic_load(&now.word) == atomic_load(&was.word));
	assert_int_equal(atomic_load(&fd_table_counts.closed), 0);
}

static void told_in_one_life_is_not_told_in_the_next(void **state)
{
	(void)state;
	open_one(FD);
	notice_eof(FD, SL_CALL_recv, 0, VERDICT_END_OF_STREAM);
	assert_true(notice_was_eof_of(FD));
	fd_table_forget(FD, NULL);
	open_one(FD);
	assert_false(notice_was_eof_of(FD));
}

static void told_before_a_fork_is_not_told_in_the_child(void **state)
{
	struct fd_entry entry;
	struct eof_notice notice;

	(void)state;
	open_one(FD);
	notice_eof(FD, SL_CALL_recv, 0, VERDICT_END_OF_STREAM);
	fd_table_fork_child();
	assert_false(notice_was_eof_of(FD));
	fd_table_read(FD, &entry);
	notice_read(&entry, &notice);
	assert_int_equal(notice.eof_ns, 0);
	assert_int_not_equal(entry.fork_depth, fork_depth);
}

static void keeps_the_peer_that_accept_gave(void **state)
{
	struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(4711)};
	struct fd_entry entry;

	(void)state;
	inet_pton(AF_INET, "127.0.0.9", &peer.sin_addr);
	fd_table_remember(FD, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, 0,
			  (struct sockaddr *)&peer);
	fd_table_read(FD, &entry);
	assert_int_equal(entry.family, AF_INET);
	assert_int_equal(entry.peer_port, 4711);
	assert_memory_equal(entry.peer, &peer.sin_addr, 4);
}

/* Copies FD whenever the two that share the barrier have met. */
static pthread_barrier_t barrier;

static void *copy_each_round(void *to)
{
	for (int round = 0; round < N_ROUNDS; round++) {
		pthread_barrier_wait(&barrier);
		fd_table_copy(FD, (int)(intptr_t)to);
		pthread_barrier_wait(&barrier);
	}
	return NULL;
}

static uint32_t n_holders(const struct fd_entry *entry)
{
	return (uint32_t)atomic_load(&socket_of(entry)->holders);
}

static void first_copies_at_once_are_of_one_socket(void **state)
{
	pthread_t thread;
	struct fd_entry entry;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, copy_each_round, (void *)(intptr_t)(FD + 1));
	for (uint64_t round = 0; round < N_ROUNDS; round++) {
		open_one(FD);
		pthread_barrier_wait(&barrier);
		fd_table_copy(FD, FD + 2);
		pthread_barrier_wait(&barrier);
		assert_true(fd_table_read(FD, &entry));
		assert_int_equal(n_holders(&entry), 3);
		fd_table_forget(FD, NULL);
		fd_table_forget(FD + 1, NULL);
		assert_int_equal(atomic_load(&fd_table_counts.closed), round);
		fd_table_forget(FD + 2, NULL);
		assert_int_equal(atomic_load(&fd_table_counts.closed), round + 1);
		assert_int_equal(n_holders(&entry), 0);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
}

static void a_number_that_dies_while_it_is_copied_stays_dead(void **state)
{
	pthread_t thread;

	(void)state;
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&thread, NULL, copy_each_round, (void *)(intptr_t)(FD + 1));
	for (uint64_t round = 0; round < N_ROUNDS; round++) {
		open_one(FD);
		pthread_barrier_wait(&barrier);
		fd_table_forget(FD, NULL);
		pthread_barrier_wait(&barrier);
		assert_false(fd_table_knows(FD));
		fd_table_forget(FD + 1, NULL);
		assert_int_equal(atomic_load(&fd_table_counts.closed), round + 1);
	}
	pthread_join(thread, NULL);
	pthread_barrier_destroy(&barrier);
}

/* Threads that open, copy and close the same few numbers, as a program with a race does.
 */
static void *storm(void *argument)
{
	unsigned seed = (unsigned)(uintptr_t)argument;

	for (int i = 0; i < 50000; i++) {
		int fd;

		seed = seed * 1103515245 + 12345;
		fd = FD + (int)(seed >> 16 & 7);
		switch (seed >> 20 & 3) {
		case 0:
			open_one(fd);
			break;
		case 1:
			fd_table_copy(fd, FD + (int)(seed >> 24 & 7));
			break;
		case 2:
			notice_eof(fd, SL_CALL_read, 0, VERDICT_END_OF_STREAM);
			break;
		default:
			fd_table_forget(fd, NULL);
		}
	}
	return NULL;
}

static void survives_eight_threads_on_the_same_rows(void **state)
{
	pthread_t threads[8];
	struct fd_entry entry;

	(void)state;
	for (uintptr_t i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, storm, (void *)(i + 1));
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	fd_table_forget_range(0, ~0U);
	for (int fd = FD; fd < FD + 8; fd++)
		assert_false(fd_table_read(fd, &entry));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		T(remembers_and_forgets),
		T(gives_each_life_a_generation),
		T(numbers_out_of_range_are_missed_not_written),
		T(a_range_forgets_what_lies_in_it_and_nothing_else),
		T(a_duplicate_knows_what_its_source_was_told),
		T(what_one_duplicate_is_told_the_other_knows),
		T(a_socket_is_closed_with_its_last_descriptor),
		T(a_call_that_failed_gives_the_row_back),
		T(told_in_one_life_is_not_told_in_the_next),
		T(told_before_a_fork_is_not_told_in_the_child),
		T(keeps_the_peer_that_accept_gave),
		T(first_copies_at_once_are_of_one_socket),
		T(a_number_that_dies_while_it_is_copied_stays_dead),
		T(survives_eight_threads_on_the_same_rows),
	};
	guard_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
