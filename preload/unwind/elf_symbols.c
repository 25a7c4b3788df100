/* Function names from the symbol tables of ELF files.
 *
 * A file is taken as hostile: nothing it says is believed before it was compared with the
 * file's size, every loop is bounded by a named limit, and it is read with pread through
 * two windows (a mapping would kill the host when the file shrinks).  So the memory
 * needed does not grow with the symbol table.
 *
 * The names of all offsets of a file are found in one reading of its symbol table, or in
 * two where some are in code whose symbols have no size.
 *
 * The calling thread may share the host's descriptor table, and a host may close a whole
 * range of descriptors and open files of its own at these numbers.  So no descriptor is
 * kept from one piece to the next: each is open, read and close.
 *
 * A name is given only where a symbol says that it covers the offset, or, for the
 * hand-written code whose symbols have no size, where the nearest symbol below is such a
 * one.  The exported neighbour of a stripped static function would be a wrong name. */
#include "unwind/elf_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/arena.h"
#include "base/guard.h"

#define ROWS_BYTES    (256 * 1024)
#define NAMES_BYTES   16384     /* names are read here and there */
#define MOST_SECTIONS (1 << 20) /* of code with -ffunction-sections 65 thousand */
#define MOST_SEGMENTS 4096
#define MOST_SYMBOLS  (1 << 25) /* 800 MB of them */
#define MOST_LOOKS    10000     /* names read in search of one symbol without size */
#define NOTE_BYTES    4096 /* of a segment of notes; the build-id stands in the front */

struct window {
	char *bytes;
	size_t size;
	uint64_t at; /* where in the file it lies */
	size_t used; /* bytes of it that are filled */
};

struct file {
	const char *path;
	struct stat is;            /* as it was when it was first opened */
	struct window rows, names; /* of tables, and of strings */
};

/* The file, while it is the one that it was; else negative. */
static long open_same(const struct file *file, struct stat *is)
{
	long fd =
		guard_open(AT_FDCWD, file->path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, is);

	if (fd < 0 || (is->st_dev == file->is.st_dev && is->st_ino == file->is.st_ino &&
		       is->st_size == file->is.st_size))
		return fd;
	guard_close(fd, is);
	return -1;
}

static bool read_exactly(const struct file *file, void *to, size_t bytes, uint64_t at)
{
	uint64_t size = (uint64_t)file->is.st_size;
	struct stat is;
	size_t done = 0;
	long n = 1;

	if (at > size || bytes > size - at)
		return false;
	long fd = open_same(file, &is);
	if (fd < 0)
		return false;
	while (done < bytes && n > 0) {
		n = guard_sys(SYS_pread64, fd, (char *)to + done, bytes - done,
			      at + done);
		done += n > 0 ? (size_t)n : 0;
	}
	guard_progressed();
	/* Or another thread has closed the number, and what was read is another file's.
	 */
	return guard_close(fd, &is) && done == bytes;
}

/* Moves the window so that these bytes are in it.  NULL = the file has no such bytes. */
static const char *view(const struct file *file, struct window *window, uint64_t at,
			size_t bytes)
{
	uint64_t size = (uint64_t)file->is.st_size;

	if (at > size || bytes > size - at || bytes > window->size)
		return NULL;
	if (at < window->at || at + bytes > window->at + window->used) {
		size_t left =
			size - at < window->size ? (size_t)(size - at) : window->size;

		window->at = at;
		window->used = 0;
		if (!read_exactly(file, window->bytes, left, at))
			return NULL;
		window->used = left;
	}
	return window->bytes + (at - window->at);
}

/* A row of a table in the file; a copy, since nothing in the file is aligned for certain.
 * false = the file has no such row. */
static bool row(struct file *file, uint64_t table, uint64_t index, size_t bytes, void *to)
{
	uint64_t at;

	if (__builtin_mul_overflow(index, bytes, &at) ||
	    __builtin_add_overflow(at, table, &at))
		return false;
	const char *from = view(file, &file->rows, at, bytes);
	if (from)
		memcpy(to, from, bytes);
	return from != NULL;
}

