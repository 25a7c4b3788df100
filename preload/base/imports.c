/* One walk through the loader's list.  The order is that in which names are looked up:
 * behind ourselves stand those that RTLD_NEXT means.  Only what is beyond doubt is
 * answered, a function in a table of DT_GNU_HASH; the rest is left to dlsym(). */
#include "base/imports.h"

#include "base/sections.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#define HIDDEN_VERSION 0x8000 /* an old version, which unversioned lookups pass by */

/* Where the linker put us.  dladdr() would tell, too, but it walks all symbols of the
 * object: 95 % of the instructions of a start when it is asked for each call. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

struct tables {
	const char *base;
	const ElfW(Sym) * symbols;
	const char *strings;
	const uint16_t *versions;
	const uint32_t *gnu_hash;
	const uint32_t *sysv_hash;
	const ElfW(Rela) * relocations[2]; /* of functions called, and all others */
	size_t relocations_bytes[2];
};

#define MAX_NOTED 8

static struct tables noted[MAX_NOTED];
static size_t n_noted;
static struct tables c_library; /* all NULL: not found */
static bool are_noted, is_second, has_rings, has_python, has_ruby;

struct walk {
	struct imports_name *names; /* NULL: only read the list */
	size_t n_names;
	bool is_behind_us, imports_connections;
};

AT_START bool imports_is_ours(const void *address)
{
	return (const char *)address >= __ehdr_start && (const char *)address < _end;
}

static const void *at_address(ElfW(Addr) base, ElfW(Addr) value)
{
	/* glibc has relocated most of these; the vdso's and others' are still offsets. */
	return (const void *)(value < base ? value + base : value);
}

AT_START static void find_tables(ElfW(Addr) base, const ElfW(Dyn) * dynamic,
				 struct tables *found)
{
	*found = (struct tables){.base = (const char *)base};
	for (; dynamic->d_tag != DT_NULL; dynamic++) {
		const void *at = at_address(base, dynamic->d_un.d_ptr);

		if (dynamic->d_tag == DT_SYMTAB)
			found->symbols = at;
		else if (dynamic->d_tag == DT_STRTAB)
			found->strings = at;
		else if (dynamic->d_tag == DT_VERSYM)
			found->versions = at;
		else if (dynamic->d_tag == DT_GNU_HASH)
			found->gnu_hash = at;
		else if (dynamic->d_tag == DT_HASH)
			found->sysv_hash = at;
		else if (dynamic->d_tag == DT_JMPREL)
			found->relocations[0] = at;
		else if (dynamic->d_tag == DT_PLTRELSZ)
			found->relocations_bytes[0] = dynamic->d_un.d_val;
		else if (dynamic->d_tag == DT_RELA)
			found->relocations[1] = at;
		else if (dynamic->d_tag == DT_RELASZ)
			found->relocations_bytes[1] = dynamic->d_un.d_val;
	}
}

/* A call that makes connections, or that only a program with connections makes: a program
 * may get a connection from the one that executed it. */
AT_START static bool is_of_sockets(const char *name)
{
	switch (*name) {
	case 'a':
		return !strcmp(name, "accept") || !strcmp(name, "accept4");
	case 'c':
		return !strcmp(name, "connect");
	case 'g':
		return !strcmp(name, "getpeername");
	case 'l':
		return !strcmp(name, "listen");
	case 'r':
		return !strcmp(name, "recv") || !strcmp(name, "recvfrom") ||
		       !strcmp(name, "recvmsg");
	case 's':
		return !strcmp(name, "send") || !strcmp(name, "sendto") ||
		       !strcmp(name, "sendmsg") || !strcmp(name, "shutdown");
	default:
		return false;
	}
}

AT_START static bool is_such_import(const struct tables *of, uint64_t index)
{
	return of->symbols[index].st_shndx == SHN_UNDEF &&
	       is_of_sockets(of->strings + of->symbols[index].st_name);
}

/* Of a program without symbols of its own, where the linker writes one bucket, empty, and
 * 1 for the first symbol, whatever there is. */
AT_START static bool is_empty(const uint32_t *gnu_hash)
{
	return gnu_hash[0] == 1 && gnu_hash[1] == 1 &&
	       gnu_hash[4 + gnu_hash[2] * sizeof(ElfW(Addr)) / sizeof(*gnu_hash)] == 0;
}

AT_START static bool relocations_import_connections(const struct tables *of)
{
	for (unsigned part = 0; part < 2; part++) {
		const ElfW(Rela) *one = of->relocations[part];
		size_t n = one ? of->relocations_bytes[part] / sizeof(*one) : 0;

		for (; n > 0; n--, one++)
			if (is_such_import(of, ELF64_R_SYM(one->r_info)))
				return true;
	}
	return false;
}

