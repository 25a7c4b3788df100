/* Function names from the symbol tables of ELF files.
 *
 * A file is taken as hostile: nothing it says is believed before it was compared with the
 * file's size, every loop is bounded by a named limit, and it is read with pread through
 * one window (a mapping would kill the host when the file shrinks).  So the memory
 * needed does not grow with the symbol table.
 *
 * A name is given only where a symbol says that it covers the offset, or, for the
 * hand-written code whose symbols have no size, where the nearest symbol below is such a
 * one.  The exported neighbour of a stripped static function would be a wrong name. */
#include "names.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "arena.h"
#include "guard.h"

#define WINDOW_BYTES (256 * 1024)
#define MOST_SECTIONS                                                                    \
	(1 << 20) /* a chunk of -ffunction-sections code has 65 thousand                 \
		   */
#define MOST_SEGMENTS 4096
#define MOST_SYMBOLS  (1 << 25) /* 800 MB of them */
#define MOST_LOOKS    10000     /* names read in one search for a symbol without size */
#define NOTE_BYTES    4096 /* of a segment of notes; the build-id stands in the front */

struct file {
	int fd;
	uint64_t size;
	char *window; /* WINDOW_BYTES */
	uint64_t at;  /* where in the file the window lies */
	size_t used;  /* bytes of it that are filled */
};

static bool read_exactly(const struct file *file, void *to, size_t bytes, uint64_t at)
{
	if (at > file->size || bytes > file->size - at)
		return false;
	for (size_t done = 0; done < bytes;) {
		long n = guard_sys(SYS_pread64, file->fd, (char *)to + done, bytes - done,
				   at + done);

		if (n <= 0)
			return false;
		done += (size_t)n;
		guard_progressed();
	}
	return true;
}

/* A row of a table in the file, through the window; a copy, since nothing in the file is
 * aligned for certain.  false = the file has no such row. */
static bool row(struct file *file, uint64_t table, uint64_t index, size_t bytes, void *to)
{
	uint64_t at;

	if (__builtin_mul_overflow(index, bytes, &at) ||
	    __builtin_add_overflow(at, table, &at) || at > file->size)
		return false;
	if (at < file->at || at + bytes > file->at + file->used) {
		uint64_t left = file->size - at;

		file->at = at;
		file->used = 0;
		if (left > WINDOW_BYTES)
			left = WINDOW_BYTES;
		if (left < bytes || !read_exactly(file, file->window, left, at))
			return false;
		file->used = (size_t)left;
	}
	memcpy(to, file->window + (at - file->at), bytes);
	return true;
}

static bool open_file(struct file *file, const char *path)
{
	struct stat status;
	int fd = (int)guard_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);

	if (fd < 0)
		return false;
	if (guard_sys(SYS_fstat, fd, &status) == 0 && S_ISREG(status.st_mode)) {
		file->fd = fd;
		file->size = (uint64_t)status.st_size;
		file->window = arena_map(WINDOW_BYTES);
		if (file->window)
			return true;
	}
	guard_sys(SYS_close, fd);
	return false;
}

static void close_file(const struct file *file)
{
	arena_unmap(file->window, WINDOW_BYTES);
	guard_sys(SYS_close, file->fd);
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
		file->used = 0; /* the notes take the window's place */
		if (read_exactly(file, file->window, n, segment.p_offset) &&
		    find_build_id(file->window, n, segment.p_align == 8 ? 8 : 4, &id,
				  &id_bytes))
			return id_bytes == build_id_bytes &&
			       memcmp(id, build_id, id_bytes) == 0;
	}
	return build_id_bytes == 0;
}

/* Where names are looked for. */
struct tables {
	Elf64_Shdr symbols, strings;
	uint64_t code_section; /* index of the section that holds the offset */
	bool is_complete;      /* .symtab: static functions too */
};

static uint64_t n_sections(struct file *file, const Elf64_Ehdr *header)
{
	Elf64_Shdr first;

	if (header->e_shnum > 0 || header->e_shoff == 0)
		return header->e_shnum;
	if (!row(file, header->e_shoff, 0, sizeof first, &first))
		return 0;
	return first.sh_size < MOST_SECTIONS ? first.sh_size : MOST_SECTIONS;
}

static bool holds(const Elf64_Shdr *section, uint64_t offset)
{
	return (section->sh_flags & SHF_ALLOC) && (section->sh_flags & SHF_EXECINSTR) &&
	       offset >= section->sh_addr && offset - section->sh_addr < section->sh_size;
}

static bool find_tables(struct file *file, const Elf64_Ehdr *header, uint64_t offset,
			struct tables *tables)
{
	uint64_t n = n_sections(file, header);
	bool have_symbols = false;
	Elf64_Shdr section;

