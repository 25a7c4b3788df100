/* A ledger that is being read: its file, and the bytes of one block.  For the files of
 * the reader alone. */
#ifndef SOCKLEAK_READING_H
#define SOCKLEAK_READING_H

#include "read/reader_tables.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reading {
	struct reader_ledger *ledger;
	int fd;
	bool may_change;          /* the writer may be at work */
	char *why;                /* READER_WHY_BYTES */
	uint64_t *first, *second; /* copies of one block */
};

/* Says why the file cannot be read, and returns -1. */
int reading_refuse(const struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Copies bytes of the file; -1 with a reason if they are not all there. */
int reading_copy(const struct reading *reading, void *to, size_t bytes, uint64_t offset);
/* Where block `k` lies. */
uint64_t reading_block_offset(uint32_t k);

#endif
