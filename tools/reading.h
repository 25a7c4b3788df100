/* What the files of the reader share.  For reader.c, reader_rows.c and reader_records.c
 * alone. */
#ifndef SOCKLEAK_READING_H
#define SOCKLEAK_READING_H

#include "reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct reading {
	struct reader_ledger *ledger;
	int fd;
	bool may_change; /* the writer may be at work */
	char *why;
	uint64_t *first, *second; /* copies of one block */
};

/* Says why the file cannot be read, and returns -1. */
int reading_refuse(const struct reading *reading, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Copies bytes of the file; -1 with a reason if they are not all there. */
int reading_copy(const struct reading *reading, void *to, size_t bytes, uint64_t offset);
/* Where block `k` lies. */
uint64_t reading_block_offset(uint32_t k);

int reading_rows(struct reading *reading);    /* reader_rows.c */
int reading_records(struct reading *reading); /* reader_records.c */

/* Three tables start alike, with the id. */
int reading_compare_ids(const void *a, const void *b);
/* Memory that lives as long as the ledger; zeroed. */
void *reading_keep(struct reader_ledger *ledger, size_t bytes);

#endif