	memset(tables, 0, sizeof *tables);
	for (uint64_t i = 0; i < n; i++) {
		if (!row(file, header->e_shoff, i, sizeof section, &section))
			return false;
		if (holds(&section, offset))
			tables->code_section = i;
		if (section.sh_entsize != sizeof(Elf64_Sym))
			continue;
		if (section.sh_type == SHT_SYMTAB ||
		    (section.sh_type == SHT_DYNSYM && !have_symbols)) {
			tables->symbols = section;
			tables->is_complete = section.sh_type == SHT_SYMTAB;
			have_symbols = true;
		}
	}
	return have_symbols && tables->code_section != 0 && tables->symbols.sh_link < n &&
	       row(file, header->e_shoff, tables->symbols.sh_link, sizeof tables->strings,
		   &tables->strings) &&
	       tables->strings.sh_type == SHT_STRTAB;
}

/* The name at `st_name`, without the version behind an '@'; false = it has none, or it
 * is not terminated inside its table.  Longer ones are cut. */
static bool read_name(const struct file *file, const struct tables *tables,
		      uint32_t st_name, char *name, size_t size)
{
	const Elf64_Shdr *strings = &tables->strings;
	size_t n = size;

	if (size == 0 || st_name == 0 || st_name >= strings->sh_size)
		return false;
	if (n > strings->sh_size - st_name)
		n = (size_t)(strings->sh_size - st_name);
	if (strings->sh_offset > file->size ||
	    !read_exactly(file, name, n, strings->sh_offset + st_name))
		return false;
	if (!memchr(name, 0, n) && n < size)
		return false;
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

static uint64_t n_symbols(const struct tables *tables)
{
	uint64_t n = tables->symbols.sh_size / sizeof(Elf64_Sym);

	return n < MOST_SYMBOLS ? n : MOST_SYMBOLS;
}

/* The function whose size reaches over the offset.  Its section is not asked for: linkers
 * disagree about it for code they moved. */
static bool find_covering(struct file *file, const struct tables *tables, uint64_t offset,
			  Elf64_Sym *best)
{
	uint64_t n = n_symbols(tables);

	memset(best, 0, sizeof *best);
	for (uint64_t i = 0; i < n; i++) {
		Elf64_Sym symbol;

		if (!row(file, tables->symbols.sh_offset, i, sizeof symbol, &symbol))
			break;
		if (is_function(&symbol) && symbol.st_shndx != SHN_UNDEF &&
		    symbol.st_name != 0 && offset >= symbol.st_value &&
		    offset - symbol.st_value < symbol.st_size && is_better(&symbol, best))
			*best = symbol;
	}
	return best->st_name != 0;
}

/* Mapping symbols ($x, $d) mark where code and data begin, and name nothing. */
static bool is_label(const struct file *file, const struct tables *tables,
		     const Elf64_Sym *symbol)
{
	char start[2];

	return symbol->st_size > 0 ||
	       (read_name(file, tables, symbol->st_name, start, sizeof start) &&
		start[0] != '$');
}

/* The nearest symbol below in the section of the offset, if that is one without a size:
 * one of known size that ends before the offset proves that something else lies here. */
static bool find_below(struct file *file, const struct tables *tables, uint64_t offset,
		       Elf64_Sym *best)
{
	uint64_t n = tables->is_complete ? n_symbols(tables) : 0;
	unsigned looks = 0;

	memset(best, 0, sizeof *best);
	for (uint64_t i = 0; i < n && looks < MOST_LOOKS; i++) {
		Elf64_Sym symbol;

		if (!row(file, tables->symbols.sh_offset, i, sizeof symbol, &symbol))
			break;
		if (!is_function(&symbol) && ELF64_ST_TYPE(symbol.st_info) != STT_NOTYPE)
			continue;
		if (symbol.st_shndx != tables->code_section || symbol.st_name == 0 ||
		    symbol.st_value > offset || !is_better(&symbol, best))
			continue;
		looks++;
		if (is_label(file, tables, &symbol))
			*best = symbol;
	}
	return best->st_name != 0 && best->st_size == 0 && looks < MOST_LOOKS;
}

static bool find_in(struct file *file, const uint8_t *build_id, unsigned build_id_bytes,
		    uint64_t offset, char *name, size_t size, uint64_t *distance)
{
	struct tables tables;
	Elf64_Ehdr header;
	Elf64_Sym symbol;

	if (!read_header(file, &header) ||
	    !is_same_build(file, &header, build_id, build_id_bytes) ||
	    !find_tables(file, &header, offset, &tables) ||
	    (!find_covering(file, &tables, offset, &symbol) &&
	     !find_below(file, &tables, offset, &symbol)) ||
	    !read_name(file, &tables, symbol.st_name, name, size))
		return false;
	*distance = offset - symbol.st_value;
	return true;
}

bool names_find(const char *path, const uint8_t *build_id, unsigned build_id_bytes,
		uint64_t offset, char *name, size_t size, uint64_t *distance)
{
	struct file file = {.fd = -1};
	bool found;

	if (!open_file(&file, path))
		return false;
	found = find_in(&file, build_id, build_id_bytes, offset, name, size, distance);
	close_file(&file);
	return found;
}
