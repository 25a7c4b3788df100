/* Names of generated code from the file for perf, which may say anything. */
#include "symbols/perf_map.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define WRITTEN_S 1000000000

static char path[] = "/tmp/perf_map_test.XXXXXX";
static const struct perf_map_writer anyone = {.from_ns = INT64_MIN, .to_ns = INT64_MAX};

static struct perf_map *open_for(struct perf_map_writer writer)
{
	writer.user = geteuid();
	return perf_map_open(path, &writer);
}

static void write_map(const char *text, size_t bytes)
{
	const struct timespec times[2] = {{.tv_sec = WRITTEN_S}, {.tv_sec = WRITTEN_S}};
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	assert_int_equal(write(fd, text, bytes), bytes);
	assert_int_equal(futimens(fd, times), 0);
	close(fd);
}

static struct perf_map *map_of(const char *text)
{
	write_map(text, strlen(text));
	struct perf_map *map = open_for(anyone);

	assert_non_null(map);
	return map;
}

static void names_code_from_its_start_to_its_end(void **state)
{
	(void)state;
	struct perf_map *map =
		map_of("2000 10 second one\n1000 20 first\n0x3000 8 third\n");

	assert_null(perf_map_find(map, 0xfff));
	assert_string_equal(perf_map_find(map, 0x1000), "first");
	assert_string_equal(perf_map_find(map, 0x101f), "first");
	assert_null(perf_map_find(map, 0x1020));
	assert_string_equal(perf_map_find(map, 0x200f), "second one");
	assert_null(perf_map_find(map, 0x2010));
	assert_string_equal(perf_map_find(map, 0x3007), "third");
	perf_map_close(map);
}

static void memory_that_was_used_again_has_no_name(void **state)
{
	(void)state;
	struct perf_map *map = map_of("1000 100 long\n1080 10 later\n2000 10 same\n"
				      "2000 20 same\n");

	assert_string_equal(perf_map_find(map, 0x107f), "long");
	assert_null(perf_map_find(map, 0x1080));
	assert_string_equal(perf_map_find(map, 0x1090), "long");
	assert_string_equal(perf_map_find(map, 0x2000), "same");
	perf_map_close(map);
}

static void one_function_has_one_name_whatever_compiled_it(void **state)
{
	(void)state;
	struct perf_map *map = map_of("1000 10 JS:~f a.js:1:2\n1000 10 JS:*f a.js:1:2\n"
				      "2000 10 JS:^\n3000 10 JS:\n4000 10 *f\n");

	assert_string_equal(perf_map_find(map, 0x1000), "JS:f a.js:1:2");
	assert_string_equal(perf_map_find(map, 0x2000), "JS:");
	assert_string_equal(perf_map_find(map, 0x3000), "JS:");
	assert_string_equal(perf_map_find(map, 0x4000), "*f");
	perf_map_close(map);
}

static void lines_in_another_form_say_nothing(void **state)
{
	(void)state;
	struct perf_map *map = map_of(
		"\n1000\n1000 \n1000 10\n1000 10 \n1000 0 empty\n1000 x name\nz 10 name\n"
		"1000 ffffffffffffffff all\n1000 -1 all\n2000 10 good\n1000 10 unended");

	assert_null(perf_map_find(map, 0x1000));
	assert_string_equal(perf_map_find(map, 0x2000), "good");
	perf_map_close(map);
}

static void survives_any_bytes(void **state)
{
	(void)state;
	static char bytes[20000];
	unsigned seed = 4711;

	for (unsigned round = 0; round < 50; round++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			bytes[i] = "0123456789abcdef  \n\n\t-xJS:*\0\377"[rand_r(&seed) %
									  30];
		write_map(bytes, sizeof(bytes));
		struct perf_map *map = open_for(anyone);
		assert_non_null(map);
		for (unsigned i = 0; i < 1000; i++)
			perf_map_find(map, (uint64_t)rand_r(&seed) << (i % 48));
		perf_map_find(map, UINT64_MAX);
		perf_map_close(map);
	}
}

static void believes_only_what_its_process_has_written(void **state)
{
	(void)state;
	const int64_t then = INT64_C(1000000000) * WRITTEN_S;
	struct perf_map_writer writer = {.user = geteuid() + 1, .to_ns = INT64_MAX};

	perf_map_close(map_of("1000 10 f\n"));
	assert_null(perf_map_open(path, &writer));
	assert_null(open_for(
		(struct perf_map_writer){.from_ns = then + 1, .to_ns = INT64_MAX}));
	assert_null(open_for((struct perf_map_writer){.to_ns = then - 1}));
	struct perf_map *map =
		open_for((struct perf_map_writer){.from_ns = then, .to_ns = then});
	assert_non_null(map);
	perf_map_close(map);
}

static void reads_no_file_that_is_too_long(void **state)
{
	(void)state;
	perf_map_close(map_of("1000 10 f\n"));
	assert_int_equal(truncate(path, (64 << 20) + 1), 0);
	assert_null(open_for(anyone));
}

static int make_file(void **state)
{
	(void)state;
	int fd = mkstemp(path);

	alarm(60);
	return fd < 0 || close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_code_from_its_start_to_its_end),
		cmocka_unit_test(memory_that_was_used_again_has_no_name),
		cmocka_unit_test(one_function_has_one_name_whatever_compiled_it),
		cmocka_unit_test(lines_in_another_form_say_nothing),
		cmocka_unit_test(survives_any_bytes),
		cmocka_unit_test(believes_only_what_its_process_has_written),
		cmocka_unit_test(reads_no_file_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
