/* What is read from the objects' own tables is what dlsym() finds. */
#include "base/imports.h"
#include "common/calls.h"

#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NAME(name, need) {#name, NULL, 0, false},
static struct imports_name names[] = {CALLS(NAME)};
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static void finds_what_dlsym_finds(void **state)
{
	unsigned n_found = 0;

	(void)state;
	imports_read();
	imports_find(names, N_NAMES);
	for (size_t i = 0; i < N_NAMES; i++) {
		if (!names[i].found)
			continue;
		n_found++;
		if (names[i].found != dlsym(RTLD_NEXT, names[i].name))
			fail_msg("%s", names[i].name);
	}
	/* Whose older definition stands before it in the same table. */
	assert_non_null(names[SL_CALL_pthread_cancel - 1].found);
	/* One or two that the C library picks by the machine may be left to dlsym(). */
	assert_true(n_found + 2 >= N_NAMES);
}

/* A function of the C library that is picked by the machine.  memcpy is everywhere, but
 * the runtime of a sanitizer has a plain one of its own. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define PICKED "rawmemchr"
#else
#define PICKED "memcpy"
#endif

static void leaves_what_is_in_doubt_to_dlsym(void **state)
{
	/* The second is nobody's. */
	struct imports_name some[] = {{PICKED, NULL, 0, false},
				      {"objects_test_nobody_has_this", NULL, 0, false}};

	(void)state;
	imports_read();
	imports_find(some, 2);
	assert_null(some[0].found);
	assert_null(some[1].found);
}

/* What the program has under that name is not the C library's. */
unsigned long gnu_dev_makedev(unsigned a, unsigned b);

unsigned long gnu_dev_makedev(unsigned a, unsigned b)
{
	return a + b;
}

static void finds_the_c_librarys_own(void **state)
{
	unsigned long (*found)(unsigned, unsigned);

	(void)state;
	imports_read();
	found = (unsigned long (*)(unsigned, unsigned))imports_of_libc("gnu_dev_makedev");
	assert_non_null(found);
	assert_int_equal(found(1, 2), 0x102);
	assert_null(imports_of_libc("objects_test_nobody_has_this"));
	assert_null(imports_of_libc(PICKED));
}

static void knows_its_own_object(void **state)
{
	(void)state;
	assert_true(imports_is_ours(names));
	assert_false(imports_is_ours((const void *)&printf));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_dlsym_finds),
		cmocka_unit_test(leaves_what_is_in_doubt_to_dlsym),
		cmocka_unit_test(finds_the_c_librarys_own),
		cmocka_unit_test(knows_its_own_object),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
