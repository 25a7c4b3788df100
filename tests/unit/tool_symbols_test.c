/* Symbols of this very program: it knows its own lines. */
#include "symbols/spans.h"
#include "symbols/symbols.h"

#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define NOINLINE __attribute__((noinline, noclone))

static char own_path[4096];
static uint64_t own_bias;
static uint8_t own_build_id[64];
static unsigned own_build_id_bytes;

static inline __attribute__((always_inline)) uint64_t here(void)
{
	uint64_t at;
#if defined __x86_64__
	__asm__ volatile("1: lea 1b(%%rip), %0" : "=r"(at));
#else
	__asm__ volatile("adr %0, ." : "=r"(at));
#endif
	return at - own_bias;
}

struct spot {
	uint64_t offset;
	unsigned line;
};

NOINLINE static struct spot plain_function(void)
{
	struct spot spot = {.line = __LINE__ + 1};
	spot.offset = here();
	return spot;
}

static inline __attribute__((always_inline)) uint64_t inner_function(unsigned *line)
{
	*line = __LINE__ + 1;
	return here();
}

NOINLINE static struct spot outer_function(unsigned *inner_line)
{
	struct spot spot = {.line = __LINE__ + 1};
	spot.offset = inner_function(inner_line);
	return spot;
}

static void find_build_id(const char *notes, size_t bytes)
{
	for (size_t at = 0; at + sizeof(ElfW(Nhdr)) <= bytes;) {
		const ElfW(Nhdr) *origin_kind = (const void *)(notes + at);
		const char *name = (const char *)(origin_kind + 1);
		const char *text = name + ((origin_kind->n_namesz + 3) & ~3U);
		if (origin_kind->n_type == NT_GNU_BUILD_ID && !strcmp(name, "GNU")) {
			own_build_id_bytes = origin_kind->n_descsz;
			memcpy(own_build_id, text, origin_kind->n_descsz);
		}
		at = (size_t)(text - notes) + ((origin_kind->n_descsz + 3) & ~3U);
	}
}

static int find_own(struct dl_phdr_info *module, size_t size, void *nothing)
{
	(void)size, (void)nothing;
	own_bias = module->dlpi_addr;
	for (int i = 0; i < module->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
		if (segment->p_type == PT_NOTE)
			find_build_id((const char *)module->dlpi_addr + segment->p_vaddr,
				      segment->p_memsz);
	}
	return 1; /* the program itself comes first */
}

static int open_symbols(void **state)
{
	alarm(180);
	ssize_t n = readlink("/proc/self/exe", own_path, sizeof own_path - 1);
	assert_true(n > 0);
	dl_iterate_phdr(find_own, NULL);
	*state = symbols_open();
	return 0;
}

static int close_symbols(void **state)
{
	symbols_close(*state);
	return 0;
}

static size_t find_own_frames(struct symbols *symbols, uint64_t offset,
			      const struct symbol_frame **frames)
{
	return symbols_find(symbols, own_path, own_build_id, own_build_id_bytes, offset,
			    frames);
}

static bool ends_with(const char *text, const char *end)
{
	return text && strlen(text) >= strlen(end) &&
	       !strcmp(strrchr(text, 0) - strlen(end), end);
}

static void names_function_file_and_line(void **state)
{
	const struct symbol_frame *frames;
	struct spot spot = plain_function();
	/* What here() was inlined to comes first. */
	size_t n = find_own_frames(*state, spot.offset, &frames);
	assert_int_equal(n, 2);
	assert_string_equal(frames[0].function, "here");
	assert_true(frames[0].inlined);
	assert_string_equal(frames[1].function, "plain_function");
	assert_false(frames[1].inlined);
	assert_int_equal(frames[1].line, spot.line);
	assert_true(ends_with(frames[1].file, "tests/unit/tool_symbols_test.c"));
}

static void names_each_inlined_function_with_the_line_it_calls_from(void **state)
{
	const struct symbol_frame *frames;
	unsigned inner_line;
	struct spot spot = outer_function(&inner_line);
	assert_int_equal(find_own_frames(*state, spot.offset, &frames), 3);
	assert_string_equal(frames[0].function, "here");
	assert_string_equal(frames[1].function, "inner_function");
	assert_true(frames[1].inlined);
	assert_int_equal(frames[1].line, inner_line);
	assert_string_equal(frames[2].function, "outer_function");
	assert_int_equal(frames[2].line, spot.line);
	assert_false(frames[2].inlined);
}

static void keeps_what_it_found(void **state)
{
	const struct symbol_frame *first, *second;
	struct spot spot = plain_function();
	find_own_frames(*state, spot.offset, &first);
	find_own_frames(*state, spot.offset, &second);
	assert_ptr_equal(first, second);
}

static void assert_unknown(struct symbols *symbols, const char *path,
			   const uint8_t *build_id, unsigned bytes, uint64_t offset)
{
	const struct symbol_frame *frames;
	assert_int_equal(symbols_find(symbols, path, build_id, bytes, offset, &frames),
			 1);
	assert_null(frames[0].function);
	assert_null(frames[0].file);
	assert_int_equal(frames[0].line, 0);
}

static void gives_no_name_from_a_file_with_another_build_id(void **state)
{
	struct spot spot = plain_function();
	uint8_t other[64];
	memcpy(other, own_build_id, sizeof other);
	other[own_build_id_bytes - 1] ^= 1;
	assert_unknown(*state, own_path, other, own_build_id_bytes, spot.offset);
}