/* Undefined symbols come first in a table of DT_GNU_HASH, below its symoffset. */
AT_START static bool imports_connections(const struct tables *of)
{
	if (of->gnu_hash && is_empty(of->gnu_hash))
		return relocations_import_connections(of);
	uint32_t n = of->gnu_hash    ? of->gnu_hash[1]
		     : of->sysv_hash ? of->sysv_hash[1]
				     : 0;

	for (uint32_t i = 1; i < n; i++)
		if (is_such_import(of, i))
			return true;
	return false;
}

AT_START static uint32_t hash_of(const char *name)
{
	uint32_t hash = 5381;

	while (*name)
		hash = hash * 33 + (unsigned char)*name++;
	return hash;
}

AT_START static bool is_hidden(const struct tables *of, uint32_t index)
{
	return of->versions && (of->versions[index] & HIDDEN_VERSION);
}

/* Whether a lookup of the bare name surely gives this symbol, whose name it is. */
AT_START static bool is_plain_function(const struct tables *of, uint32_t index)
{
	const ElfW(Sym) *symbol = &of->symbols[index];
	unsigned binding = ELF64_ST_BIND(symbol->st_info);

	return symbol->st_shndx != SHN_UNDEF && symbol->st_value != 0 &&
	       ELF64_ST_TYPE(symbol->st_info) == STT_FUNC &&
	       (binding == STB_GLOBAL || binding == STB_WEAK);
}

/* The table: numbers of buckets, of the first symbol, of words of the filter, a shift;
 * then the filter, the buckets, and the hashes, whose lowest bit ends a chain. */
AT_START static void find_name(const struct tables *of, struct imports_name *wanted)
{
	const uint32_t *table = of->gnu_hash;
	const ElfW(Addr) *filter = (const void *)(table + 4);
	const uint32_t *buckets = (const void *)(filter + table[2]);
	const uint32_t *hashes = buckets + table[0];
	uint32_t hash = wanted->hash, bits = 8 * sizeof(*filter);
	ElfW(Addr) word = filter[hash / bits % table[2]];

	if (!(word >> hash % bits & word >> (hash >> table[3]) % bits & 1))
		return;
	uint32_t index = buckets[hash % table[0]];
	for (bool is_last = index < table[1]; !is_last; index++) {
		const ElfW(Sym) *symbol = &of->symbols[index];
		uint32_t theirs = hashes[index - table[1]];

		is_last = theirs & 1;
		if ((theirs | 1) != (hash | 1) || is_hidden(of, index) ||
		    strcmp(of->strings + symbol->st_name, wanted->name) != 0)
			continue;
		if (is_plain_function(of, index))
			wanted->found = (void *)(of->base + symbol->st_value);
		else
			wanted->is_doubtful = true;
		return;
	}
}

AT_START static void find_names(const struct tables *of, struct walk *walk)
{
	for (size_t i = 0; i < walk->n_names; i++) {
		struct imports_name *wanted = &walk->names[i];

		if (wanted->found || wanted->is_doubtful)
			continue;
		if (of->gnu_hash)
			find_name(of, wanted);
		else
			wanted->is_doubtful = true;
	}
}

