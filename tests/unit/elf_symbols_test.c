/* Names from ELF files: real ones, and files that lie. */
#include "unwind/elf_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char directory[] = "/tmp/names_test.XXXXXX";
static char path[sizeof directory + 8];

/* A static function of this very program, which .dynsym cannot name. */
static __attribute__((noinline)) int plain_static_function(int n)
{
	return n * 7 + getpid();
}

/* A small shared object by hand: one code section, a symbol table, a string table, a
 * build-id. */
static const uint8_t build_id[4] = {0xde, 0xad, 0xbe, 0xef};
enum { S_NONE, S_TEXT, S_SYMTAB, S_STRTAB, N_SECTIONS };
static const char strings[] = "\0covered\0label\0$x\0after\0versioned@@V1\0inner";
struct elf {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	struct {
		Elf64_Nhdr head;
		char name[4];
		uint8_t id[4];
	} origin_kind;
	Elf64_Sym symbols[8];
	char strings[64];
	Elf64_Shdr sections[N_SECTIONS];
};

static uint32_t name_at(const char *name)
{
	for (size_t i = 1; i < sizeof strings; i += strlen(strings + i) + 1)
		if (strcmp(strings + i, name) == 0)
			return (uint32_t)i;
	return 0;
}

static Elf64_Sym symbol(const char *name, int type, uint64_t value, uint64_t size)
{
	return (Elf64_Sym){.st_name = name_at(name),
			   .st_info = ELF64_ST_INFO(STB_LOCAL, type),
			   .st_shndx = S_TEXT,
			   .st_value = value,
			   .st_size = size};
}

static struct elf small_elf(void)
{
	struct elf elf = {
		.header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
			   .e_type = ET_DYN,
			   .e_shentsize = sizeof(Elf64_Shdr),
			   .e_shnum = N_SECTIONS,
			   .e_shoff = offsetof(struct elf, sections),
			   .e_phnum = 1,
			   .e_phentsize = sizeof(Elf64_Phdr),
			   .e_phoff = offsetof(struct elf, segment)},
		.segment = {.p_type = PT_NOTE,
			    .p_offset = offsetof(struct elf, origin_kind),
			    .p_filesz = sizeof elf.origin_kind,
			    .p_align = 4},
		.origin_kind = {.head = {4, 4, NT_GNU_BUILD_ID}, .name = "GNU"},
		.symbols = {[1] = symbol("covered", STT_FUNC, 0x1000, 0x100),
			    [2] = symbol("label", STT_NOTYPE, 0x1200, 0),
			    [3] = symbol("$x", STT_NOTYPE, 0x1210, 0),
			    [4] = symbol("after", STT_FUNC, 0x1300, 0x40),
			    [5] = symbol("versioned@@V1", STT_FUNC, 0x1400, 0x40),
			    [6] = symbol("inner", STT_FUNC, 0x1080, 0x10)},
		.sections =
			{
				[S_TEXT] = {.sh_type = SHT_PROGBITS,
					    .sh_flags = SHF_ALLOC | SHF_EXECINSTR,
					    .sh_addr = 0x1000,
					    .sh_size = 0x1000},
				[S_SYMTAB] = {.sh_type = SHT_SYMTAB,
					      .sh_offset = offsetof(struct elf, symbols),
					      .sh_size = sizeof elf.symbols,
					      .sh_entsize = sizeof(Elf64_Sym),
					      .sh_link = S_STRTAB},
				[S_STRTAB] = {.sh_type = SHT_STRTAB,
					      .sh_offset = offsetof(struct elf, strings),
					      .sh_size = sizeof strings},
			},
	};

	memcpy(elf.origin_kind.id, build_id, sizeof build_id);
	memcpy(elf.strings, strings, sizeof strings);
	return elf;
}

static void write_file(const void *bytes, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, bytes, n), n);
	assert_int_equal(close(fd), 0);
}

/* The name of one offset. */
static bool find_one(const char *file, const uint8_t *id, unsigned id_bytes,
		     uint64_t offset, char *name, uint64_t *distance)
{
	struct elf_symbol symbol = {.offset = offset};

	elf_symbols_find(file, id, id_bytes, &symbol, 1);
	*distance = symbol.distance;
	if (symbol.is_found)
		strcpy(name, symbol.name);
	return symbol.is_found;
}

/* The name of `offset`, or "" where there is none. */
static const char *name_of(uint64_t offset, uint64_t *distance)
{
	static char name[TEXT_NAME_BYTES];

	if (!find_one(path, build_id, sizeof build_id, offset, name, distance))
		name[0] = 0;
	return name;
}

