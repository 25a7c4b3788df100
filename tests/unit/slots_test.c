/* The lowest free slot is taken, by one at a time, and what was given is taken again. */
#include "base/slots.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#define N_WORDS   3
#define N_SLOTS   (N_WORDS * SLOTS_IN_WORD)
#define N_THREADS 4
#define N_ROUNDS  20000
#define N_AT_ONCE 40 /* by a thread: all together want some that others have */

static _Atomic uint64_t taken[N_WORDS];
static atomic_flag is_owned[N_SLOTS];
static _Atomic unsigned highest, n_shared, n_refused;

static void the_lowest_is_taken(void **state)
{
	(void)state;
	assert_int_equal(0, slots_top(taken, N_WORDS));
	for (int i = 0; i < N_SLOTS; i++) {
		assert_int_equal(i, slots_take(taken, N_WORDS));
		assert_int_equal(i + 1, slots_top(taken, N_WORDS));
	}
	assert_int_equal(-1, slots_take(taken, N_WORDS));
	slots_give(taken, 130);
	slots_give(taken, 64);
	slots_give(taken, 63);
	assert_int_equal(63, slots_take(taken, N_WORDS));
	assert_int_equal(64, slots_take(taken, N_WORDS));
	assert_int_equal(130, slots_take(taken, N_WORDS));
	for (unsigned i = N_SLOTS; i-- > 65;)
		slots_give(taken, i);
	assert_int_equal(65, slots_top(taken, N_WORDS));
	slots_give_all(taken, N_WORDS);
	assert_int_equal(0, slots_top(taken, N_WORDS));
}

static void note_highest(unsigned slot)
{
	unsigned was = atomic_load(&highest);

	while (slot > was && !atomic_compare_exchange_weak(&highest, &was, slot))
		;
}

static void *take_and_give(void *unused)
{
	int mine[N_AT_ONCE];

	for (unsigned round = 0; round < N_ROUNDS; round++) {
		unsigned n = round % N_AT_ONCE + 1;

		for (unsigned i = 0; i < n; i++) {
			mine[i] = slots_take(taken, N_WORDS);
			if (mine[i] < 0) {
				atomic_fetch_add(&n_refused, 1);
				continue;
			}
			note_highest((unsigned)mine[i]);
			if (atomic_flag_test_and_set(&is_owned[mine[i]]))
				atomic_fetch_add(&n_shared, 1);
		}
		for (unsigned i = 0; i < n; i++) {
			if (mine[i] < 0)
				continue;
			atomic_flag_clear(&is_owned[mine[i]]);
			slots_give(taken, (unsigned)mine[i]);
		}
	}
	return unused;
}

static void a_slot_has_one_owner_and_none_is_lost(void **state)
{
	pthread_t threads[N_THREADS];

	(void)state;
	for (int i = 0; i < N_THREADS; i++)
		assert_int_equal(0,
				 pthread_create(&threads[i], NULL, take_and_give, NULL));
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(0, n_shared);
	assert_int_equal(0, n_refused);
	assert_true(highest < N_THREADS * N_AT_ONCE);
	assert_int_equal(0, slots_top(taken, N_WORDS));
	assert_int_equal(0, slots_take(taken, N_WORDS));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_lowest_is_taken),
		cmocka_unit_test(a_slot_has_one_owner_and_none_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
