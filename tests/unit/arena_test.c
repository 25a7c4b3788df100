/* Memory that is not the host's. */
#include "base/arena.h"

#include "../lib/left_out.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define N_THREADS 8
#define N_PIECES  2000

static uint8_t *taken[N_THREADS][N_PIECES];

static size_t size_of_piece(unsigned i)
{
	return 1 + i * 37 % 700;
}

static bool is_all(const uint8_t *at, size_t bytes, uint8_t value)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != value)
			return false;
	return true;
}

/* Each thread writes its number into what it gets, which must have been zero. */
static void *take_a_lot(void *argument)
{
	uintptr_t thread = (uintptr_t)argument, n_dirty = 0;

	for (unsigned i = 0; i < N_PIECES; i++) {
		uint8_t *at = arena_take(size_of_piece(i));
		taken[thread][i] = at;
		n_dirty += !at || (uintptr_t)at % 16 || !is_all(at, size_of_piece(i), 0);
		if (at)
			memset(at, (int)thread + 1, size_of_piece(i));
	}
	return (void *)n_dirty;
}

static void gives_every_thread_zeroed_memory_of_its_own(void **state)
{
	(void)state;
	pthread_t threads[N_THREADS];
	void *n_dirty;

	for (uintptr_t i = 0; i < N_THREADS; i++)
		pthread_create(&threads[i], NULL, take_a_lot, (void *)i);
	for (unsigned i = 0; i < N_THREADS; i++) {
		pthread_join(threads[i], &n_dirty);
		assert_null(n_dirty);
	}
	for (unsigned thread = 0; thread < N_THREADS; thread++)
		for (unsigned i = 0; i < N_PIECES; i++)
			assert_true(is_all(taken[thread][i], size_of_piece(i),
					   (uint8_t)(thread + 1)));
}

static void gives_large_pieces_too(void **state)
{
	(void)state;
	uint8_t *at = arena_take(5u << 20);

	assert_non_null(at);
	assert_true(is_all(at, 5u << 20, 0));
	at = arena_map(1u << 20);
	assert_non_null(at);
	at[(1u << 20) - 1] = 1;
	arena_unmap(at, 1u << 20);
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
/* In a child: what it took before stays its own. */
static int without_memory(void)
{
	struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_AS, &none))
		return 1;
	errno = EXDEV;
	for (unsigned i = 0; i < 100000; i++)
		if (!arena_take(1000))
			return arena_map(4096) || errno != EXDEV ? 2 : 0;
	return 3;
}

static void says_so_when_there_is_no_more(void **state)
{
	(void)state;
	int status = 0;
	pid_t child = fork();

	if (child == 0)
		_exit(without_memory());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}
#endif

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gives_every_thread_zeroed_memory_of_its_own),
		cmocka_unit_test(gives_large_pieces_too),
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
		cmocka_unit_test(says_so_when_there_is_no_more),
#else
		LEFT_OUT(says_so_when_there_is_no_more,
			 "its runtime needs address space"),
#endif
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
