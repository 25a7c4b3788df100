/* The last use of a socket: which note is believed, and whose it is. */
#include "base/clock.h"
#include "base/guard.h"
#include "track/notices.h"
#include "track/uses.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#define FD   600
#define COPY 601

static int begin(void **state)
{
	(void)state;
	alarm(60);
	guard_start();
	clock_start();
	uses_start();
	fork_depth = 0;
	fd_table_forget_range(0, ~0U);
	fd_table_remember(FD, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, ENTRY_CONNECTED,
			  NULL);
	return 0;
}

static struct use use_of(int fd)
{
	struct fd_entry entry;
	struct use use;

	assert_true(fd_table_read(fd, &entry));
	uses_read(fd, &entry, &use);
	return use;
}

static void a_use_is_read_as_it_was(void **state)
{
	(void)state;
	uint64_t before_ns = clock_now_ns();
	uses_note(FD, 517, SL_CALL_recv, false);
	struct use use = use_of(FD);
	assert_in_range(use.ns, before_ns, clock_now_ns());
	assert_int_equal(use.bytes, 517);
	assert_int_equal(use.call, SL_CALL_recv);
	assert_int_equal(use.thread, gettid());
	assert_false(use.is_sent);
	uses_note(FD, UINT64_C(1) << 40, SL_CALL_execveat, true);
	use = use_of(FD);
	assert_int_equal(use.bytes, UINT32_MAX);
	assert_int_equal(use.call, SL_CALL_execveat);
	assert_true(use.is_sent);
}

static void what_is_no_connection_has_none(void **state)
{
	(void)state;
	uses_note(FD + 5, 1, SL_CALL_read, false);
	uses_note(-1, 1, SL_CALL_read, false);
	assert_false(fd_table_knows(FD + 5));
	fd_table_set_bits(FD, ENTRY_NOT_TCP);
	uses_note(FD, 1, SL_CALL_read, false);
	assert_int_equal(use_of(FD).ns, 0);
}

static void what_gets_the_number_next_has_none(void **state)
{
	(void)state;
	uses_note(FD, 1, SL_CALL_read, false);
	fd_table_forget(FD, NULL);
	fd_table_remember(FD, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, ENTRY_CONNECTED,
			  NULL);
	assert_int_equal(use_of(FD).ns, 0);
}

static void duplicates_have_one(void **state)
{
	(void)state;
	uses_note(FD, 1, SL_CALL_read, false);
	fd_table_copy(FD, COPY);
	assert_int_equal(use_of(COPY).bytes, 1);
	uses_note(COPY, 2, SL_CALL_read, false);
	assert_int_equal(use_of(FD).bytes, 2);
	fd_table_forget(COPY, NULL);
	assert_int_equal(use_of(FD).bytes, 2);
}

static void a_record_takes_what_was_known_before(void **state)
{
	(void)state;
	uses_note(FD, 7, SL_CALL_read, false);
	notice_eof(FD, SL_CALL_read, 0, VERDICT_END_OF_STREAM);
	struct fd_entry entry;
	assert_true(fd_table_read(FD, &entry));
	assert_int_not_equal(ENTRY_RECORD(atomic_load(&entry.word)), 0);
	uses_note(FD, 8, SL_CALL_read, false);
	assert_int_equal(use_of(FD).bytes, 8);
	/* Once the number is another's, by the copy of its entry. */
	fd_table_forget(FD, &entry);
	fd_table_remember(FD, SL_CALL_accept, SL_ORIGIN_KIND_NONE, 0, ENTRY_CONNECTED,
			  NULL);
	uses_note(FD, 9, SL_CALL_read, false);
	struct use use;
	uses_read(FD, &entry, &use);
	assert_int_equal(use.bytes, 8);
}

static void what_a_parent_did_is_not_the_childs(void **state)
{
	(void)state;
	uses_note(FD, 1, SL_CALL_read, false);
	fork_depth++;
	assert_int_equal(use_of(FD).ns, 0);
	uses_note(FD, 2, SL_CALL_read, false);
	assert_int_equal(use_of(FD).bytes, 2);
}

/* Of two that are written at once any words may come last. */
static void a_torn_note_is_none(void **state)
{
	const struct use first = {1000, 5, 10, 4711, SL_CALL_read, false};
	const struct use second = {1003, 6, 12, 4712, SL_CALL_send, true};
	struct use_note a, b;

	(void)state;
	use_note_write(&a, &first, 9, 0);
	use_note_write(&b, &second, 9, 0);
	for (unsigned mixed = 0; mixed < 16; mixed++) {
		struct use_note note = {
			mixed & 1 ? a.ns : b.ns, mixed & 2 ? a.size : b.size,
			mixed & 4 ? a.by : b.by, mixed & 8 ? a.origin : b.origin};
		struct use use;
		bool is_read = use_note_read(&note, 9, 0, &use);

		assert_int_equal(is_read, mixed == 0 || mixed == 15);
		assert_true(!is_read || use.ns == (mixed ? 1000 : 1003));
	}
}

static void an_origin_is_settled_unless_another_use_was_noted(void **state)
{
	struct use use = {1000, 5, 10, 4711, SL_CALL_read, false};
	struct use_note note;

	(void)state;
	use_note_write(&note, &use, 9, 0);
	use_note_resolve(&note, &use, 3);
	assert_true(use_note_read(&note, 9, 0, &use));
	assert_int_equal(use.origin, 3);
	use.origin = 7;
	use_note_write(&note, &use, 9, 0);
	use.origin = 3;
	use_note_resolve(&note, &use, 4);
	assert_true(use_note_read(&note, 9, 0, &use));
	assert_int_equal(use.origin, 7);
	assert_false(use_note_read(&note, 8, 0, &use));
	assert_false(use_note_read(&note, 9, 1, &use));
}

#define N_NOTES 100000
static void *note_many(void *nothing)
{
	for (int i = 0; i < N_NOTES; i++)
		uses_note(FD, (uint64_t)i + 1, SL_CALL_read, false);
	return nothing;
}

static void readers_of_a_storm_see_uses_that_were(void **state)
{
	pthread_t threads[3];
	uint32_t tids[3] = {0};
	unsigned n_tids = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, note_many, NULL), 0);
	for (int i = 0; i < N_NOTES; i++) {
		struct use use = use_of(FD);
		unsigned known = 0;

		if (!use.ns)
			continue;
		assert_in_range(use.bytes, 1, N_NOTES);
		assert_int_equal(use.call, SL_CALL_read);
		while (known < n_tids && tids[known] != use.thread)
			known++;
		assert_true(known < 3);
		if (known == n_tids)
			tids[n_tids++] = use.thread;
	}
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	uses_note(FD, 1, SL_CALL_send, true);
	assert_int_equal(use_of(FD).call, SL_CALL_send);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_use_is_read_as_it_was, begin),
		cmocka_unit_test_setup(what_is_no_connection_has_none, begin),
		cmocka_unit_test_setup(what_gets_the_number_next_has_none, begin),
		cmocka_unit_test_setup(duplicates_have_one, begin),
		cmocka_unit_test_setup(a_record_takes_what_was_known_before, begin),
		cmocka_unit_test_setup(what_a_parent_did_is_not_the_childs, begin),
		cmocka_unit_test_setup(a_torn_note_is_none, begin),
		cmocka_unit_test_setup(an_origin_is_settled_unless_another_use_was_noted,
				       begin),
		cmocka_unit_test_setup(readers_of_a_storm_see_uses_that_were, begin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
