/* DWARF, read as far as it is asked for: of a file the ranges of all compilation units
 * (their first DIE each); of a unit the ranges of its functions once an address falls
 * into it, and its line table.  .debug_aranges is not used: clang writes none, and the
 * units' own ranges cost a few milliseconds in a file of 150 MB. */
#include "symbols/units.h"

#include "support/say.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <stdlib.h>

/* Namespaces in each other; a damaged file may nest for ever. */
#define MAX_NESTING 64

struct unit {
	Dwarf_Die cu;           /* of the line table */
	Dwarf_Die code;         /* of the functions: another one in split DWARF */
	struct spans functions; /* what: offset of the DIE in its section */
	const char *directory;  /* of the compilation; NULL = not told */
	bool is_open;           /* the functions were looked for */
	bool is_cplusplus;
};

struct units {
	struct unit *at; /* owned */
	size_t n;
	struct spans spans; /* what: index */
};

/* A linker that drops a function leaves its debug information at address 0 or 1, or at
 * the end of the address space: outside of all code, but its range may reach in. */
static void add_ranges(const struct spans *code, Dwarf_Die *die, uint64_t what,
		       struct spans *spans)
{
	Dwarf_Addr base, low, high;
	for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &low, &high)) > 0;) {
		if (low != 0 && spans_next(code, low, NULL))
			spans_add(spans, low, high, what);
	}
}

static bool speaks_cplusplus(Dwarf_Die *cu)
{
	switch (dwarf_srclang(cu)) {
	case DW_LANG_C_plus_plus:
	case DW_LANG_C_plus_plus_03:
	case DW_LANG_C_plus_plus_11:
	case DW_LANG_C_plus_plus_14:
		return true;
	default:
		return false;
	}
}

static void find_units(struct units *units, const struct debug_file *file)
{
	Dwarf_Addr bias = 0;
	Dwarf_CU *cu = NULL;
	uint8_t type;
	Dwarf_Die die;
	Dwarf *dwarf = dwfl_module_getdwarf(file->file, &bias);
	if (!dwarf || bias != 0)
		return;
	while (dwarf_get_units(dwarf, cu, &cu, NULL, &type, &die, NULL) == 0) {
		if (type != DW_UT_compile && type != DW_UT_skeleton)
			continue;
		units->at = say_one_more(units->at, units->n, sizeof *units->at);
		units->at[units->n] = (struct unit){.cu = die};
		add_ranges(&file->code, &die, units->n++, &units->spans);
	}
	spans_sort(&units->spans);
}

static bool may_hold_functions(int tag)
{
	switch (tag) {
	case DW_TAG_namespace:
	case DW_TAG_module:
	case DW_TAG_class_type:
	case DW_TAG_structure_type:
	case DW_TAG_union_type:
		return true;
	default:
		return false;
	}
}

static void find_functions(const struct spans *code, Dwarf_Die *parent,
			   struct spans *functions, unsigned depth)
{
	Dwarf_Die die;
	if (depth > MAX_NESTING || dwarf_child(parent, &die) != 0)
		return;
	do {
		int tag = dwarf_tag(&die);
		if (tag == DW_TAG_subprogram)
			add_ranges(code, &die, dwarf_dieoffset(&die), functions);
		else if (may_hold_functions(tag))
			find_functions(code, &die, functions, depth + 1);
	} while (dwarf_siblingof(&die, &die) == 0);
}

/* Finds the functions of a unit once; in split DWARF they are in a file of their own. */
static void open_unit(const struct spans *code, struct unit *unit)
{
	uint8_t type;
	Dwarf_Die cu, split;
	if (unit->is_open)
		return;
	unit->is_open = true;
	unit->code = unit->cu;
	unit->directory = dwarf_formstring(
		dwarf_attr(&unit->cu, DW_AT_comp_dir, &(Dwarf_Attribute){0}));
	if (dwarf_cu_info(unit->cu.cu, NULL, &type, &cu, &split, NULL, NULL, NULL) == 0 &&
	    type == DW_UT_skeleton && dwarf_tag(&split) == DW_TAG_compile_unit)
		unit->code = split;
	unit->is_cplusplus = speaks_cplusplus(&unit->code);
	find_functions(code, &unit->code, &unit->functions, 0);
	spans_sort(&unit->functions);
}

/* The innermost inlined function, or block that may hold one, below `parent` at the
 * offset; false = none. */