static int find_own(struct dl_phdr_info *info, size_t size, void *to)
{
	(void)size;
	*(struct dl_phdr_info *)to = *info;
	return 1; /* the program itself comes first */
}

static unsigned own_build_id(const struct dl_phdr_info *info, const uint8_t **id)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const char *at =
			(const char *)info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		const char *end = at + info->dlpi_phdr[i].p_memsz;

		while (info->dlpi_phdr[i].p_type == PT_NOTE && at < end) {
			const Elf64_Nhdr *head = (const Elf64_Nhdr *)at;
			size_t name = (head->n_namesz + 3) & ~3U;

			*id = (const uint8_t *)(head + 1) + name;
			if (head->n_type == NT_GNU_BUILD_ID)
				return head->n_descsz;
			at = (const char *)*id + ((head->n_descsz + 3) & ~3U);
		}
	}
	return 0;
}

static void elf_symbols_a_static_function_of_a_running_program(void **state)
{
	struct dl_phdr_info info;
	const uint8_t *id = NULL;
	uint64_t offset, distance;
	unsigned id_bytes;
	char name[TEXT_NAME_BYTES];

	(void)state;
	dl_iterate_phdr(find_own, &info);
	id_bytes = own_build_id(&info, &id);
	offset = (uint64_t)(uintptr_t)plain_static_function - info.dlpi_addr;
	assert_true(
		find_one("/proc/self/exe", id, id_bytes, offset + 1, name, &distance));
	assert_string_equal(name, "plain_static_function");
	assert_int_equal(distance, 1);
	assert_true(plain_static_function(1) > 0);
}

static void elf_symbols_what_a_symbol_covers(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;

	(void)state;
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1004, &distance), "covered");
	assert_int_equal(distance, 4);
	assert_string_equal(name_of(0x10ff, &distance), "covered");
	assert_string_equal(name_of(0x1084, &distance), "inner");
	assert_string_equal(name_of(0x1410, &distance), "versioned");
}

static void elf_symbols_a_label_without_size_but_no_mapping_symbol(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;

	(void)state;
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1220, &distance), "label");
	assert_int_equal(distance, 0x20);
}

static void gives_no_name_between_functions_of_known_size(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;

	(void)state;
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1150, &distance), "");
	assert_string_equal(name_of(0x1350, &distance), "");
	assert_string_equal(name_of(0x0800, &distance), "");
	assert_string_equal(name_of(0x2800, &distance), "");
}

static void gives_no_label_from_the_exported_symbols_alone(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;

	(void)state;
	elf.sections[S_SYMTAB].sh_type = SHT_DYNSYM;
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1004, &distance), "covered");
	assert_string_equal(name_of(0x1220, &distance), "");
}

static void gives_no_name_from_a_file_that_was_replaced(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;
	char name[TEXT_NAME_BYTES];

	(void)state;
	elf.origin_kind.id[3]++;
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1004, &distance), "");
	elf.segment.p_type = PT_NULL; /* no build-id in the file */
	write_file(&elf, sizeof elf);
	assert_string_equal(name_of(0x1004, &distance), "");
	assert_true(find_one(path, NULL, 0, 0x1004, name, &distance));
	assert_string_equal(name, "covered");
}

static void finds_many_at_once_as_one_by_one(void **state)
{
	struct elf elf = small_elf();
	struct elf_symbol all[0x1900 / 16] = {0};
	unsigned n = sizeof all / sizeof *all, n_found = 0;
	uint64_t distance;

	(void)state;
	write_file(&elf, sizeof elf);
	for (unsigned i = 0; i < n; i++)
		all[i].offset = 0xff4 + 16 * i;
	elf_symbols_find(path, build_id, sizeof build_id, all, n);
	for (unsigned i = 0; i < n; i++) {
		const char *name = name_of(all[i].offset, &distance);

		assert_string_equal(all[i].is_found ? all[i].name : "", name);
		if (all[i].is_found)
			assert_int_equal(all[i].distance, distance);
		n_found += all[i].is_found;
	}
	assert_in_range(n_found, 20, n - 20);
}

static void cuts_a_name_that_does_not_fit(void **state)
{
	struct {
		struct elf elf;
		char strings[1 + 2 * TEXT_NAME_BYTES];
	} file = {small_elf(), ""};
	uint64_t distance;

	(void)state;
	memset(file.strings + 1, 'x', sizeof file.strings - 2);
	file.elf.symbols[1].st_name = 1;
	file.elf.sections[S_STRTAB].sh_offset = sizeof file.elf;
	file.elf.sections[S_STRTAB].sh_size = sizeof file.strings;
	write_file(&file, sizeof file);
	assert_int_equal(strlen(name_of(0x1004, &distance)), TEXT_NAME_BYTES - 1);
}

