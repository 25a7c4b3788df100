/* What is imported for a scan is seen by whoever ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"
#include "base/probe.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LIFE 17

static struct fd_access table_access;
static int fds[2];

static int open_all(void **state)
{
	(void)state;
	guard_start();
	table_access.pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	return table_access.pidfd < 0 || pipe(fds);
}

static int close_all(void **state)
{
	(void)state;
	return close(table_access.pidfd) || close(fds[0]) || close(fds[1]);
}

static bool is_held;
static int seen_when_asked;

static bool is_so(int fd, uint32_t life)
{
	assert_int_equal(fd, fds[0]);
	assert_int_equal(life, LIFE);
	seen_when_asked = probe_imported_fd;
	return is_held;
}

static void is_seen_until_it_is_returned(void **state)
{
	(void)state;
	is_held = true;
	int imported = probe_import_fd(&table_access, fds[0], is_so, LIFE);
	assert_true(imported > fds[1]);
	assert_int_equal(seen_when_asked, fds[0]);
	assert_int_equal(probe_imported_fd, fds[0]);
	probe_release_fd(&table_access, imported);
	assert_int_equal(probe_imported_fd, -1);
}

/* Who ends it forgets it first and then looks who imported it: one of the two sees. */
static void is_not_borrowed_once_it_was_forgotten(void **state)
{
	(void)state;
	is_held = false;
	assert_int_equal(probe_import_fd(&table_access, fds[0], is_so, LIFE), -EBADF);
	assert_int_equal(seen_when_asked, fds[0]);
	assert_int_equal(probe_imported_fd, -1);
}

static void is_not_borrowed_once_it_was_closed(void **state)
{
	(void)state;
	int closed = dup(fds[0]);
	close(closed);
	assert_int_equal(probe_import_fd(&table_access, closed, NULL, 0), -EBADF);
	assert_int_equal(probe_imported_fd, -1);
}

static void nobody_waits_for_what_is_reached_directly(void **state)
{
	struct fd_access directly = {-1};

	(void)state;
	assert_int_equal(probe_import_fd(&directly, fds[0], NULL, 0), fds[0]);
	assert_int_equal(probe_imported_fd, -1);
	probe_release_fd(&directly, fds[0]);
	assert_int_equal(write(fds[1], "", 1), 1); /* it was not closed */
}

static void *awaits(void *is_over)
{
	probe_await_release((unsigned)fds[0], (unsigned)fds[0]);
	atomic_store((_Atomic bool *)is_over, true);
	return NULL;
}

static void is_awaited_by_who_ends_it_and_by_no_other(void **state)
{
	_Atomic bool is_over = false;
	pthread_t thread;

	(void)state;
	int imported = probe_import_fd(&table_access, fds[0], NULL, 0);
	probe_await_release((unsigned)fds[1], ~0U);
	assert_int_equal(pthread_create(&thread, NULL, awaits, &is_over), 0);
	usleep(10000);
	assert_false(is_over);
	probe_release_fd(&table_access, imported);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(is_over);
}

static void is_awaited_in_vain_but_once(void **state)
{
	(void)state;
	int imported = probe_import_fd(&table_access, fds[0], NULL, 0);
	probe_await_release(0, ~0U);
	assert_int_equal(probe_imported_fd, -1);
	probe_release_fd(&table_access, imported);
}

static void a_child_has_borrowed_nothing(void **state)
{
	(void)state;
	int imported = probe_import_fd(&table_access, fds[0], NULL, 0);
	probe_fork_child();
	assert_int_equal(probe_imported_fd, -1);
	probe_release_fd(&table_access, imported);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(is_seen_until_it_is_returned),
		cmocka_unit_test(is_not_borrowed_once_it_was_forgotten),
		cmocka_unit_test(is_not_borrowed_once_it_was_closed),
		cmocka_unit_test(nobody_waits_for_what_is_reached_directly),
		cmocka_unit_test(is_awaited_by_who_ends_it_and_by_no_other),
		cmocka_unit_test(is_awaited_in_vain_but_once),
		cmocka_unit_test(a_child_has_borrowed_nothing),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
