/* The files behind modules: the executable or library itself and its separate debug
 * file, opened only when it is surely the one the process ran. */
#ifndef SOCKLEAK_DEBUG_FILES_H
#define SOCKLEAK_DEBUG_FILES_H

#include "symbols/spans.h"

#include <elfutils/libdwfl.h>

struct debug_file {
	Dwfl *dwfl; /* owned; NULL = no file that can be trusted */
	Dwfl_Module *file;
	struct spans code; /* executable segments */
	bool is_own;       /* the module itself, not a debug file in its place */
};

struct debug_search {
	char *debug_path; /* owned; in libdwfl's form */
	Dwfl_Callbacks callbacks;
};

/* Where debug files are looked for: in the absolute directories of SOCKLEAK_DEBUG_PATH,
 * then where libdwfl looks by default.  Must stay where it is while modules are open. */
void debug_search_open(struct debug_search *search);
void debug_search_close(struct debug_search *search);

/* `build_id` as in symbols_find().  Addresses in the file are offsets: its bias is 0. */
struct debug_file debug_file_open(const struct debug_search *search, const char *path,
				  const uint8_t *build_id, unsigned build_id_bytes);
void debug_file_close(struct debug_file *module);

#endif
