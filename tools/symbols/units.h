/* What DWARF says of an address: its function, the functions inlined there, and lines. */
#ifndef SOCKLEAK_UNITS_H
#define SOCKLEAK_UNITS_H

#include "symbols/debug_files.h"

/* Inlined functions in each other; what is deeper is left out. */
#define UNITS_MAX_FRAMES 128

struct unit_frame {
	const char
		*function; /* as the linker knows it, else as written; NULL = unknown */
	uint64_t named_at; /* a symbol that begins here may say more; 0 = no need of it */
	const char *file;  /* NULL = unknown */
	const char *
		directory; /* of the compilation, for a relative `file`; NULL = unknown */
	unsigned line;     /* 0 = unknown */
};

struct units; /* the compilation units of one file; strings live as long as the file */
struct units *units_open(const struct debug_file *file);
void units_close(struct units *units);

/* Outermost (the physical frame) first.  0 = DWARF does not know the offset; the file and
 * line may be known where the function is not. */
size_t units_find(struct units *units, const struct debug_file *file, uint64_t offset,
		  struct unit_frame frames[UNITS_MAX_FRAMES]);

#endif
