/* Names and lines of code addresses: what is kept, and which name is believed.
 *
 * Theory of operation.  debug_files.c finds the files of a module and believes them by
 * their build-id; units.c asks DWARF; here the two and the symbol table give the frames
 * of one address, and spans.c searches ranges for all of them.  Nothing is known of
 * sockets. A function's name comes from DWARF where the address is in a function that
 * DWARF describes (units.c), else from a symbol that really covers it (its size says so),
 * else there is none.  A module's file is opened when its first address comes. */
#include "symbols/symbols.h"

#include "common/text.h"
#include "support/paths.h"
#include "support/say.h"
#include "symbols/units.h"

#include <libiberty/demangle.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct place { /* what symbols_find() found at one offset */
	uint64_t offset;
	size_t n;
	struct symbol_frame *frames; /* owned */
	UT_hash_handle hh;
};

struct module {
	char *key; /* owned: build-id and path */
	struct debug_file file;
	struct units *units;  /* owned; NULL = not asked for */
	struct spans symbols; /* what: index for libdwfl */
	bool has_symbols;     /* they were looked for */
	struct place *places;
	UT_hash_handle hh;
};

struct kept { /* a string made here */
	struct kept *next;
	char text[];
};

struct symbols {
	struct debug_search search;
	struct module *modules;
	struct kept *kept;
};

static const char *keep(struct symbols *symbols, const char *string, size_t bytes)
{
	struct kept *kept = say_calloc(1, sizeof *kept + bytes + 1);
	memcpy(kept->text, string, bytes);
	kept->next = symbols->kept;
	symbols->kept = kept;
	return kept->text;
}

/* Of Rust (without the hash that older compilers append) or C++; to be freed.  NULL = it is
 * neither. */
static char *demangled(const char *name)
{
	if (strncmp(name, "_Z", 2) != 0 && strncmp(name, "_R", 2) != 0)
		return NULL;
	char *rust = rust_demangle(name, 0);

	return rust ? rust : cplus_demangle_v3(name, DMGL_PARAMS | DMGL_ANSI);
}

/* The name as its author wrote it: demangled, without the compiler's "[clone ...]" and
 * the linker's "@VERSION". */
static const char *readable(struct symbols *symbols, const char *name)
{
	if (name && strchr(name, '@'))
		name = keep(symbols, name, strcspn(name, "@"));
	char *plain = name ? demangled(name) : NULL;
	if (!plain)
		return name;
	char *clone = strstr(plain, " [clone ");
	const char *kept =
		keep(symbols, plain, clone ? (size_t)(clone - plain) : strlen(plain));
	free(plain);
	return kept;
}

static const char *source_path(struct symbols *symbols, const struct unit_frame *frame)
{
	if (!frame->file)
		return NULL;
	char *path = paths_join(frame->directory, frame->file);
	const char *kept = keep(symbols, path, strlen(path));
	free(path);
	return kept;
}

/* --- symbol tables --- */

static void find_symbols(struct module *module)
{
	module->has_symbols = true;
	int n = dwfl_module_getsymtab(module->file.file);
	for (int i = 1; i < n; i++) {
		GElf_Sym symbol;
		GElf_Addr at;
		GElf_Word section;
		const char *name = dwfl_module_getsym_info(module->file.file, i, &symbol,
							   &at, &section, NULL, NULL);
		int type = GELF_ST_TYPE(symbol.st_info);
		if (name && *name && section != SHN_UNDEF &&
		    (type == STT_FUNC || type == STT_GNU_IFUNC))
			spans_add(&module->symbols, symbol.st_value,
				  symbol.st_value + symbol.st_size, (uint64_t)i);
	}
	spans_sort(&module->symbols);
}

static const char *symbol_name(const struct module *module, const struct span *span,
			       int *binding)
{
	GElf_Sym symbol;
	GElf_Addr at;
	const char *name = dwfl_module_getsym_info(module->file.file, (int)span->what,
						   &symbol, &at, NULL, NULL, NULL);
	*binding = GELF_ST_BIND(symbol.st_info);
	return name;
}

/* Of several names for the same code the one others link to, and of those the one
 * without the underscores of its library's insides. */
static bool is_better_name(const char *name, int binding, const char *best,
			   int best_binding)
{
	bool is_inside = name[0] == '_', best_is_inside = best[0] == '_';
	if ((binding == STB_LOCAL) != (best_binding == STB_LOCAL))
		return best_binding == STB_LOCAL;
	if (is_inside != best_is_inside)
		return best_is_inside;
	return strcmp(name, best) < 0;
}

/* The symbol that covers `offset`, the smallest if they nest; NULL if none does. */
static const char *covering_symbol(struct module *module, uint64_t offset,
				   uint64_t *start)
{
	if (!module->has_symbols)
		find_symbols(module);
	const struct span *smallest = spans_smallest(&module->symbols, offset);
	const char *best = NULL;
	int best_binding = STB_LOCAL;
	for (const struct span *span = NULL;
	     smallest && (span = spans_next(&module->symbols, offset, span));) {
		int binding;
		const char *name = symbol_name(module, span, &binding);
		if (span->low == smallest->low && span->high == smallest->high && name &&
		    (!best || is_better_name(name, binding, best, best_binding))) {
			best = name;
			best_binding = binding;
		}
	}
	if (best)
		*start = smallest->low;
	return best;
}

/* --- the frames of an offset --- */

/* C++ gives static functions no linkage name in DWARF; the symbol at their start, if the
 * file still has it, says their namespace and arguments. */
