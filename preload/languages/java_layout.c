/* libjvm.so has tables for debuggers: of fields, with their type, their name, and their
 * offset or address; of the sizes of types; of constants.  What the offsets in their own
 * rows are is exported, too. */
#include "languages/java_layout.h"

#include "base/imports.h"
#include "base/sections.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

ARENA_TABLE struct java_layout java_layout;
struct java_machine java_machine;

static const struct java_machine *const machine = &java_machine;

struct wanted {
	const char *type, *field; /* of a type's size, or a constant: NULL */
	size_t member;
	bool may_be_absent;
};

#define FIELD(type, field, member)                                                       \
	{                                                                                \
		type, field, offsetof(struct java_layout, member), false                 \
	}
#define SOME(type, field, member)                                                        \
	{                                                                                \
		type, field, offsetof(struct java_layout, member), true                  \
	}
static const struct wanted fields[] = {
	SOME("JavaThread", "_osthread", thread_os),
	SOME("Thread", "_osthread", thread_os),
	FIELD("JavaThread", "_anchor", thread_anchor),
	FIELD("JavaThread", "_thread_state", thread_state),
	SOME("JavaThread", "_stack_base", thread_stack_base),
	SOME("Thread", "_stack_base", thread_stack_base),
	SOME("JavaThread", "_stack_size", thread_stack_size),
	SOME("Thread", "_stack_size", thread_stack_size),
	FIELD("JavaThread", "_vframe_array_head", thread_vframes),
	FIELD("OSThread", "_thread_id", os_thread_id),
	FIELD("OSThread", "_pthread_id", os_pthread),
	FIELD("JavaFrameAnchor", "_last_Java_sp", anchor_sp),
	FIELD("JavaFrameAnchor", "_last_Java_pc", anchor_pc),
	FIELD("JavaFrameAnchor", "_last_Java_fp", anchor_fp),
	FIELD("CodeHeap", "_memory", heap_memory),
	FIELD("CodeHeap", "_segmap", heap_segments),
	FIELD("CodeHeap", "_log2_segment_size", heap_shift),
	FIELD("VirtualSpace", "_low", space_low),
	FIELD("VirtualSpace", "_high", space_high),
	FIELD("HeapBlock::Header", "_used", block_used),
	FIELD("CodeBlob", "_name", blob_name),
	FIELD("CodeBlob", "_size", blob_size),
	SOME("CodeBlob", "_code_begin", blob_code_begin),
	SOME("CodeBlob", "_code_end", blob_code_end),
	SOME("CodeBlob", "_code_offset", blob_code_offset),
	FIELD("CodeBlob", "_data_offset", blob_data_offset),
	FIELD("CodeBlob", "_frame_size", blob_frame_size),
	SOME("CodeBlob", "_mutable_data", blob_mutable),
	SOME("CodeBlob", "_mutable_data_size", blob_mutable_size),
	SOME("CodeBlob", "_relocation_size", blob_relocation_size),
	SOME("CompiledMethod", "_method", method_of),
	SOME("nmethod", "_method", method_of),
	FIELD("nmethod", "_compile_id", compile_id),
	FIELD("nmethod", "_orig_pc_offset", original_pc),
	FIELD("nmethod", "_scopes_pcs_offset", pcs),
	SOME("CompiledMethod", "_scopes_data_begin", scopes_begin),
	SOME("CompiledMethod", "_deopt_handler_begin", deopt_begin),
	SOME("CompiledMethod", "_deopt_mh_handler_begin", deopt_mh_begin),
	SOME("nmethod", "_dependencies_offset", dependencies),
	SOME("nmethod", "_metadata_offset", metadata),
	SOME("nmethod", "_immutable_data", immutable),
	SOME("nmethod", "_immutable_data_size", immutable_size),
	SOME("nmethod", "_scopes_data_offset", scopes),
	SOME("nmethod", "_deopt_handler_offset", deopt),
	SOME("nmethod", "_deopt_mh_handler_offset", deopt_mh),
	FIELD("PcDesc", "_pc_offset", pc_offset),
	FIELD("PcDesc", "_scope_decode_offset", pc_scope),
	FIELD("Method", "_constMethod", method_const),
	FIELD("Method", "_access_flags", method_access),
	FIELD("ConstMethod", "_constants", const_pool),
	SOME("ConstMethod", "_flags", const_flags),
	SOME("ConstMethod", "_flags._flags", const_new_flags),
	FIELD("ConstMethod", "_code_size", const_code_size),
	FIELD("ConstMethod", "_name_index", const_name),
	FIELD("ConstMethod", "_constMethod_size", const_words),
	FIELD("ConstantPool", "_pool_holder", pool_holder),
	FIELD("ConstantPool", "_source_file_name_index", pool_file),
	FIELD("ConstantPool", "_length", pool_length),
	FIELD("Klass", "_name", klass_name),
	FIELD("Symbol", "_length", symbol_length),
	FIELD("Symbol", "_body", symbol_body),
	FIELD("JavaCallWrapper", "_anchor", wrapper_anchor),
	FIELD("GrowableArrayBase", "_len", array_length),
	FIELD("GrowableArray<int>", "_data", array_data),
	FIELD("StubQueue", "_stub_buffer", queue_stubs),
	FIELD("StubQueue", "_buffer_limit", queue_limit),
};

