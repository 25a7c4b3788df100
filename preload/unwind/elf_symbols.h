/* Function names for the plain text report, from the symbol tables of the modules' files
 * (.symtab where there is one, else .dynsym), static functions included. */
#ifndef SOCKLEAK_ELF_SYMBOLS_H
#define SOCKLEAK_ELF_SYMBOLS_H

#include "common/text.h"

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Zeroed by the caller, but for the offset. */
struct elf_symbol {
	uint64_t offset;   /* from the load bias */
	bool is_found;     /* else there is no name */
	uint64_t distance; /* of the offset from the function's start */
	char name[TEXT_NAME_BYTES];

	/* Of the search. */
	Elf64_Sym best, below; /* st_name 0 = none */
	uint64_t section;      /* that holds the offset; 0 = none that is code */
	unsigned n_looks;
};

/* The functions that cover `n` offsets, in ascending order, of the ELF file at `path`,
 * whose build-id must be the given one (a file replaced since gives no wrong names; 0
 * bytes: the file must have none).  Nothing is found where it is not readable or damaged.
 * Its symbol table is read twice at most, whatever `n`.  The file is opened for each
 * piece that is read with pread into mapped pages, and closed again.  Raw system calls
 * only, no malloc.  Not for hooks: it reads files. */
void elf_symbols_find(const char *path, const uint8_t *build_id, unsigned build_id_bytes,
		      struct elf_symbol *wanted, unsigned n);

#endif
