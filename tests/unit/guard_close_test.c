/* Files of ours whose number may have become another file's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/guard.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static long open_null(struct stat *is)
{
	long fd = guard_open(AT_FDCWD, "/dev/null", O_RDONLY, 0, is);

	assert_in_range(fd, 200, 1000000);
	return fd;
}

static void a_file_is_closed_while_it_is_ours(void **state)
{
	struct stat is;
	long fd = open_null(&is);

	(void)state;
	assert_int_equal(fcntl((int)fd, F_GETFD), FD_CLOEXEC);
	assert_true(guard_close(fd, &is));
	assert_int_equal(fcntl((int)fd, F_GETFD), -1);
}

static void another_file_at_its_number_stays_open(void **state)
{
	struct stat is;
	long fd = open_null(&is);
	int other = open("/dev/zero", O_RDONLY);

	(void)state;
	assert_int_equal(dup2(other, (int)fd), fd);
	assert_false(guard_close(fd, &is));
	assert_int_not_equal(fcntl((int)fd, F_GETFD), -1);
	close(other);
	close((int)fd);
	assert_false(guard_close(fd, &is));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_is_closed_while_it_is_ours),
		cmocka_unit_test(another_file_at_its_number_stays_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