static const struct wanted sizes[] = {
	FIELD("HeapBlock", NULL, block_bytes),
	FIELD("PcDesc", NULL, pc_bytes),
	FIELD("ConstMethod", NULL, const_bytes),
	FIELD("ConstantPool", NULL, pool_bytes),
};

static const struct wanted constants[] = {
	FIELD("frame::entry_frame_call_wrapper_offset", NULL, call_wrapper),
	FIELD("_thread_in_native", NULL, in_native),
	SOME("ConstMethod::_has_linenumber_table", NULL, has_lines),
	SOME("ConstMethodFlags::_misc_has_linenumber_table", NULL, has_lines),
};

static const struct {
	const char *type, *field;
	uint64_t *address;
} variables[] = {
	{"CodeCache", "_heaps", &java_machine.heaps},
	{"CodeCache", "_low_bound", &java_machine.code_low},
	{"CodeCache", "_high_bound", &java_machine.code_high},
	{"AbstractInterpreter", "_code", &java_machine.interpreter},
	{"StubRoutines", "_call_stub_return_address", &java_machine.call_stub_return},
};
static uint64_t major_at; /* the same of Abstract_VM_Version::_vm_major_version */

#define LENGTH(array) (sizeof(array) / sizeof *(array))

static int *member_of(const struct wanted *wanted)
{
	return (int *)((char *)&java_layout + wanted->member);
}

/* One of the tables. */
struct table {
	uint64_t row, stride, type, field, value, is_static, address;
};

static bool is_in_library(uint64_t address)
{
	return address >= machine->low && address + sizeof(uint64_t) <= machine->high;
}

/* The variable of this name; 0 = there is none. */
static uint64_t exported(void *library, const char *name)
{
	const uint64_t *variable = libc_own.dlsym(library, name);

	return variable && is_in_library((uint64_t)(uintptr_t)variable) ? *variable : 0;
}

static uint64_t word_at(uint64_t address)
{
	return is_in_library(address) ? *(const uint64_t *)address : 0;
}

static const char *text_at(uint64_t address)
{
	uint64_t text = word_at(address);

	return is_in_library(text) ? (const char *)text : NULL;
}

static bool is_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static void take(const struct table *table, const struct wanted wanted[], unsigned n,
		 const char *type, const char *field, bool is_int)
{
	for (unsigned i = 0; i < n; i++)
		if (is_same(type, wanted[i].type) && is_same(field, wanted[i].field))
			*member_of(&wanted[i]) =
				is_int ? *(const int *)(table->row + table->value)
				       : (int)word_at(table->row + table->value);
}

static void take_variable(const struct table *table, const char *type, const char *field)
{
	uint64_t address = word_at(table->row + table->address);

	for (unsigned i = 0; i < LENGTH(variables); i++)
		if (is_same(type, variables[i].type) &&
		    is_same(field, variables[i].field) && is_in_library(address))
			*variables[i].address = address;
	if (is_same(type, "Abstract_VM_Version") && is_same(field, "_vm_major_version") &&
	    is_in_library(address))
		major_at = address;
}

static void read_fields(void *library)
{
	struct table table = {
		exported(library, "gHotSpotVMStructs"),
		exported(library, "gHotSpotVMStructEntryArrayStride"),
		exported(library, "gHotSpotVMStructEntryTypeNameOffset"),
		exported(library, "gHotSpotVMStructEntryFieldNameOffset"),
		exported(library, "gHotSpotVMStructEntryOffsetOffset"),
		exported(library, "gHotSpotVMStructEntryIsStaticOffset"),
		exported(library, "gHotSpotVMStructEntryAddressOffset"),
	};
	const char *type;

	if (!table.stride)
		return;
	for (; (type = text_at(table.row + table.type)); table.row += table.stride) {
		const char *field = text_at(table.row + table.field);

		if ((int)word_at(table.row + table.is_static))
			take_variable(&table, type, field);
		else
			take(&table, fields, LENGTH(fields), type, field, false);
	}
}

