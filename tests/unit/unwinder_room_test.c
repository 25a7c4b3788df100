/* libunwind copies the accessors it was built with, which may be more than ours. */
#include "unwind/unwind_library.h"
#include "unwind/unwinder.h"

#include <libunwind.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Up to the one that resumes: those of names and of addresses' bits are not asked for. */
#define N_KNOWN (offsetof(unw_accessors_t, resume) / sizeof(void *) + 1)
#define N_NEWER 16

static void *copied[N_NEWER];

/* As a newer one does. */
static unw_addr_space_t create(unw_accessors_t *given, int byte_order)
{
	(void)byte_order;
	memcpy(copied, given, sizeof(copied));
	return NULL;
}

void *__real_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name);
void *__wrap_dlsym(void *handle, const char *name)
{
	if (strstr(name, "create_addr_space"))
		return (void *)create;
	return __real_dlsym(handle, name);
}

static void a_newer_libunwind_finds_no_accessor_that_we_do_not_know(void **state)
{
	(void)state;
	assert_true(unwind_library_load());
	unwinder_allocate();
	for (size_t i = 0; i < N_NEWER; i++)
		assert_int_equal(copied[i] != NULL, i < N_KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_newer_libunwind_finds_no_accessor_that_we_do_not_know),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