static void close_file(const struct file *file)
{
	arena_unmap(file->rows.bytes, ROWS_BYTES);
	arena_unmap(file->names.bytes, NAMES_BYTES);
}

static bool open_file(struct file *file, const char *path)
{
	long fd = guard_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0,
			     &file->is);

	if (fd < 0)
		return false;
	guard_close(fd, &file->is);
	file->path = path;
	if (!S_ISREG(file->is.st_mode))
		return false;
	file->rows = (struct window){arena_map(ROWS_BYTES), ROWS_BYTES, 0, 0};
	file->names = (struct window){arena_map(NAMES_BYTES), NAMES_BYTES, 0, 0};
	if (file->rows.bytes && file->names.bytes)
		return true;
	close_file(file);
	return false;
}

static bool read_header(struct file *file, Elf64_Ehdr *header)
{
	return read_exactly(file, header, sizeof *header, 0) &&
	       memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 &&
	       header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       (header->e_type == ET_EXEC || header->e_type == ET_DYN) &&
	       header->e_shentsize == sizeof(Elf64_Shdr) &&
	       (header->e_phnum == 0 || header->e_phentsize == sizeof(Elf64_Phdr));
}

/* The build-id among the notes of one segment.  false = none here. */
static bool find_build_id(const char *notes, size_t bytes, size_t align,
			  const uint8_t **id, unsigned *id_bytes)
{
	Elf64_Nhdr head;

	for (size_t at = 0; bytes - at >= sizeof head;) {
		size_t name, end;

		memcpy(&head, notes + at, sizeof head);
		name = at + sizeof head;
		if (head.n_namesz > bytes - name)
			return false;
		end = (name + head.n_namesz + align - 1) & ~(align - 1);
		if (end > bytes || head.n_descsz > bytes - end)
			return false;
		if (head.n_type == NT_GNU_BUILD_ID && head.n_namesz == 4 &&
		    memcmp(notes + name, "GNU", 4) == 0 && head.n_descsz > 0) {
			*id = (const uint8_t *)notes + end;
			*id_bytes = head.n_descsz;
			return true;
		}
		at = (end + head.n_descsz + align - 1) & ~(align - 1);
		if (at > bytes)
			return false;
	}
	return false;
}

/* Whether the file is the one that was loaded. */
static bool is_same_build(struct file *file, const Elf64_Ehdr *header,
			  const uint8_t *build_id, unsigned build_id_bytes)
{
	for (unsigned i = 0; i < header->e_phnum && i < MOST_SEGMENTS; i++) {
		Elf64_Phdr segment;
		const uint8_t *id;
		unsigned id_bytes;
		size_t n;

		if (!row(file, header->e_phoff, i, sizeof segment, &segment))
			return false;
		if (segment.p_type != PT_NOTE)
			continue;
		n = segment.p_filesz < NOTE_BYTES ? (size_t)segment.p_filesz : NOTE_BYTES;
		const char *notes = view(file, &file->names, segment.p_offset, n);
		if (notes &&
		    find_build_id(notes, n, segment.p_align == 8 ? 8 : 4, &id, &id_bytes))
			return id_bytes == build_id_bytes &&
			       memcmp(id, build_id, id_bytes) == 0;
	}
	return build_id_bytes == 0;
}

/* What is looked for, by offset, and where. */
struct search {
	struct file *file;
	struct elf_symbol *wanted;
	unsigned n_wanted;
	Elf64_Shdr symbols, strings;
	bool is_complete; /* .symtab: static functions too */
};