static void survives_what_is_no_regular_elf_file(void **state)
{
	uint64_t distance;
	char name[TEXT_NAME_BYTES], fifo[sizeof directory + 8];

	(void)state;
	write_file("#!/bin/sh\n", 10);
	assert_string_equal(name_of(0x1004, &distance), "");
	write_file("", 0);
	assert_string_equal(name_of(0x1004, &distance), "");
	assert_false(find_one(directory, NULL, 0, 0, name, &distance));
	assert_false(find_one("/nonexistent/x", NULL, 0, 0, name, &distance));
	snprintf(fifo, sizeof fifo, "%s/fifo", directory);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_false(find_one(fifo, NULL, 0, 0, name, &distance));
	assert_int_equal(unlink(fifo), 0);
}

static void leaves_no_descriptor_behind(void **state)
{
	struct elf elf = small_elf();
	uint64_t distance;
	int before, after;

	(void)state;
	write_file(&elf, sizeof elf);
	before = open("/dev/null", O_RDONLY);
	assert_string_equal(name_of(0x1004, &distance), "covered");
	after = open("/dev/null", O_RDONLY);
	assert_int_equal(after, before + 1);
	for (int fd = 200; fd < 210; fd++)
		assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(before);
	close(after);
}

/* Every truncation, and many files with a few bytes changed.  A sanitizer build sees
 * reads beyond the window; a plain one sees crashes, loops and names not terminated. */
static void survives_hostile_files(void **state)
{
	struct elf good = small_elf();
	uint64_t distance;

	(void)state;
	for (size_t n = 0; n < sizeof good; n++) {
		write_file(&good, n);
		name_of(0x1004, &distance);
	}
	srand(20);
	for (int round = 0; round < 3000; round++) {
		struct elf bad = good;

		for (int changes = rand() % 4; changes >= 0; changes--) {
			size_t at = (size_t)rand() % sizeof bad;

			((uint8_t *)&bad)[at] = rand() % 2 ? 0xff : (uint8_t)rand();
		}
		write_file(&bad, sizeof bad);
		assert_true(strlen(name_of(0x1004, &distance)) < TEXT_NAME_BYTES);
		name_of(0x1220, &distance);
		name_of(UINT64_MAX, &distance);
	}
}

/* Three million symbols, 72 MB, of which the last is the one. */
static void reads_a_large_table_through_one_window(void **state)
{
	enum { N = 3 * 1000 * 1000 };
	struct elf elf = small_elf();
	struct timespec start, end;
	uint64_t distance;
	int fd;

	(void)state;
	elf.sections[S_SYMTAB].sh_offset = 1 << 20;
	elf.sections[S_SYMTAB].sh_size = (uint64_t)N * sizeof(Elf64_Sym);
	write_file(&elf, sizeof elf);
	fd = open(path, O_WRONLY);
	assert_int_equal(ftruncate(fd, (1 << 20) + (off_t)N * (off_t)sizeof(Elf64_Sym)),
			 0);
	assert_int_equal(pwrite(fd, &elf.symbols[1], sizeof(Elf64_Sym),
				(1 << 20) + (N - 1) * (off_t)sizeof(Elf64_Sym)),
			 sizeof(Elf64_Sym));
	close(fd);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	assert_string_equal(name_of(0x1004, &distance), "covered");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	print_message("# 72 MB of symbols: %.0f ms\n",
		      (double)(end.tv_sec - start.tv_sec) * 1e3 +
			      (double)(end.tv_nsec - start.tv_nsec) / 1e6);
}

static int set_up(void **state)
{
	(void)state;
	alarm(180);
	if (!mkdtemp(directory))
		return -1;
	snprintf(path, sizeof path, "%s/elf", directory);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(elf_symbols_a_static_function_of_a_running_program),
		cmocka_unit_test(elf_symbols_what_a_symbol_covers),
		cmocka_unit_test(elf_symbols_a_label_without_size_but_no_mapping_symbol),
		cmocka_unit_test(gives_no_name_between_functions_of_known_size),
		cmocka_unit_test(gives_no_label_from_the_exported_symbols_alone),
		cmocka_unit_test(gives_no_name_from_a_file_that_was_replaced),
		cmocka_unit_test(finds_many_at_once_as_one_by_one),
		cmocka_unit_test(cuts_a_name_that_does_not_fit),
		cmocka_unit_test(survives_what_is_no_regular_elf_file),
		cmocka_unit_test(leaves_no_descriptor_behind),
		cmocka_unit_test(survives_hostile_files),
		cmocka_unit_test(reads_a_large_table_through_one_window),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
