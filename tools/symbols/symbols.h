/* Module + offset -> function, file, line and inlined frames, by elfutils' libdw: also
 * from separate debug files (by build-id or debuglink) and compressed sections.  A file
 * is only opened when it is asked for, and what was found is kept.
 *
 * Never a wrong name: a file that is not the one the process ran (another build-id), that
 * is gone or damaged gives frames without names. */
#ifndef SOCKLEAK_SYMBOLS_H
#define SOCKLEAK_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct symbols; /* one thread at a time */

/* NULL with errno on no memory.  SOCKLEAK_DEBUG_PATH in the environment, directories
 * separated by ':', is searched before /usr/lib/debug. */
struct symbols *symbols_open(void);
void symbols_close(struct symbols *symbols);

struct symbol_frame {
	const char *function; /* NULL = unknown; C++ names are demangled */
	const char *file;     /* NULL = unknown */
	unsigned line;        /* 0 = unknown */
	bool inlined;         /* true for all but the physical frame, which is the last */
	uint64_t distance;    /* of the physical frame's offset from the start of the
				 function; 0 = not known */
};

/* The frames at `offset` (address minus load bias, that is an ELF virtual address; it
 * points into the call instruction, not behind it) of the file `module`.  `build_id`
 * NULL: nothing is known of it, and the file at that path is believed; else it must be
 * the file's, 0 bytes meaning that the file must have none.  Innermost first; at least
 * one frame is returned, with NULL names when nothing is known.  All strings and the
 * frames stay until symbols_close(). */
size_t symbols_find(struct symbols *symbols, const char *module, const uint8_t *build_id,
		    unsigned build_id_bytes, uint64_t offset,
		    const struct symbol_frame **frames);

/* Whether the file at that path is the module, also by its build-id, as in
 * symbols_find(). */
bool symbols_is_at(struct symbols *symbols, const char *module, const uint8_t *build_id,
		   unsigned build_id_bytes);

/* Whether the file may be the one that ran, for logs that say names but no build-id:
 * false if it can be read and has no symbol that begins `distance` before `offset` and
 * that a log calls `function`: cut and escaped. */
bool symbols_agree(struct symbols *symbols, const char *module, uint64_t offset,
		   const char *function, uint64_t distance);

#endif
