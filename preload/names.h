/* Function names for the plain text report, from the symbol tables of the modules' files
 * (.symtab where there is one, else .dynsym), static functions included. */
#ifndef SOCKLEAK_NAMES_H
#define SOCKLEAK_NAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The function that covers `offset` (from the load bias) in the ELF file at `path`, whose
 * build-id must be the given one (a file replaced since gives no wrong name; 0 bytes: the
 * file must have none).  Writes at most `size` bytes with the terminator into `name` and
 * the distance from the function's start into `*distance`.  false = not found, not
 * readable or damaged.  The file is opened, read with pread into mapped pages, and closed
 * before the return; its descriptor is moved above 200 at once.  Raw system calls only,
 * no malloc. Not for hooks: it reads files. */
bool names_find(const char *path, const uint8_t *build_id, unsigned build_id_bytes,
		uint64_t offset, char *name, size_t size, uint64_t *distance);

#endif