/* The first that is wanted at or above an offset. */
static unsigned first_from(const struct search *search, uint64_t offset)
{
	unsigned low = 0, high = search->n_wanted;

	while (low < high) {
		unsigned middle = low + (high - low) / 2;

		if (search->wanted[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static uint64_t n_sections(struct file *file, const Elf64_Ehdr *header)
{
	Elf64_Shdr first;

	if (header->e_shnum > 0 || header->e_shoff == 0)
		return header->e_shnum;
	if (!row(file, header->e_shoff, 0, sizeof first, &first))
		return 0;
	return first.sh_size < MOST_SECTIONS ? first.sh_size : MOST_SECTIONS;
}

/* Which of the offsets lie in this section, if it holds code. */
static void note_code(const struct search *search, const Elf64_Shdr *section,
		      uint64_t index)
{
	if (!(section->sh_flags & SHF_ALLOC) || !(section->sh_flags & SHF_EXECINSTR))
		return;
	for (unsigned i = first_from(search, section->sh_addr);
	     i < search->n_wanted &&
	     search->wanted[i].offset - section->sh_addr < section->sh_size;
	     i++)
		search->wanted[i].section = index;
}

static bool find_tables(struct search *search, const Elf64_Ehdr *header)
{
	uint64_t n = n_sections(search->file, header);
	bool have_symbols = false;
	Elf64_Shdr section;

	for (uint64_t i = 0; i < n; i++) {
		if (!row(search->file, header->e_shoff, i, sizeof section, &section))
			return false;
		note_code(search, &section, i);
		if (section.sh_entsize != sizeof(Elf64_Sym))
			continue;
		if (section.sh_type == SHT_SYMTAB ||
		    (section.sh_type == SHT_DYNSYM && !have_symbols)) {
			search->symbols = section;
			search->is_complete = section.sh_type == SHT_SYMTAB;
			have_symbols = true;
		}
	}
	return have_symbols && search->symbols.sh_link < n &&
	       row(search->file, header->e_shoff, search->symbols.sh_link,
		   sizeof search->strings, &search->strings) &&
	       search->strings.sh_type == SHT_STRTAB;
}

/* The name at `st_name`, without the version behind an '@'; false = it has none, or it
 * is not terminated inside its table.  Longer ones are cut. */
static bool read_name(const struct search *search, uint32_t st_name, char *name,
		      size_t size)
{
	const Elf64_Shdr *strings = &search->strings;
	size_t n = size;
	uint64_t at;

	if (st_name == 0 || st_name >= strings->sh_size ||
	    __builtin_add_overflow(strings->sh_offset, st_name, &at))
		return false;
	if (n > strings->sh_size - st_name)
		n = (size_t)(strings->sh_size - st_name);
	const char *from = view(search->file, &search->file->names, at, n);
	if (!from || (!memchr(from, 0, n) && n < size))
		return false;
	memcpy(name, from, n);
	name[n - 1] = 0;
	name[strcspn(name, "@")] = 0;
	return name[0] != 0;
}

/* Of two symbols for the same code: the one that starts later (the inner), the shorter,
 * the global. */
static bool is_better(const Elf64_Sym *symbol, const Elf64_Sym *best)
{
	if (best->st_name == 0)
		return true;
	if (symbol->st_value != best->st_value)
		return symbol->st_value > best->st_value;
	if (symbol->st_size != best->st_size)
		return symbol->st_size < best->st_size;
	return ELF64_ST_BIND(symbol->st_info) == STB_GLOBAL &&
	       ELF64_ST_BIND(best->st_info) != STB_GLOBAL;
}

static bool is_function(const Elf64_Sym *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);

	return type == STT_FUNC || type == STT_GNU_IFUNC;
}

/* A symbol by its index, that is in some section and has a name. */
static bool next_symbol(const struct search *search, uint64_t index, Elf64_Sym *symbol)
{
	uint64_t n = search->symbols.sh_size / sizeof *symbol;

	return index < n && index < MOST_SYMBOLS &&
	       row(search->file, search->symbols.sh_offset, index, sizeof *symbol,
		   symbol);
}

/* The functions whose size reaches over the offsets.  A symbol's section is not asked
 * for: linkers disagree about it for code they moved. */
static void find_covering(const struct search *search)
{
	Elf64_Sym symbol;

	for (uint64_t at = 0; next_symbol(search, at, &symbol); at++) {
		if (!is_function(&symbol) || symbol.st_shndx == SHN_UNDEF ||
		    symbol.st_name == 0)
			continue;
		for (unsigned i = first_from(search, symbol.st_value);
		     i < search->n_wanted &&
		     search->wanted[i].offset - symbol.st_value < symbol.st_size;
		     i++)
			if (is_better(&symbol, &search->wanted[i].best))
				search->wanted[i].best = symbol;
	}
}

/* Mapping symbols ($x, $d) mark where code and data begin, and name nothing. */
static bool is_label(const struct search *search, const Elf64_Sym *symbol)
{
	char start[2];

	return symbol->st_size > 0 ||
	       (read_name(search, symbol->st_name, start, sizeof start) &&
		start[0] != '$');
}

/* The nearest symbol below the first offset at or above it, in the same section. */
static void note_below(const struct search *search, const Elf64_Sym *symbol)
{
	unsigned i = first_from(search, symbol->st_value);
	struct elf_symbol *wanted = &search->wanted[i];

	if (i == search->n_wanted || symbol->st_shndx != wanted->section ||
	    wanted->n_looks >= MOST_LOOKS || !is_better(symbol, &wanted->below))
		return;
	wanted->n_looks++;
	if (is_label(search, symbol))
		wanted->below = *symbol;
}

/* The nearest symbol below in the section of the offset, if that is one without a size:
 * one of known size that ends before the offset proves that something else lies here. */
static void find_below(const struct search *search)
{
	Elf64_Sym symbol;

	for (uint64_t at = 0; next_symbol(search, at, &symbol); at++)
		if (symbol.st_name != 0 &&
		    (is_function(&symbol) || ELF64_ST_TYPE(symbol.st_info) == STT_NOTYPE))
			note_below(search, &symbol);
	for (unsigned i = 0; i < search->n_wanted; i++) {
		struct elf_symbol *wanted = &search->wanted[i];

		if (i > 0 && wanted->below.st_name == 0 &&
		    wanted[-1].section == wanted->section) {
			wanted->below = wanted[-1].below;
			wanted->n_looks += wanted[-1].n_looks;
		}
		if (wanted->best.st_name == 0 && wanted->below.st_size == 0 &&
		    wanted->n_looks < MOST_LOOKS)
			wanted->best = wanted->below;
	}
}

static bool all_are_found(const struct search *search)
{
	for (unsigned i = 0; i < search->n_wanted; i++)
		if (search->wanted[i].section && search->wanted[i].best.st_name == 0)
			return false;
	return true;
}

static void find_in(struct search *search, const uint8_t *build_id,
		    unsigned build_id_bytes)
{
	Elf64_Ehdr header;

	if (!read_header(search->file, &header) ||
	    !is_same_build(search->file, &header, build_id, build_id_bytes) ||
	    !find_tables(search, &header))
		return;
	find_covering(search);
	if (search->is_complete && !all_are_found(search))
		find_below(search);
	for (unsigned i = 0; i < search->n_wanted; i++) {
		struct elf_symbol *wanted = &search->wanted[i];

		wanted->distance = wanted->offset - wanted->best.st_value;
		wanted->is_found =
			wanted->section && read_name(search, wanted->best.st_name,
						     wanted->name, sizeof wanted->name);
	}
}

void elf_symbols_find(const char *path, const uint8_t *build_id, unsigned build_id_bytes,
		      struct elf_symbol *wanted, unsigned n)
{
	struct file file = {.path = NULL};
	struct search search = {.file = &file, .wanted = wanted, .n_wanted = n};

	if (!open_file(&file, path))
		return;
	find_in(&search, build_id, build_id_bytes);
	close_file(&file);
}
