/* The writer of the ledger: what a row names is there. */
#include "guard.h"
#include "ledger_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/sockleak-ledger-XXXXXX";
static const struct sl_header *file;

static const char *ledger_path(void)
{
	static char path[300];
	DIR *all = opendir(directory);

	for (const struct dirent *one; all && (one = readdir(all));)
		if (strstr(one->d_name, SL_LEDGER_SUFFIX))
			snprintf(path, sizeof(path), "%s/%.200s", directory, one->d_name);
	if (all)
		closedir(all);
	return path;
}

static int begin(void **state)
{
	(void)state;
	alarm(10);
	guard_start();
	if (!mkdtemp(directory) || ledger_start(directory, 1, 0, 32, false))
		return -1;
	int fd = open(ledger_path(), O_RDONLY | O_CLOEXEC);
	size_t bytes = sizeof(*file) + (size_t)4 * SL_BLOCK_BYTES;
	file = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	return file == MAP_FAILED ? -1 : 0;
}

static int end(void **state)
{
	(void)state;
	unlink(ledger_path());
	return rmdir(directory);
}

/* As a reader sees it. */
static const struct sl_descriptor *row_of(unsigned fd)
{
	for (uint32_t k = 0; k < file->n_blocks; k++)
		if (file->blocks[k].kind == SL_BLOCK_ROWS && file->blocks[k].first == 0)
			return (const struct sl_descriptor *)((const char *)(file + 1) +
							      (size_t)k *
								      SL_BLOCK_BYTES) +
			       fd;
	fail_msg("there is no row");
	return NULL;
}

static void append_backtrace(uint32_t id)
{
	struct sl_backtrace record = {
		.head = {SL_RECORD_BACKTRACE, sizeof(record)}, .id = id, .n_frames = 1};
	uint64_t frame = 0x77;

	assert_true(ledger_append(&record.head, &frame, sizeof(frame)));
}

static void a_row_names_an_origin_only_once_its_backtrace_is_in_the_file(void **state)
{
	struct sl_descriptor row = {.held = 1, .cookie = 7, .origin = 1, .eof_origin = 2};

	(void)state;
	assert_false(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->origin, SL_ORIGIN_PENDING);
	assert_int_equal(row_of(5)->eof_origin, SL_ORIGIN_PENDING);
	append_backtrace(1);
	assert_false(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->origin, 1);
	assert_int_equal(row_of(5)->eof_origin, SL_ORIGIN_PENDING);
	append_backtrace(2);
	assert_true(ledger_publish(5, &row));
	assert_int_equal(row_of(5)->eof_origin, 2);
}

static void a_row_names_a_test_only_once_its_name_is_in_the_file(void **state)
{
	struct sl_descriptor row = {.held = 1, .cookie = 8, .name = 1};
	struct sl_name record = {
		.head = {SL_RECORD_NAME, sizeof(record)}, .id = 1, .text_bytes = 1};

	(void)state;
	assert_false(ledger_publish(6, &row));
	assert_int_equal(row_of(6)->name, 0);
	assert_true(ledger_append(&record.head, "x", 1));
	assert_true(ledger_publish(6, &row));
	assert_int_equal(row_of(6)->name, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_row_names_an_origin_only_once_its_backtrace_is_in_the_file),
		cmocka_unit_test(a_row_names_a_test_only_once_its_name_is_in_the_file),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