static const char *function_name(struct symbols *symbols, struct module *module,
				 const struct unit_frame *frame)
{
	const char *name = frame->function;
	uint64_t start;
	if (frame->named_at) {
		const char *symbol = covering_symbol(module, frame->named_at, &start);
		if (symbol && start == frame->named_at && strncmp(symbol, "_Z", 2) == 0)
			name = symbol;
	}
	return readable(symbols, name);
}

static void resolve(struct symbols *symbols, struct module *module, struct place *place)
{
	struct unit_frame found[UNITS_MAX_FRAMES] = {0};
	uint64_t start = place->offset;
	bool is_code = module->file.dwfl &&
		       spans_next(&module->file.code, place->offset, NULL) != NULL;
	if (is_code && !module->units)
		module->units = units_open(&module->file);
	if (is_code)
		place->n = units_find(module->units, &module->file, place->offset, found);
	if (place->n == 0)
		place->n = 1;
	if (is_code && !found[0].function)
		found[0].function = covering_symbol(module, place->offset, &start);
	place->frames = say_calloc(place->n, sizeof *place->frames);
	for (size_t i = 0; i < place->n; i++) {
		place->frames[place->n - 1 - i] = (struct symbol_frame){
			.function = function_name(symbols, module, &found[i]),
			.file = source_path(symbols, &found[i]),
			.line = found[i].line,
			.inlined = i > 0};
	}
	place->frames[place->n - 1].distance = place->offset - start;
}

/* --- the whole --- */

struct symbols *symbols_open(void)
{
	struct symbols *symbols = say_calloc(1, sizeof *symbols);
	debug_search_open(&symbols->search);
	return symbols;
}

static char *module_key(const char *path, const uint8_t *build_id, unsigned bytes)
{
	char *key = say_calloc(2 * (size_t)bytes + strlen(path) + 3, 1), *at = key;
	*at++ = build_id ? 'b' : '-';
	for (unsigned i = 0; build_id && i < bytes; i++, at += 2) {
		at[0] = "0123456789abcdef"[build_id[i] >> 4];
		at[1] = "0123456789abcdef"[build_id[i] & 15];
	}
	*at++ = ' ';
	strcpy(at, path);
	return key;
}

static struct module *find_module(struct symbols *symbols, const char *path,
				  const uint8_t *build_id, unsigned build_id_bytes)
{
	struct module *module;
	char *key = module_key(path, build_id, build_id_bytes);
	HASH_FIND_STR(symbols->modules, key, module);
	if (module) {
		free(key);
		return module;
	}
	module = say_calloc(1, sizeof *module);
	module->key = key;
	module->file = debug_file_open(&symbols->search, path, build_id, build_id_bytes);
	HASH_ADD_KEYPTR(hh, symbols->modules, module->key, strlen(module->key), module);
	return module;
}

size_t symbols_find(struct symbols *symbols, const char *module_path,
		    const uint8_t *build_id, unsigned build_id_bytes, uint64_t offset,
		    const struct symbol_frame **frames)
{
	static const struct symbol_frame unknown;
	struct module *module;
	struct place *place;
	*frames = &unknown;
	if (!module_path)
		return 1;
	module = find_module(symbols, module_path, build_id, build_id_bytes);
	HASH_FIND(hh, module->places, &offset, sizeof offset, place);
	if (!place) {
		place = say_calloc(1, sizeof *place);
		place->offset = offset;
		resolve(symbols, module, place);
		HASH_ADD(hh, module->places, offset, sizeof place->offset, place);
	}
	*frames = place->frames;
	return place->n;
}

bool symbols_is_at(struct symbols *symbols, const char *module_path,
		   const uint8_t *build_id, unsigned build_id_bytes)
{
	return find_module(symbols, module_path, build_id, build_id_bytes)->file.is_own;
}

/* Whether the library calls the symbol so in its log. */
static bool is_logged_as(const char *symbol, const char *function)
{
	char name[TEXT_NAME_BYTES] = "", logged[4 * TEXT_NAME_BYTES];
	struct text text = {.at = logged, .size = sizeof logged - 1};
	size_t bytes = strcspn(symbol, "@");
	if (bytes >= sizeof name)
		bytes = sizeof name - 1;
	memcpy(name, symbol, bytes);
	text_escaped(&text, name);
	logged[text.used] = 0;
	return !strcmp(logged, function);
}

bool symbols_agree(struct symbols *symbols, const char *module_path, uint64_t offset,
		   const char *function, uint64_t distance)
{
	struct module *module = find_module(symbols, module_path, NULL, 0);
	if (!module->file.dwfl)
		return true;
	if (!module->has_symbols)
		find_symbols(module);
	for (const struct span *span = NULL;
	     (span = spans_next(&module->symbols, offset, span));) {
		int binding;
		const char *name = symbol_name(module, span, &binding);
		if (name && span->low == offset - distance &&
		    is_logged_as(name, function))
			return true;
	}
	return false;
}

static void close_module(struct module *module)
{
	struct place *place, *next;
	HASH_ITER(hh, module->places, place, next)
	{
		HASH_DEL(module->places, place);
		free(place->frames);
		free(place);
	}
	units_close(module->units);
	spans_free(&module->symbols);
	debug_file_close(&module->file);
	free(module->key);
	free(module);
}

void symbols_close(struct symbols *symbols)
{
	struct module *module, *next;
	if (!symbols)
		return;
	HASH_ITER(hh, symbols->modules, module, next)
	{
		HASH_DEL(symbols->modules, module);
		close_module(module);
	}
	for (struct kept *kept = symbols->kept; kept; kept = symbols->kept) {
		symbols->kept = kept->next;
		free(kept);
	}
	debug_search_close(&symbols->search);
	free(symbols);
}
