/* The table was made from the headers of each version, and tried with it.  That a build
 * which differs yields no wrong frames does not rest on that: see ruby.c. */
#include "languages/ruby_layout.h"

#include "base/imports.h"
#include "base/sections.h"

#include <dlfcn.h>
#include <string.h>

ARENA_TABLE struct ruby_layout ruby_layout;
ARENA_TABLE struct ruby_runtime ruby_runtime;

static const struct ruby_layout layouts[] = {
	{
		.minor = 1,
		.stack = 0,
		.stack_words = 8,
		.innermost = 16,
		.pc = 0,
		.iseq = 16,
		.environment = 32,
		.frame_bytes = 64,
		.body = 16,
		.n_words = 4,
		.code = 8,
		.path = 64,
		.label = 80,
		.lines = 120,
		.n_lines = 136,
		.line_index = 144,
		.line_bytes = 12,
		.text_bytes = 16,
		.text = 24,
		.text_embedded = 16,
	},
};

static void *find(const char *name)
{
	return libc_own.dlsym(RTLD_DEFAULT, name);
}

/* What is there from the start has its thread-local variables at the same distance in
 * each thread. */
static bool find_runtime(void)
{
	const char *context = find("ruby_current_ec");

	ruby_runtime = (struct ruby_runtime){
		.context = context - (const char *)__builtin_thread_pointer(),
		.has_lock = find("ruby_thread_has_gvl_p"),
		.is_collecting = find("rb_during_gc"),
		.n_collections = find("rb_gc_count"),
		.frames = find("rb_profile_frames"),
		.path = find("rb_profile_frame_path"),
		.label = find("rb_profile_frame_label"),
	};
	return context && ruby_runtime.has_lock && ruby_runtime.is_collecting &&
	       ruby_runtime.n_collections && ruby_runtime.frames && ruby_runtime.path &&
	       ruby_runtime.label;
}

bool ruby_layout_find(void)
{
	const int *version = find("ruby_api_version"); /* 3, 1, 0 */

	for (unsigned i = 0; version && i < sizeof(layouts) / sizeof(*layouts); i++)
		if (version[0] == 3 && version[1] == layouts[i].minor) {
			ruby_layout = layouts[i];
			return find_runtime();
		}
	return false;
}
