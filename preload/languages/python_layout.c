/* The table was made by compiling against the headers of each version.  Where the
 * interpreter describes a field itself (the members of its types, their sizes), it must
 * say the same.  That a build which differs yields no wrong frames does not rest on that
 * alone: see python.c. */
#include "languages/python_layout.h"

#include "base/imports.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

struct python_layout python_layout;
struct python_runtime python_runtime;

#define BEFORE_3_11                                                                      \
	.thread_id = 176, .frame = 24, .in_frame = -1, .previous = 24, .code = 32,       \
	.is_entry = -1, .owner = -1, .first_line = 40, .name = 112, .file = 104,         \
	.line_table = 120, .code_bytes_object = 48, .basic_bytes = 176,                  \
	.n_code_units = -1, .first_traceable = -1, .ascii_text = 48, .compact_text = 72, \
	.main_thread = 72

static const struct python_layout layouts[] = {
	{.minor = 8, .instruction = 104, BEFORE_3_11},
	{.minor = 9, .instruction = 104, BEFORE_3_11},
	{.minor = 10, .instruction = 96, BEFORE_3_11},
	{
		.minor = 11,
		.thread_id = 152,
		.frame = 56,
		.in_frame = 8,
		.previous = 48,
		.code = 32,
		.instruction = 56,
		.is_entry = 68,
		.owner = 69,
		.first_line = 72,
		.name = 128,
		.file = 112,
		.line_table = 136,
		.code_bytes_object = -1,
		.basic_bytes = 184,
		.n_code_units = 16,
		.first_traceable = 168,
		.start = {151, 150},
		.ascii_text = 48,
		.compact_text = 72,
		.main_thread = 80,
	},
	{
		.minor = 12,
		.thread_id = 136,
		.frame = 56,
		.in_frame = 0,
		.previous = 8,
		.code = 0,
		.instruction = 56,
		.is_entry = -1,
		.owner = 70,
		.first_line = 68,
		.name = 128,
		.file = 112,
		.line_table = 136,
		.code_bytes_object = -1,
		.basic_bytes = 192,
		.n_code_units = 16,
		.first_traceable = 176,
		.start = {151, 240},
		.ascii_text = 40,
		.compact_text = 56,
		.main_thread = 64,
	},
	{
		.minor = 13,
		.thread_id = 152,
		.frame = 72,
		.in_frame = -1,
		.previous = 8,
		.code = 0,
		.instruction = 56,
		.is_entry = -1,
		.owner = 70,
		.first_line = 68,
		.name = 128,
		.file = 112,
		.line_table = 136,
		.code_bytes_object = -1,
		.basic_bytes = 200,
		.n_code_units = 16,
		.first_traceable = 184,
		.start = {149, 207, 236},
		.ascii_text = 40,
		.compact_text = 56,
		.main_thread = 656,
	},
};

/* As PyMemberDef. */
struct member {
	const char *name;
	int type;
	long offset;
	int flags;
	const char *doc;
};

/* Of a PyTypeObject. */
#define TYPE_BASIC_BYTES 32
#define TYPE_MEMBERS     240

static long basic_bytes_of(uint64_t type)
{
	return *(const long *)(type + TYPE_BASIC_BYTES);
}

/* The type has no such member, or has it there. */
static bool agrees(uint64_t type, const char *name, int offset)
{
	const struct member *member = *(struct member *const *)(type + TYPE_MEMBERS);

	for (; member && member->name; member++)
		if (strcmp(member->name, name) == 0)
			return member->offset == offset;
	return true;
}

static bool agree_code(const struct python_layout *layout, uint64_t type)
{
	bool has_qualname = layout->minor >= 11;

	return basic_bytes_of(type) == layout->basic_bytes &&
	       agrees(type, "co_firstlineno", layout->first_line) &&
	       agrees(type, has_qualname ? "co_qualname" : "co_name", layout->name) &&
	       agrees(type, "co_filename", layout->file) &&
	       agrees(type, layout->minor <= 9 ? "co_lnotab" : "co_linetable",
		      layout->line_table) &&
	       (has_qualname || agrees(type, "co_code", layout->code_bytes_object));
}

static bool agree_frame(const struct python_layout *layout, uint64_t type)
{
	return layout->minor >= 11 || (agrees(type, "f_back", layout->previous) &&
				       agrees(type, "f_code", layout->code) &&
				       agrees(type, "f_lasti", layout->instruction));
}

static bool agree_str(const struct python_layout *layout, uint64_t type)
{
	int basic = (int)basic_bytes_of(type);

	return layout->compact_text == basic - 8 &&
	       layout->ascii_text ==
		       layout->compact_text - (layout->minor <= 11 ? 24 : 16);
}

static void *searched; /* NULL = RTLD_DEFAULT */

static void *find(const char *name)
{
	return libc_own.dlsym(searched, name);
}

/* 0 = not known. */
static int find_minor(void)
{
	const unsigned long *number = find("Py_Version");
	const char *(*ask)(void) = find("Py_GetVersion");
	const char *text;
	int minor = 0;

	if (number)
		return *number >> 24 == 3 ? (int)(*number >> 16 & 0xff) : 0;
	text = ask ? ask() : "";
	if (strncmp(text, "3.", 2) != 0)
		return 0;
	for (text += 2; *text >= '0' && *text <= '9' && minor < 100; text++)
		minor = minor * 10 + (*text - '0');
	return *text == '.' ? minor : 0;
}

/* From 3.13 on the runtime begins with a description of itself: a mark, the version, and
 * whether threads run without the global lock, which changes every object. */
static bool is_free_threaded(int minor)
{
	const char *runtime = (const char *)python_runtime.itself;

	return minor >= 13 && (memcmp(runtime, "xdebugpy", 8) != 0 ||
			       *(const uint64_t *)(runtime + 16) != 0);
}

static bool find_runtime(int minor)
{
	python_runtime = (struct python_runtime){
		.thread_state = find("PyGILState_GetThisThreadState"),
		.is_finalizing =
			find(minor <= 12 ? "_Py_IsFinalizing" : "Py_IsFinalizing"),
		.line_of_code = find("PyCode_Addr2Line"),
		.line_of_frame = minor <= 10 ? find("PyFrame_GetLineNumber") : NULL,
		.code_type = (uint64_t)(uintptr_t)find("PyCode_Type"),
		.str_type = (uint64_t)(uintptr_t)find("PyUnicode_Type"),
		.bytes_type = (uint64_t)(uintptr_t)find("PyBytes_Type"),
		.frame_type = (uint64_t)(uintptr_t)find("PyFrame_Type"),
		.none = (uint64_t)(uintptr_t)find("_Py_NoneStruct"),
		.itself = (uint64_t)(uintptr_t)find("_PyRuntime"),
	};
	return python_runtime.thread_state && python_runtime.is_finalizing &&
	       python_runtime.line_of_code &&
	       (minor > 10 || python_runtime.line_of_frame) && python_runtime.code_type &&
	       python_runtime.str_type && python_runtime.bytes_type &&
	       python_runtime.frame_type && python_runtime.none && python_runtime.itself;
}

bool python_layout_agrees(void)
{
	return agree_code(&python_layout, python_runtime.code_type) &&
	       agree_frame(&python_layout, python_runtime.frame_type) &&
	       agree_str(&python_layout, python_runtime.str_type);
}

bool python_layout_find(void *library)
{
	searched = library;
	int minor = find_minor();

	for (unsigned i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		if (layouts[i].minor == minor) {
			python_layout = layouts[i];
			return find_runtime(minor) && !is_free_threaded(minor) &&
			       python_layout_agrees();
		}
	return false;
}
