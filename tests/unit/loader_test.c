/* Whether another thread walks the loader's list, seen from a thread that does not. */
#include "guard.h"
#include "loader.h"

#include "../lib/sitter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void tells_while_another_thread_walks_the_list(void **state)
{
	(void)state;
	assert_true(loader_is_free());
	pthread_t thread = begin_to_sit();
	assert_false(loader_is_free());
	let_go(thread);
	assert_true(loader_is_free());
}

static int ask(struct dl_phdr_info *info, size_t bytes, void *is_free)
{
	(void)info, (void)bytes;
	*(bool *)is_free = loader_is_free();
	return 1;
}

static void is_not_kept_out_by_its_own_walk(void **state)
{
	bool is_free = false;

	(void)state;
	dl_iterate_phdr(ask, &is_free);
	assert_true(is_free);
}

static void stays_out_in_a_child_whose_parent_was_inside(void **state)
{
	pthread_t thread = begin_to_sit();
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(loader_is_free());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	let_go(thread);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_while_another_thread_walks_the_list),
		cmocka_unit_test(is_not_kept_out_by_its_own_walk),
		cmocka_unit_test(stays_out_in_a_child_whose_parent_was_inside),
	};

	alarm(180);
	guard_start();
	loader_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
