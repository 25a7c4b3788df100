/* Captures while everything else goes on at the same time: handlers that capture,
 * threads, libraries that come and go, forks, and somebody who works. */
#include "base/guard.h"
#include "unwind/origin.h"

#include "../lib/hook.h"
#include "../lib/left_out.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define N_ROUNDS 300
#else
#define N_ROUNDS 3000
#endif
#define N_LOADS 150

/* Somebody works for as long as there is somebody who captures. */
static _Atomic bool is_over;

static void *work(void *nothing)
{
	while (!is_over) {
		origin_work();
		origin_end_sweep();
		usleep(100);
	}
	origin_work();
	return nothing;
}

static pthread_t start_working(void)
{
	pthread_t worker;

	is_over = false;
	assert_int_equal(pthread_create(&worker, NULL, work, NULL), 0);
	return worker;
}

static void stop_working(pthread_t worker)
{
	is_over = true;
	pthread_join(worker, NULL);
	assert_false(origin_has_work());
}

static volatile unsigned n_handled, n_handled_for_nothing;

static void on_timer(int number)
{
	(void)number;
	uint32_t origin = farther(16 + n_handled % 40 * 16);
	n_handled++;
	n_handled_for_nothing += origin == 0;
}

static timer_t new_timer(long us)
{
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	struct itimerspec times = {{0, us * 1000}, {0, us * 1000}};
	timer_t timer;

	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &times, NULL), 0);
	return timer;
}

__attribute__((unused)) static void handlers_that_capture_interrupt_captures(void **state)
{
	(void)state;
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
	sigset_t blocked;
	uint64_t n_lost = origin_lost();

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &blocked, NULL); /* by the unwinding thread */
	pthread_t worker = start_working();
	sigaction(SIGUSR1, &action, NULL);
	pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
	timer_t timer = new_timer(50);
	for (volatile unsigned i = 0; i < 40 * N_ROUNDS; i++) {
		assert_int_not_equal(farther(16 + i % 300 * 16), 0);
		/* Captures are interrupted here, not piled up: the worker keeps pace. */
		while (i % 64 == 0 && origin_has_work())
			sched_yield();
	}
	timer_delete(timer);
	stop_working(worker);
	print_message("# interrupted %u times\n", n_handled);
	assert_true(n_handled > 10);
	assert_int_equal(n_handled_for_nothing, 0);
	assert_true(origin_lost() == n_lost);
}

static void *capture_a_lot(void *argument)
{
	unsigned thread = (unsigned)(uintptr_t)argument;

	for (unsigned i = 0; i < N_ROUNDS; i++)
		farther(16 + (i * 7 + thread) % 200 * 16);
	return NULL;
}

static void *plugin(const char *name)
{
	char path[4096] = "";

	if (readlink("/proc/self/exe", path, sizeof(path) - 64) <= 0)
		return NULL;
	strcpy(strrchr(path, '/') + 1, name);
	return dlopen(path, RTLD_NOW);
}

static void *load_and_unload(void *nothing)
{
	for (unsigned i = 0; i < N_LOADS; i++) {
		void *handle =
			plugin(i % 3 ? "origin_plugin_1.so" : "origin_plugin_2.so");
		uint32_t (*call)(uint32_t(*)(void)) =
			(uint32_t(*)(uint32_t(*)(void)))dlsym(handle, "origin_plugin");
		for (volatile unsigned n = 0; n < 5; n++)
			call(hook);
		dlclose(handle);
	}
	return nothing;
}

static void libraries_come_and_go_meanwhile(void **state)
{
	(void)state;
	pthread_t worker = start_working(), threads[3];

	for (uintptr_t i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, capture_a_lot, (void *)i);
	pthread_create(&threads[2], NULL, load_and_unload, NULL);
	for (unsigned i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	stop_working(worker);
	assert_non_null(origin_backtrace(origin_n_backtraces()));
}

/* What a child's first captures come to. */
static int child_finds(void)
{
	alarm(180);
	guard_adopt_process();
	origin_fork_child();
	for (volatile unsigned i = 0; i < 3; i++) {
		uint32_t origin = farther(5000 + i * 16);
		origin_work();
		if (!origin_backtrace(origin_resolve(origin)))
			return 1;
	}
	return origin_has_work();
}

__attribute__((unused)) static void forks_meanwhile(void **state)
{
	(void)state;
	pthread_t worker = start_working(), thread;
	int status = 0;

	pthread_create(&thread, NULL, capture_a_lot, NULL);
	for (unsigned i = 0; i < 20 && status == 0; i++) {
		farther(9000 + i * 16);
		origin_fork_prepare();
		pid_t child = fork();
		if (child == 0)
			_exit(child_finds());
		origin_fork_parent();
		assert_true(child > 0);
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	pthread_join(thread, NULL);
	stop_working(worker);
	assert_int_equal(status, 0);
}

static int start(void **state)
{
	(void)state;
	alarm(180);
	guard_start();
	guard_has_filter = false;
	origin_start(32, true);
	origin_allocate();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(libraries_come_and_go_meanwhile),
#if !defined                                                                             \
	__SANITIZE_THREAD__ /* it puts signals off, and does not go on after a fork */
		cmocka_unit_test(handlers_that_capture_interrupt_captures),
		cmocka_unit_test(forks_meanwhile),
#else
		LEFT_OUT(handlers_that_capture_interrupt_captures,
			 "its runtime puts signals off"),
		LEFT_OUT(forks_meanwhile, "its runtime does not go on after a fork"),
#endif
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
