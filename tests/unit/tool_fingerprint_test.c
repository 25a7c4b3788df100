/* What a place is known by again after a rebuild. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "findings/fingerprint.h"

#define FRAME(called, path, number, at)                                                  \
	{                                                                                \
		.function = (called), .file = (path), .line = (number),                  \
		.module = "/srv/app", .offset = (at)                                     \
	}

static struct findings_place place(const char *id, const struct text_frame *frames,
				   unsigned n)
{
	struct findings_place made = {.kind = SL_KIND_CLOSE_WAIT,
				      .call = SL_CALL_accept,
				      .origin = frames,
				      .n_origin = n};

	strcpy(made.id, id);
	return made;
}

static void fingerprint(struct findings_place *places, size_t n)
{
	struct findings findings = {.leaks = places, .n_leaks = n};

	fingerprint_places(&findings);
}

static void lines_and_offsets_do_not_count(void **state)
{
	const struct text_frame before[] = {FRAME("take", "src/a.c", 10, 0x100),
					    FRAME("main", "src/a.c", 30, 0x200)};
	const struct text_frame after[] = {FRAME("take", "src/a.c", 12, 0x108),
					   FRAME("main", "src/a.c", 33, 0x20c)};
	struct findings_place old = place("1", before, 2), new = place("2", after, 2);

	(void)state;
	fingerprint(&old, 1);
	fingerprint(&new, 1);
	assert_string_equal(old.fingerprint, new.fingerprint);
}

static void functions_files_and_kinds_count(void **state)
{
	const struct text_frame frames[][1] = {{FRAME("take", "src/a.c", 10, 0)},
					       {FRAME("give", "src/a.c", 10, 0)},
					       {FRAME("take", "src/b.c", 10, 0)}};
	struct findings_place places[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		places[i] = place("1", frames[i % 3], 1);
	places[3].kind = SL_KIND_DEAD;
	fingerprint(places, 4);
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < i; j++)
			assert_string_not_equal(places[i].fingerprint,
						places[j].fingerprint);
}

static void places_of_one_function_are_numbered_by_their_lines(void **state)
{
	const struct text_frame late[] = {FRAME("take", "src/a.c", 20, 0x10)};
	const struct text_frame early[] = {FRAME("take", "src/a.c", 10, 0x20)};
	struct findings_place places[] = {place("1", late, 1), place("2", early, 1)};

	(void)state;
	fingerprint(places, 2);
	assert_string_equal(strchr(places[0].fingerprint, ':'), ":2");
	assert_string_equal(strchr(places[1].fingerprint, ':'), ":1");
	assert_memory_equal(places[0].fingerprint, places[1].fingerprint, 16);
}

static void libraries_and_the_depth_of_a_recursion_do_not_count(void **state)
{
	const struct text_frame libc = {.function = "__libc_start_main",
					.module = "/usr/lib/x86_64-linux-gnu/libc.so.6"};
	const struct text_frame flat[] = {FRAME("walk", "src/a.c", 10, 0x10)};
	const struct text_frame deep[] = {FRAME("walk", "src/a.c", 11, 0x20),
					  FRAME("walk", "src/a.c", 10, 0x10), libc};
	struct findings_place one = place("1", flat, 1), two = place("2", deep, 3);

	(void)state;
	fingerprint(&one, 1);
	fingerprint(&two, 1);
	assert_string_equal(one.fingerprint, two.fingerprint);
}

static void a_leak_that_was_closed_late_is_another_one(void **state)
{
	const struct text_frame frames[] = {FRAME("take", "src/a.c", 10, 0x10)};
	struct findings_place held = place("1", frames, 1), late = held;
	struct findings findings = {
		.leaks = &held, .n_leaks = 1, .late = &late, .n_late = 1};

	(void)state;
	fingerprint_places(&findings);
	assert_string_not_equal(held.fingerprint, late.fingerprint);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_and_offsets_do_not_count),
		cmocka_unit_test(functions_files_and_kinds_count),
		cmocka_unit_test(places_of_one_function_are_numbered_by_their_lines),
		cmocka_unit_test(libraries_and_the_depth_of_a_recursion_do_not_count),
		cmocka_unit_test(a_leak_that_was_closed_late_is_another_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