static bool find_inner(Dwarf_Die *parent, uint64_t offset, Dwarf_Die *inner)
{
	if (dwarf_child(parent, inner) != 0)
		return false;
	do {
		int tag = dwarf_tag(inner);
		if ((tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
		     tag == DW_TAG_try_block || tag == DW_TAG_catch_block) &&
		    dwarf_haspc(inner, offset) > 0)
			return true;
	} while (dwarf_siblingof(inner, inner) == 0);
	return false;
}

/* C++ gives static functions no linkage name: the symbol at their start may say more. */
static void name_function(const struct unit *unit, Dwarf_Die *die,
			  struct unit_frame *frame)
{
	Dwarf_Attribute attribute;
	*frame = (struct unit_frame){0};
	frame->function = dwarf_formstring(
		dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute));
	if (!frame->function)
		frame->function = dwarf_formstring(
			dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute));
	if (frame->function)
		return;
	frame->function = dwarf_diename(die);
	if (!unit->is_cplusplus || dwarf_tag(die) != DW_TAG_subprogram ||
	    dwarf_entrypc(die, &frame->named_at) != 0)
		frame->named_at = 0;
}

/* The line in the outer function at which `inlined` was called. */
static void find_call_line(const struct unit *unit, Dwarf_Die *inlined,
			   struct unit_frame *outer)
{
	Dwarf_Attribute attribute;
	Dwarf_Word line = 0, index = 0;
	Dwarf_Die die;
	Dwarf_Files *files;
	size_t n_files;
	dwarf_formudata(dwarf_attr(inlined, DW_AT_call_line, &attribute), &line);
	if (dwarf_formudata(dwarf_attr(inlined, DW_AT_call_file, &attribute), &index) ==
		    0 &&
	    dwarf_diecu(inlined, &die, NULL, NULL) &&
	    dwarf_getsrcfiles(&die, &files, &n_files) == 0 && index < n_files) {
		outer->file = dwarf_filesrc(files, index, NULL, NULL);
		outer->directory = unit->directory;
		outer->line = (unsigned)line;
	}
}

static size_t find_inlined(const struct unit *unit, Dwarf_Die *function, uint64_t offset,
			   struct unit_frame *frames)
{
	Dwarf_Die die = *function, inner;
	size_t n = 0;
	name_function(unit, &die, &frames[n++]);
	while (n < UNITS_MAX_FRAMES && find_inner(&die, offset, &inner)) {
		if (dwarf_tag(&inner) == DW_TAG_inlined_subroutine) {
			find_call_line(unit, &inner, &frames[n - 1]);
			name_function(unit, &inner, &frames[n++]);
		}
		die = inner;
	}
	return n;
}

static void find_line(struct unit *unit, uint64_t offset, struct unit_frame *innermost)
{
	int number = 0;
	Dwarf_Line *line = dwarf_getsrc_die(&unit->cu, offset);
	if (!line)
		return;
	innermost->file = dwarf_linesrc(line, NULL, NULL);
	innermost->directory = unit->directory;
	if (dwarf_lineno(line, &number) == 0 && number > 0)
		innermost->line = (unsigned)number;
}

/* 0 if the unit describes no function at the offset. */
static size_t find_in_unit(const struct spans *code, struct unit *unit, uint64_t offset,
			   struct unit_frame *frames)
{
	open_unit(code, unit);
	const struct span *span = spans_smallest(&unit->functions, offset);
	Dwarf_Die function;
	if (!span ||
	    !dwarf_offdie(dwarf_cu_getdwarf(unit->code.cu), span->what, &function))
		return 0;
	size_t n = find_inlined(unit, &function, offset, frames);
	find_line(unit, offset, &frames[n - 1]);
	return n;
}

struct units *units_open(const struct debug_file *file)
{
	struct units *units = say_calloc(1, sizeof *units);
	find_units(units, file);
	return units;
}

size_t units_find(struct units *units, const struct debug_file *file, uint64_t offset,
		  struct unit_frame frames[UNITS_MAX_FRAMES])
{
	const struct span *span = NULL;
	while ((span = spans_next(&units->spans, offset, span))) {
		size_t n =
			find_in_unit(&file->code, &units->at[span->what], offset, frames);
		if (n > 0)
			return n;
	}
	/* Assembly has lines, but no function that DWARF knows. */
	span = spans_smallest(&units->spans, offset);
	if (!span)
		return 0;
	frames[0] = (struct unit_frame){0};
	open_unit(&file->code, &units->at[span->what]);
	find_line(&units->at[span->what], offset, &frames[0]);
	return 1;
}

void units_close(struct units *units)
{
	if (!units)
		return;
	for (size_t i = 0; i < units->n; i++)
		spans_free(&units->at[i].functions);
	spans_free(&units->spans);
	free(units->at);
	free(units);
}