static void gives_no_name_if_the_module_had_no_build_id_and_the_file_has(void **state)
{
	struct spot spot = plain_function();
	assert_true(own_build_id_bytes > 0);
	assert_unknown(*state, own_path, own_build_id, 0, spot.offset);
}

static void believes_the_file_where_no_build_id_is_known(void **state)
{
	const struct symbol_frame *frames;
	struct spot spot = plain_function();
	assert_int_equal(symbols_find(*state, own_path, NULL, 0, spot.offset, &frames),
			 2);
}

static void gives_no_name_outside_of_code(void **state)
{
	const uint64_t outside[] = {0, 1, 0x40, UINT64_C(1) << 40, UINT64_MAX};
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
		assert_unknown(*state, own_path, own_build_id, own_build_id_bytes,
			       outside[i]);
}

static void opens_nothing_in_the_current_directory(void **state)
{
	struct spot spot = plain_function();
	char directory[4096];
	strcpy(directory, own_path);
	char *name = strrchr(directory, '/');
	*name++ = 0;
	assert_int_equal(chdir(directory), 0);
	assert_unknown(*state, name, NULL, 0, spot.offset);
}

static void does_not_wait_for_a_pipe(void **state)
{
	char directory[] = "/tmp/sockleak-symbols-XXXXXX", path[64];
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof path, "%s/pipe", directory);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_unknown(*state, path, NULL, 0, 0x1000);
	unlink(path);
	rmdir(directory);
}

static void bears_a_module_without_a_path(void **state)
{
	assert_unknown(*state, NULL, NULL, 0, 0x1000);
	assert_unknown(*state, "", NULL, 0, 0x1000);
	assert_unknown(*state, "[vdso]", NULL, 0, 0x1000);
}

static void agrees_only_with_a_symbol_at_its_own_place(void **state)
{
	uint64_t start = (uint64_t)plain_function - own_bias;
	assert_true(symbols_agree(*state, own_path, start + 4, "plain_function", 4));
	assert_false(symbols_agree(*state, own_path, start + 4, "plain_function", 3));
	assert_false(symbols_agree(*state, own_path, start + 4, "outer_function", 4));
	assert_true(symbols_agree(*state, "/nowhere", start + 4, "plain_function", 4));
}

/* A damaged file may give nothing or nonsense, but ends nobody. */
static void survives_damaged_files(void **state)
{
	(void)state;
	char path[] = "/tmp/sockleak-damaged-XXXXXX";
	struct spot spot = plain_function();
	int fd = mkstemp(path);
	int from = open(own_path, O_RDONLY);
	struct stat file;
	assert_true(fd >= 0 && from >= 0 && fstat(from, &file) == 0);
	uint8_t *bytes = malloc((size_t)file.st_size);
	assert_int_equal(read(from, bytes, (size_t)file.st_size), file.st_size);
	srandom(4711);
	for (int round = 0; round < 60; round++) {
		const struct symbol_frame *frames;
		uint64_t at = (uint64_t)random() % (uint64_t)file.st_size;
		assert_int_equal(pwrite(fd, bytes, (size_t)file.st_size, 0),
				 file.st_size);
		if (round % 3 == 0)
			assert_int_equal(ftruncate(fd, (off_t)at), 0);
		for (int i = 0; i < 1 << round % 6; i++, at = (uint64_t)random())
			pwrite(fd, &at, 4, (off_t)(at % (uint64_t)file.st_size));
		struct symbols *symbols = symbols_open();
		assert_true(symbols_find(symbols, path, NULL, 0, spot.offset, &frames) >=
			    1);
		symbols_close(symbols);
	}
	close(from);
	close(fd);
	unlink(path);
	free(bytes);
}

static void finds_every_range_that_holds_an_address(void **state)
{
	(void)state;
	struct spans spans = {0};
	spans_add(&spans, 10, 100, 1);
	spans_add(&spans, 20, 30, 2);
	spans_add(&spans, 25, 25, 3);
	spans_add(&spans, 40, 50, 4);
	spans_sort(&spans);
	const struct span *span = spans_next(&spans, 25, NULL);
	assert_int_equal(span->what, 2);
	span = spans_next(&spans, 25, span);
	assert_int_equal(span->what, 1);
	assert_null(spans_next(&spans, 25, span));
	assert_int_equal(spans_smallest(&spans, 49)->what, 4);
	assert_int_equal(spans_smallest(&spans, 50)->what, 1);
	assert_null(spans_smallest(&spans, 100));
	assert_null(spans_smallest(&spans, 9));
	spans_free(&spans);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_function_file_and_line),
		cmocka_unit_test(names_each_inlined_function_with_the_line_it_calls_from),
		cmocka_unit_test(keeps_what_it_found),
		cmocka_unit_test(gives_no_name_from_a_file_with_another_build_id),
		cmocka_unit_test(
			gives_no_name_if_the_module_had_no_build_id_and_the_file_has),
		cmocka_unit_test(believes_the_file_where_no_build_id_is_known),
		cmocka_unit_test(gives_no_name_outside_of_code),
		cmocka_unit_test(opens_nothing_in_the_current_directory),
		cmocka_unit_test(does_not_wait_for_a_pipe),
		cmocka_unit_test(bears_a_module_without_a_path),
		cmocka_unit_test(agrees_only_with_a_symbol_at_its_own_place),
		cmocka_unit_test(survives_damaged_files),
		cmocka_unit_test(finds_every_range_that_holds_an_address),
	};
	return cmocka_run_group_tests(tests, open_symbols, close_symbols);
}
