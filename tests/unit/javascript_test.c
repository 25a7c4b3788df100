/* Stacks of JavaScript, as V8 writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "languages/javascript.h"

static struct language_frame frames[JAVASCRIPT_MAX_FRAMES];

static void is(unsigned at, const char *function, const char *file, uint32_t line)
{
	const struct language_code *code = language_code(frames[at].identity);

	assert_int_equal(frames[at].language, LANGUAGE_JAVASCRIPT);
	assert_string_equal(code->function, function);
	assert_string_equal(code->file, file);
	assert_int_equal(frames[at].line, line);
}

static void each_form_of_a_frame_is_read(void **state)
{
	(void)state;
	unsigned n = javascript_read(
		"Error: at once (or not)\n"
		"    at Pool.checkout (/srv/app.js:42:13)\n"
		"    at new Client (file:///srv/my app.mjs:3:5)\n"
		"    at async Promise.all (index 0)\n"
		"    at async get (/srv/a.js:7:1)\n"
		"    at /srv/top.js:9:2\n"
		"    at Object.<anonymous> [as listener] (/srv/(odd)/b.js:1:2)\n"
		"    at node:internal/main/run_main_module:28:49\n"
		"    at eval (eval at run (/srv/c.js:5:6), <anonymous>:1:1)\n"
		"    at JSON.parse (<anonymous>)",
		frames);

	assert_int_equal(n, 9);
	is(0, "Pool.checkout", "/srv/app.js", 42);
	is(1, "new Client", "/srv/my app.mjs", 3);
	is(2, "Promise.all", "index 0", 0);
	is(3, "get", "/srv/a.js", 7);
	is(4, "<anonymous>", "/srv/top.js", 9);
	is(5, "Object.<anonymous> [as listener]", "/srv/(odd)/b.js", 1);
	is(6, "<anonymous>", "node:internal/main/run_main_module", 28);
	is(7, "eval", "eval at run (/srv/c.js:5:6), <anonymous>", 1);
	is(8, "JSON.parse", "<anonymous>", 0);
}

static void the_same_code_has_one_identity(void **state)
{
	(void)state;
	assert_int_equal(javascript_read("at f (/a.js:1:2)\nat f (/a.js:3:4)\n"
					 "at f (/b.js:1:2)",
					 frames),
			 3);
	assert_int_equal(frames[0].identity, frames[1].identity);
	assert_int_not_equal(frames[0].identity, frames[2].identity);
}

static void what_is_no_frame_is_passed_by(void **state)
{
	(void)state;
	assert_int_equal(javascript_read("", frames), 0);
	assert_int_equal(javascript_read("\n\nat\n    at \nx at f (/a.js:1:2)\n", frames),
			 0);
	assert_int_equal(javascript_read("at :", frames), 1);
	is(0, "<anonymous>", ":", 0);
	assert_int_equal(javascript_read("at f (/a.js:99999999999999:1)", frames), 1);
	is(0, "f", "/a.js:99999999999999", 1);
}

static void what_is_too_long_is_cut(void **state)
{
	char stack[8192], function[4000], path[4000];

	(void)state;
	memset(function, 'f', sizeof(function));
	memset(path, 'p', sizeof(path));
	snprintf(stack, sizeof(stack), "at %.3000s (/begins/%.3000s:5:6)", function,
		 path);
	assert_int_equal(javascript_read(stack, frames), 1);
	const struct language_code *code = language_code(frames[0].identity);
	assert_int_equal(strlen(code->function), LANGUAGE_FUNCTION_BYTES - 1);
	assert_string_equal(code->function + LANGUAGE_FUNCTION_BYTES - 5, "f...");
	assert_int_equal(strlen(code->file), LANGUAGE_FILE_BYTES - 1);
	assert_memory_equal(code->file, "...p", 4);
	assert_int_equal(frames[0].line, 5);
}

static void no_more_frames_are_kept_than_there_is_room_for(void **state)
{
	char stack[4096] = "";

	(void)state;
	for (unsigned i = 0; i < 2 * JAVASCRIPT_MAX_FRAMES; i++)
		strcat(stack, "at f (/a.js:1:2)\n");
	assert_int_equal(javascript_read(stack, frames), JAVASCRIPT_MAX_FRAMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_form_of_a_frame_is_read),
		cmocka_unit_test(the_same_code_has_one_identity),
		cmocka_unit_test(what_is_no_frame_is_passed_by),
		cmocka_unit_test(what_is_too_long_is_cut),
		cmocka_unit_test(no_more_frames_are_kept_than_there_is_room_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
