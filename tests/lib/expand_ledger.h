/* A few bytes -> a ledger of whole blocks, so that a fuzzer need not find its way through
 * pages of zeros, and what it found can be kept small.
 *
 *     byte 0       0 = ended by exit, else running
 *     byte 1       how many bytes of the header are changed
 *     3 bytes each where (little endian, into the fields or the first blocks), and to
 * what 1 byte       how many rows 176 each     the rows of descriptors 0, 1, ... the rest
 * records, in one block
 *
 * What is missing at the end is zero. */
#ifndef EXPAND_LEDGER_H
#define EXPAND_LEDGER_H

#include "ledger_maker.h"

/* The bytes of the header that are worth changing: up to the strings, and four blocks. */
#define EXPAND_FIELDS offsetof(struct sl_header, tool_version)
#define EXPAND_BLOCKS (4 * sizeof(struct sl_block))

static inline void expand_take(const uint8_t **at, size_t *left, void *to, size_t bytes)
{
	size_t n = *left < bytes ? *left : bytes;

	memset(to, 0, bytes);
	if (n)
		memcpy(to, *at, n);
	*at += n;
	*left -= n;
}

static inline void expand_header(struct ledger_maker *maker, const uint8_t **at,
				 size_t *left)
{
	uint8_t change[3], head[2];

	expand_take(at, left, head, sizeof(head));
	if (head[0])
		maker->head.ended = SL_RUNNING;
	for (int i = 0; i < head[1]; i++) {
		expand_take(at, left, change, sizeof(change));
		size_t offset = (change[0] | (size_t)change[1] << 8) %
				(EXPAND_FIELDS + EXPAND_BLOCKS);

		if (offset >= EXPAND_FIELDS)
			offset += offsetof(struct sl_header, blocks) - EXPAND_FIELDS;
		((uint8_t *)&maker->head)[offset] = change[2];
	}
}

static inline void expand_ledger(const uint8_t *at, size_t left,
				 struct ledger_maker *maker)
{
	uint8_t n_rows;

	maker_begin(maker, 4711);
	maker_block(maker, SL_BLOCK_ROWS, 0);
	maker_block(maker, SL_BLOCK_RECORDS, 0);
	expand_header(maker, &at, &left);
	expand_take(&at, &left, &n_rows, 1);
	n_rows %= SL_ROWS_PER_BLOCK + 1;
	expand_take(&at, &left, maker->blocks[0], n_rows * sizeof(struct sl_descriptor));
	expand_take(&at, &left, maker->blocks[1], SL_BLOCK_BYTES);
}

/* Into an open, empty file: all blocks, whatever the header says of them. */
static inline void expand_write(const struct ledger_maker *maker, int fd)
{
	if (pwrite(fd, &maker->head, sizeof(maker->head), 0) != sizeof(maker->head) ||
	    pwrite(fd, maker->blocks, 2 * SL_BLOCK_BYTES, sizeof(maker->head)) !=
		    2 * SL_BLOCK_BYTES)
		abort();
}

#endif