AT_START static bool is_our_object(const struct dl_phdr_info *object)
{
	for (int i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			return imports_is_ours((const char *)object->dlpi_addr +
					       object->dlpi_phdr[i].p_vaddr);
	return false;
}

AT_START static bool read_tables(const struct dl_phdr_info *object, struct tables *found)
{
	*found = (struct tables){0};
	for (int i = 0; i < object->dlpi_phnum; i++)
		if (object->dlpi_phdr[i].p_type == PT_DYNAMIC)
			find_tables(object->dlpi_addr,
				    (const void *)(object->dlpi_addr +
						   object->dlpi_phdr[i].p_vaddr),
				    found);
	return found->symbols && found->strings;
}

AT_START static void note_object(const struct tables *tables)
{
	if (n_noted < MAX_NOTED && tables->gnu_hash)
		noted[n_noted++] = *tables;
	else
		are_noted = false;
}

AT_START static bool exports(const struct tables *tables, const char *name)
{
	struct imports_name mark = {.name = name, .hash = hash_of(name)};

	if (tables->gnu_hash)
		find_name(tables, &mark);
	return mark.found != NULL;
}

/* Another copy of this library that is loaded before this one, so that the program's
 * calls go there first. */
AT_START static bool is_copy_of_us(const struct tables *tables)
{
	return exports(tables, "sockleak_mark");
}

AT_START static bool is_liburing(const char *path)
{
	const char *name = path;

	for (const char *at = path; *at; at++)
		if (*at == '/')
			name = at + 1;
	return strncmp(name, "liburing", 8) == 0;
}

AT_START static int read_one(struct dl_phdr_info *object, size_t size, void *argument)
{
	struct walk *walk = argument;
	struct tables tables;

	(void)size;
	if (is_our_object(object)) {
		walk->is_behind_us = true;
		return 0;
	}
	/* The vdso defines none of these calls, and on aarch64 it has no DT_GNU_HASH. */
	if (object->dlpi_addr && object->dlpi_addr == getauxval(AT_SYSINFO_EHDR))
		return 0;
	if (!read_tables(object, &tables))
		return 0;
	has_rings |= is_liburing(object->dlpi_name);
	has_python = has_python || exports(&tables, "PyGILState_GetThisThreadState");
	has_ruby = has_ruby || exports(&tables, "rb_profile_frames");
	/* glibc before 2.35 does not tell in which object an address is. */
	if (!c_library.symbols && exports(&tables, "gnu_get_libc_version"))
		c_library = tables;
	if (walk->names && walk->is_behind_us) {
		find_names(&tables, walk);
	} else if (!walk->names) {
		walk->imports_connections =
			walk->imports_connections || imports_connections(&tables);
		if (walk->is_behind_us)
			note_object(&tables);
		else if (is_copy_of_us(&tables))
			is_second = true;
	}
	return 0;
}

/* Of the object that an address is in, if it exports `mark`. */
AT_START static bool find_object(const void *address, const char *mark,
				 struct tables *found)
{
	struct imports_extent extent;

	if (!&imports_extent_of || imports_extent_of((void *)address, &extent) != 0)
		return false;
	const struct link_map *object = (const struct link_map *)extent.others[0];
	find_tables(object->l_addr, object->l_ld, found);
	return found->symbols && found->strings && exports(found, mark);
}

/* The loader's list cannot be asked for it: that is one of the calls to be found. */
AT_START static void find_c_library(void)
{
	struct tables tables;

	if (find_object((void *)__errno_location, "gnu_get_libc_version", &tables))
		c_library = tables;
}

struct libc_own libc_own = {dlsym, dlopen, dl_iterate_phdr};

#define FIND(name)                                                                       \
	do {                                                                             \
		void *own_##name = imports_of_libc(#name);                               \
		if (own_##name)                                                          \
			libc_own.name = (__typeof__(libc_own.name))own_##name;           \
	} while (0)

/* A sanitizer's runtime wants to see the calls of what was built for it. */
AT_START static void find_libc_own(void)
{
	find_c_library();
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
	FIND(dlsym);
	FIND(dlopen);
	FIND(dl_iterate_phdr);
#endif
}

AT_START bool imports_read(void)
{
	struct walk walk = {NULL, 0, false, false};

	find_libc_own();
	n_noted = 0;
	are_noted = true;
	is_second = false;
	libc_own.dl_iterate_phdr(read_one, &walk);
	return walk.imports_connections;
}

AT_START bool imports_we_are_second(void)
{
	return is_second;
}

bool imports_has_rings(void)
{
	return has_rings;
}

AT_START bool imports_has_python(void)
{
	return has_python;
}

AT_START bool imports_has_ruby(void)
{
	return has_ruby;
}

AT_START bool imports_are_noted(void)
{
	return are_noted;
}

AT_START void imports_find(struct imports_name *names, size_t n_names)
{
	struct walk walk = {names, n_names, false, false};

	for (size_t i = 0; i < n_names; i++) {
		names[i].found = NULL;
		names[i].is_doubtful = false;
		names[i].hash = hash_of(names[i].name);
	}
	if (!are_noted)
		libc_own.dl_iterate_phdr(read_one, &walk);
	for (size_t i = 0; are_noted && i < n_noted; i++)
		find_names(&noted[i], &walk);
}

AT_START void *imports_of_libc(const char *name)
{
	struct imports_name wanted = {.name = name, .hash = hash_of(name)};

	if (c_library.gnu_hash)
		find_name(&c_library, &wanted);
	return wanted.found;
}

int imports_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			   void *(*run)(void *), void *argument)
{
	__typeof__(&pthread_create) create = imports_of_libc("pthread_create");
	struct tables tables;

	if (!create || find_object((const void *)pthread_create,
				   "__sanitizer_set_report_path", &tables))
		create = pthread_create;
	return create(thread, attributes, run, argument);
}
