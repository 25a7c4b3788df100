/* The loader's locks, taken by trying, beside another thread that has them. */
#include "base/guard.h"
#include "unwind/loader.h"

#include "../lib/sitter.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static bool is_free(void)
{
	bool is = loader_take();

	if (is)
		loader_give_back();
	return is;
}

static bool is_free_to_load(void)
{
	bool is = loader_take_to_load();

	if (is)
		loader_give_back_loaded();
	return is;
}

static void tells_while_another_thread_walks_the_list(void **state)
{
	(void)state;
	assert_true(is_free());
	assert_true(is_free_to_load());
	pthread_t thread = begin_to_sit();
	assert_false(is_free());
	assert_false(is_free_to_load());
	let_go(thread);
	assert_true(is_free());
	assert_true(is_free_to_load());
}

static void *asks(void *are_free)
{
	((bool *)are_free)[0] = is_free();
	((bool *)are_free)[1] = is_free_to_load();
	return NULL;
}

static void keeps_others_out_until_it_is_given_back(void **state)
{
	bool are_free[2];
	pthread_t thread;

	(void)state;
	for (int is_taken = 1; is_taken >= 0; is_taken--) {
		if (is_taken)
			assert_true(loader_take());
		assert_int_equal(pthread_create(&thread, NULL, asks, are_free), 0);
		assert_int_equal(pthread_join(thread, NULL), 0);
		if (is_taken)
			loader_give_back();
		assert_int_equal(are_free[0], !is_taken);
		assert_int_equal(are_free[1], !is_taken);
	}
}

static int ask(struct dl_phdr_info *info, size_t bytes, void *was_free)
{
	(void)info, (void)bytes;
	*(bool *)was_free = is_free();
	return 1;
}

static void is_not_kept_out_by_its_own_walk(void **state)
{
	bool was_free = false;

	(void)state;
	dl_iterate_phdr(ask, &was_free);
	assert_true(was_free);
	assert_true(loader_take());
	was_free = false;
	dl_iterate_phdr(ask, &was_free);
	loader_give_back();
	assert_true(was_free);
}

static void stays_out_in_a_child_whose_parent_was_inside(void **state)
{
	pthread_t thread = begin_to_sit();
	int status = -1;
	pid_t pid = fork();

	(void)state;
	if (!pid)
		_exit(loader_take());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	let_go(thread);
	assert_int_equal(status, 0);
}

static _Atomic uint32_t walker;
static _Atomic bool may_leave;

static int stay(struct dl_phdr_info *info, size_t bytes, void *nothing)
{
	(void)info, (void)bytes, (void)nothing;
	walker = (uint32_t)gettid();
	while (!may_leave)
		usleep(1000);
	return 1;
}

static void *walk(void *nothing)
{
	dl_iterate_phdr(stay, NULL);
	return nothing;
}

static void is_freed_in_a_child_of_what_the_helper_walked(void **state)
{
	pthread_t thread;
	int status = -1;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, walk, NULL), 0);
	while (!walker)
		usleep(1000);
	pid_t pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, NULL);
	if (!pid) {
		alarm(30);
		loader_fork_child(walker);
		_exit(is_free() && dlopen("libm.so.6", RTLD_NOW) ? 7 : 8);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	may_leave = true;
	pthread_join(thread, NULL);
	assert_int_equal(status, 7 << 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_while_another_thread_walks_the_list),
		cmocka_unit_test(keeps_others_out_until_it_is_given_back),
		cmocka_unit_test(is_not_kept_out_by_its_own_walk),
		cmocka_unit_test(stays_out_in_a_child_whose_parent_was_inside),
		cmocka_unit_test(is_freed_in_a_child_of_what_the_helper_walked),
	};

	alarm(180);
	guard_start();
	loader_start();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
