/* The texts of code objects, and how they are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "languages/codes.h"
#include "languages/python_lines.h"
#include "languages/python_text.h"

static uint64_t print_of(uint32_t number)
{
	struct codes_print print = {{1}};

	codes_mix(&print, &number, sizeof(number));
	return codes_fingerprint(&print);
}

static void a_code_keeps_its_number_and_its_text(void **state)
{
	uint32_t first = codes_add(print_of(1), LANGUAGE_PYTHON, "f", "a.py");
	uint32_t second = codes_add(print_of(2), LANGUAGE_PYTHON, "g", "a.py");

	(void)state;
	assert_int_not_equal(first, second);
	assert_int_equal(codes_add(print_of(1), LANGUAGE_PYTHON, "f", "a.py"), first);
	assert_int_equal(codes_find(print_of(2)), second);
	assert_int_equal(codes_find(print_of(3)), 0);
	assert_string_equal(language_code(first)->function, "f");
	assert_string_equal(language_code(second)->file, "a.py");
	assert_null(language_code(0));
	assert_null(language_code(UINT32_MAX));
}

static void a_line_is_noted_for_one_instruction_of_one_code(void **state)
{
	uint32_t line;

	(void)state;
	codes_note_line(7, 3, 42);
	assert_true(codes_line(7, 3, &line));
	assert_int_equal(line, 42);
	assert_false(codes_line(7, 4, &line));
	assert_false(codes_line(8, 3, &line));
	codes_note_line(7, UINT32_MAX, 1);
	assert_false(codes_line(7, UINT32_MAX, &line));
}

static void bytes_that_differ_anywhere_have_another_fingerprint(void **state)
{
	char bytes[100] = {0};
	struct codes_print print = {{0}};

	(void)state;
	codes_mix(&print, bytes, sizeof(bytes));
	uint64_t same = codes_fingerprint(&print);
	for (size_t n = 0; n <= sizeof(bytes); n++) {
		struct codes_print other = {{0}};
		if (n < sizeof(bytes))
			bytes[n] = 1;
		codes_mix(&other, bytes, n < sizeof(bytes) ? sizeof(bytes) : 99);
		assert_true(codes_fingerprint(&other) != same);
		if (n < sizeof(bytes))
			bytes[n] = 0;
	}
}

static void when_the_table_is_full_no_more_is_known(void **state)
{
	uint32_t n = 10;

	(void)state;
	while (n < 2 * CODES_MAX && codes_add(print_of(n), LANGUAGE_PYTHON, "f", "a.py"))
		n++;
	assert_in_range(n, CODES_MAX - 2, CODES_MAX + 10);
	assert_int_equal(codes_find(print_of(n)), 0);
	assert_int_not_equal(codes_find(print_of(n - 1)), 0);
	assert_int_not_equal(codes_find(print_of(10)), 0);
}

static void a_text_is_cut_at_one_end_between_characters(void **state)
{
	static const uint16_t characters[] = {'a', 0xe9, 0x20ac, 'b', 0xdcff, 'c', 0};
	struct python_text text = {characters, 6, 2, false};
	char to[16];

	(void)state;
	assert_true(python_text_is_sound(&text));
	python_text_copy(&text, false, to, sizeof(to));
	assert_string_equal(to, "a\u00e9\u20acb\xff"
				"c");
	python_text_copy(&text, false, to, 9);
	assert_string_equal(to, "a\u00e9...");
	python_text_copy(&text, true, to, 9);
	assert_string_equal(to, "...b\xff"
				"c");
	python_text_copy(&text, true, to, 10);
	assert_string_equal(to, "a\u00e9\u20acb\xff"
				"c");
	text.length = 5;
	assert_false(python_text_is_sound(&text));
}

static void a_table_that_ends_inside_an_entry_is_not_left(void **state)
{
	/* Of the long form, whose number goes on where the table ends. */
	static const unsigned char table[] = {0xf0, 0xff};
	struct python_lines lines = {11, 5, table, 1};

	(void)state;
	assert_int_equal(python_lines_find(&lines, 0), 5);
	assert_true(python_lines_cover(&lines, 2));
	assert_false(python_lines_cover(&lines, 4));
	assert_int_equal(python_lines_find(&lines, -1), 5);
	assert_int_equal(python_lines_find(&lines, 2), 0);
}

static void bytes_are_cut_at_one_end_between_characters(void **state)
{
	char text[600] = "", function[LANGUAGE_FUNCTION_BYTES], file[LANGUAGE_FILE_BYTES];

	(void)state;
	text[0] = 'a';
	for (unsigned i = 1; i + 1 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa9", 2);
	codes_write_function(text, 255, function);
	assert_int_equal(strlen(function), 255);
	codes_write_function(text, 257, function);
	assert_int_equal(strlen(function), 254);
	assert_memory_equal(function + 249, "\xc3\xa9...", 5);
	codes_write_file(text, 511, file);
	assert_int_equal(strlen(file), 511);
	codes_write_file(text, 599, file);
	assert_memory_equal(file, "...\xc3\xa9", 5);
	assert_string_equal(file + 3, text + 599 - strlen(file + 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_code_keeps_its_number_and_its_text),
		cmocka_unit_test(a_line_is_noted_for_one_instruction_of_one_code),
		cmocka_unit_test(bytes_that_differ_anywhere_have_another_fingerprint),
		cmocka_unit_test(bytes_are_cut_at_one_end_between_characters),
		cmocka_unit_test(when_the_table_is_full_no_more_is_known),
		cmocka_unit_test(a_text_is_cut_at_one_end_between_characters),
		cmocka_unit_test(a_table_that_ends_inside_an_entry_is_not_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
