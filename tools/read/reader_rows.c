/* The rows of a ledger: whole, settled and in range, or left out and counted. */
#include "read/reader_rows.h"

#include "support/say.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TRIES 64         /* copies of a row that will not hold still */
#define MAX_FD    (1U << 30) /* NR_OPEN cannot be raised beyond */
#define MAX_STATE 13         /* TCP_BOUND_INACTIVE, the last of tcp_states.h */

const char *reader_row_fault(const struct sl_descriptor *row)
{
	if (row->held > 1)
		return "held";
	if (row->state > MAX_STATE)
		return "state";
	if (row->verdict > SL_LEAK_EXIT)
		return "verdict";
	if (row->kind > SL_KIND_DEAD)
		return "kind";
	if (row->call >= SL_N_CALLS || row->eof_call >= SL_N_CALLS ||
	    row->use_call >= SL_N_CALLS || (row->used_ns && !row->use_call))
		return "call";
	if (row->why > SL_WHY_ALL)
		return "why";
	if (row->origin_kind > SL_ORIGIN_UNKNOWN)
		return "note";
	if (row->family != 0 && row->family != AF_INET && row->family != AF_INET6)
		return "family";
	if (row->is_sending > 1 || row->was_found_by_check > 1 || row->use_is_sent > 1)
		return "flag";
	if (row->use_thread > INT32_MAX)
		return "thread";
	if (row->reserved8)
		return "reserved field";
	return NULL;
}

/* Copies row `at` of the block at `offset` until it holds still.  1 = it did, 0 = torn.
 */
static int settle_row(const struct reading *reading, uint64_t offset, size_t at,
		      struct sl_descriptor *row)
{
	struct sl_descriptor other;
	uint64_t row_offset = offset + at * sizeof(*row);

	for (int i = 0; i < MAX_TRIES; i++) {
		if (reading_copy(reading, row, sizeof(*row), row_offset) < 0 ||
		    reading_copy(reading, &other, sizeof(other), row_offset) < 0)
			return -1;
		if (row->sequence % 2 == 0 && memcmp(row, &other, sizeof(other)) == 0)
			return 1;
	}
	return 0;
}

static int add_row(struct reading *reading, uint32_t fd, const struct sl_descriptor *row)
{
	struct reader_ledger *ledger = reading->ledger;

	if (!row->held && !row->cookie)
		return 0;
	const char *fault = reader_row_fault(row);
	if (fault)
		return reading_refuse(
			reading, "the row of descriptor %u is damaged (%s out of range)",
			fd, fault);
	/* Room was made by reader_rows(). */
	ledger->rows[ledger->n_rows++] = (struct reader_row){fd, *row};
	return 0;
}

static int read_block_of_rows(struct reading *reading, uint32_t k, uint32_t first_fd)
{
	uint64_t offset = reading_block_offset(k);
	const struct sl_descriptor *rows = (void *)reading->first;

	if (reading_copy(reading, reading->first, SL_BLOCK_BYTES, offset) < 0)
		return -1;
	if (reading->may_change &&
	    reading_copy(reading, reading->second, SL_BLOCK_BYTES, offset) < 0)
		return -1;
	for (uint32_t i = 0; i < SL_ROWS_PER_BLOCK; i++) {
		struct sl_descriptor row = rows[i];
		int settled = row.sequence % 2 == 0;

		if (reading->may_change &&
		    (!settled || memcmp(&row, (struct sl_descriptor *)reading->second + i,
					sizeof(row)) != 0))
			settled = settle_row(reading, offset, i, &row);
		if (settled < 0)
			return -1;
		reading->ledger->n_torn += !settled;
		if (settled && add_row(reading, first_fd + i, &row) < 0)
			return -1;
	}
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	uint32_t left = ((const struct reader_row *)a)->fd,
		 right = ((const struct reader_row *)b)->fd;

	return (left > right) - (left < right);
}

int reader_rows(struct reading *reading)
{
	struct reader_ledger *ledger = reading->ledger;
	const struct sl_header *head = ledger->head;

	for (uint32_t k = 0; k < head->n_blocks; k++) {
		struct sl_block block = head->blocks[k];

		if (block.kind != SL_BLOCK_ROWS)
			continue;
		if (block.first % SL_ROWS_PER_BLOCK || block.first >= MAX_FD)
			return reading_refuse(reading,
					      "block %u is damaged (first descriptor %u)",
					      k, block.first);
		ledger->rows =
			say_realloc(ledger->rows, ledger->n_rows + SL_ROWS_PER_BLOCK,
				    sizeof(*ledger->rows));
		if (read_block_of_rows(reading, k, block.first) < 0)
			return -1;
	}
	if (ledger->n_rows)
		qsort(ledger->rows, ledger->n_rows, sizeof(*ledger->rows), compare_rows);
	for (size_t i = 1; i < ledger->n_rows; i++)
		if (ledger->rows[i].fd == ledger->rows[i - 1].fd)
			return reading_refuse(reading,
					      "it has two rows for descriptor %u",
					      ledger->rows[i].fd);
	return 0;
}

struct sl_descriptor reader_row_of_passed(const struct sl_event *event)
{
	return (struct sl_descriptor){
		.cookie = event->cookie,
		.opened_ns = event->value,
		.call = event->call,
		.origin_kind = event->origin_kind,
		.flags = SL_ROW_PASSED,
		.origin = event->origin,
	};
}
