/* The public header in a process without the library: it looks once and does nothing. */
#include "sockleak.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static unsigned n_looks;
static char looked_for[64];
static void *answer;

/* The linker binds the header's weak reference to this one (--wrap=dlsym), and nobody
 * else's: the runtime of a sanitizer asks dlsym() for much when it starts. */
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
	(void)handle;
	n_looks++;
	strncpy(looked_for, name, sizeof looked_for - 1);
	return answer;
}

static void does_nothing_without_the_library(void **state)
{
	(void)state;
	errno = 77;
	assert_int_equal(sockleak_check(), 0);
	assert_int_equal(sockleak_mark(), 0);
	assert_int_equal(sockleak_check_since(1, 1000000), 0);
	sockleak_name("a test");
	assert_int_equal(sockleak_expect(0), 0);
	char text[4] = "abc";
	assert_int_equal(sockleak_text(text, sizeof text), 0);
	assert_string_equal(text, "");
	assert_int_equal(sockleak_text(NULL, 0), 0);
	assert_int_equal(errno, 77);
}

static void looks_once_for_what_is_not_there(void **state)
{
	(void)state;
	sockleak_check();
	n_looks = 0;
	for (int i = 0; i < 3; i++) {
		sockleak_check();
		sockleak_mark();
		sockleak_check_since(1, 0);
		sockleak_name(NULL);
		sockleak_expect(0);
	}
	assert_int_equal(n_looks, 0);
}

static void looks_by_the_name_the_library_exports(void **state)
{
	void *found = NULL;

	(void)state;
	n_looks = 0;
	answer = &n_looks;
	assert_ptr_equal(sockleak_look(&found, "sockleak_check"), &n_looks);
	assert_ptr_equal(found, &n_looks);
	assert_string_equal(looked_for, "sockleak_check");
	answer = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(does_nothing_without_the_library),
		cmocka_unit_test(looks_once_for_what_is_not_there),
		cmocka_unit_test(looks_by_the_name_the_library_exports),
	};

	alarm(180);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
