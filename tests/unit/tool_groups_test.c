/* The table of grouped sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/groups.h"

#include <stdlib.h>
#include <string.h>

static const struct groups_columns columns = {{"WHO", "WHERE"}, 1};

static void add(struct groups *groups, const char *said, bool is_leak, uint64_t age_ms)
{
	char bytes[64];
	struct text cells = {.at = bytes, .size = sizeof(bytes)};

	text_string(&cells, said);
	groups_add(groups, &cells, is_leak, age_ms > 0, age_ms);
	assert_int_equal(cells.used, 0);
}

/* What is printed must be `expected`. */
static void prints(const char *expected, struct groups *groups,
		   const struct groups *before)
{
	char *text = NULL;
	size_t bytes;
	FILE *file = open_memstream(&text, &bytes);

	groups_merge(groups);
	groups_print(groups, &columns, before, 1, file);
	fclose(file);
	assert_string_equal(text, expected);
	free(text);
}

static void those_of_which_the_same_is_said_are_one_row(void **state)
{
	struct groups groups = {0};

	(void)state;
	add(&groups, "a\tx", false, 5);
	add(&groups, "longer\t", true, 1500);
	add(&groups, "a\tx", false, 7);
	add(&groups, "\xc3\xa9\ty", false, 0);
	prints(" WHO     SOCKETS  LEAKED  OLDEST  WHERE\n"
	       " longer        1       1    1.5s  \n"
	       " a             2       0     7ms  x\n"
	       " \xc3\xa9             1       0       ?  y\n",
	       &groups, NULL);
	groups_free(&groups);
}

static void what_came_and_went_is_told(void **state)
{
	struct groups before = {0}, groups = {0};

	(void)state;
	add(&before, "gone\tx", true, 5);
	add(&before, "same\tx", true, 5);
	groups_merge(&before);
	add(&groups, "same\tx", true, 6);
	add(&groups, "new\tx", false, 6);
	prints(" WHO   SOCKETS  LEAKED  OLDEST  GROWTH  WHERE\n"
	       " same        1       1     6ms       0  x\n"
	       " new         1       0     6ms      +1  x\n"
	       " gone        0       0       -      -1  x\n",
	       &groups, &before);
	groups_free(&before);
	groups_free(&groups);
}

static void nothing_is_no_table(void **state)
{
	struct groups groups = {0};

	(void)state;
	prints("", &groups, NULL);
	prints("", &groups, &groups);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(those_of_which_the_same_is_said_are_one_row),
		cmocka_unit_test(what_came_and_went_is_told),
		cmocka_unit_test(nothing_is_no_table),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
