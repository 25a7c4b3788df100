/* The files behind modules: the executable or library itself and its separate debug
 * file, opened only when it is surely the one the process ran. */
#ifndef SOCKLEAK_MODULES_H
#define SOCKLEAK_MODULES_H

#include "spans.h"

#include <elfutils/libdwfl.h>

struct module_file {
	Dwfl *dwfl; /* owned; NULL = no file that can be trusted */
	Dwfl_Module *file;
	struct spans code; /* executable segments */
};

struct module_search {
	char *debug_path; /* owned; in libdwfl's form */
	Dwfl_Callbacks callbacks;
};

/* Where debug files are looked for: in the absolute directories of SOCKLEAK_DEBUG_PATH,
 * then where libdwfl looks by default.  Must stay where it is while modules are open. */
void module_search_open(struct module_search *search);
void module_search_close(struct module_search *search);

/* `build_id` as in symbols_find().  Addresses in the file are offsets: its bias is 0. */
struct module_file module_open(const struct module_search *search, const char *path,
			       const uint8_t *build_id, unsigned build_id_bytes);
void module_close(struct module_file *module);

#endif