static void read_sizes(void *library)
{
	struct table table = {
		.row = exported(library, "gHotSpotVMTypes"),
		.stride = exported(library, "gHotSpotVMTypeEntryArrayStride"),
		.type = exported(library, "gHotSpotVMTypeEntryTypeNameOffset"),
		.value = exported(library, "gHotSpotVMTypeEntrySizeOffset"),
	};
	const char *type;

	if (!table.stride)
		return;
	for (; (type = text_at(table.row + table.type)); table.row += table.stride)
		take(&table, sizes, LENGTH(sizes), type, NULL, false);
}

static void read_constants(void *library)
{
	struct table table = {
		.row = exported(library, "gHotSpotVMIntConstants"),
		.stride = exported(library, "gHotSpotVMIntConstantEntryArrayStride"),
		.type = exported(library, "gHotSpotVMIntConstantEntryNameOffset"),
		.value = exported(library, "gHotSpotVMIntConstantEntryValueOffset"),
	};
	const char *name;

	if (!table.stride)
		return;
	for (; (name = text_at(table.row + table.type)); table.row += table.stride)
		take(&table, constants, LENGTH(constants), name, NULL, true);
}

/* The extent of the object that has this address. */
static int find_extent(struct dl_phdr_info *object, size_t bytes, void *argument)
{
	uint64_t address = *(const uint64_t *)argument, low = UINT64_MAX, high = 0;

	(void)bytes;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &object->dlpi_phdr[i];
		uint64_t start = object->dlpi_addr + header->p_vaddr;

		if (header->p_type != PT_LOAD)
			continue;
		low = start < low ? start : low;
		high = start + header->p_memsz > high ? start + header->p_memsz : high;
	}
	if (address < low || address >= high)
		return 0;
	java_machine.low = low;
	java_machine.high = high;
	return 1;
}

static bool has_all(const struct wanted wanted[], unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!wanted[i].may_be_absent && *member_of(&wanted[i]) == JAVA_ABSENT)
			return false;
	return true;
}

static bool has(int a, int b, int c, int d, int e)
{
	return a != JAVA_ABSENT && b != JAVA_ABSENT && c != JAVA_ABSENT &&
	       d != JAVA_ABSENT && e != JAVA_ABSENT;
}

/* What every version has somewhere, and this one's of what others have elsewhere. */
static bool has_its_own(const struct java_layout *layout)
{
	return has(layout->thread_os, layout->thread_stack_base,
		   layout->thread_stack_size, layout->method_of, layout->has_lines) &&
	       (machine->major < 25
			? has(layout->scopes_begin, layout->deopt_begin,
			      layout->deopt_mh_begin, layout->dependencies,
			      layout->metadata) &&
				  has(layout->blob_code_begin, layout->blob_code_end,
				      layout->const_flags, 0, 0)
			: has(layout->immutable, layout->immutable_size, layout->scopes,
			      layout->deopt, layout->deopt_mh) &&
				  has(layout->blob_code_offset, layout->blob_mutable,
				      layout->blob_mutable_size,
				      layout->blob_relocation_size,
				      layout->const_new_flags));
}

/* Sizes that the code relies on. */
static bool is_plausible(const struct java_layout *layout)
{
	return layout->pc_bytes == 16 && layout->block_bytes > 0 &&
	       layout->block_bytes <= 64 && layout->const_bytes > 0 &&
	       layout->const_bytes <= 256 && layout->pool_bytes > 0 &&
	       layout->pool_bytes <= 512;
}

/* Other versions have the same tables, but were not tried. */
static bool is_known(int major)
{
	return major == 17 || major == 25;
}

bool java_layout_find(void *library)
{
	const void *table = libc_own.dlsym(library, "gHotSpotVMStructs");
	uint64_t address = (uint64_t)(uintptr_t)table;
	bool is_complete = true;

	java_machine = (struct java_machine){0};
	major_at = 0;
	for (size_t i = 0; i < sizeof(java_layout) / sizeof(int); i++)
		((int *)&java_layout)[i] = JAVA_ABSENT;
	if (!table || !libc_own.dl_iterate_phdr(find_extent, &address))
		return false;
	read_fields(library);
	read_sizes(library);
	read_constants(library);
	for (unsigned i = 0; i < LENGTH(variables); i++)
		is_complete = is_complete && *variables[i].address;
	if (!is_complete || !major_at || !has_all(fields, LENGTH(fields)) ||
	    !has_all(sizes, LENGTH(sizes)) || !has_all(constants, LENGTH(constants)))
		return false;
	java_machine.major = *(const int *)major_at;
	return is_known(machine->major) && has_its_own(&java_layout) &&
	       is_plausible(&java_layout);
}
