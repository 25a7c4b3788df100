/* See reader.h. */
#include "languages/reader.h"

#include "base/guard.h"
#include "base/memcheck.h"
#include "base/own_memory.h"
#include "base/page.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>

/* The piece that holds these bytes.  Walks ask in much the same order each time, so the
 * search goes on where the last one ended. */
static struct reader_piece *find(struct reader *reader, uint64_t from, uint32_t bytes)
{
	for (uint32_t i = 0; i < reader->n_pieces; i++) {
		uint32_t at = reader->cursor + i;
		struct reader_piece *piece =
			&reader->pieces[at < reader->n_pieces ? at
							      : at - reader->n_pieces];

		if (from - piece->from < piece->bytes &&
		    piece->bytes - (from - piece->from) >= bytes) {
			reader->cursor = (uint32_t)(piece - reader->pieces);
			piece->is_used = true;
			return piece;
		}
	}
	return NULL;
}

/* In words, which never reach into another page than the bytes do. */
static void add_piece(struct reader *reader, uint64_t from, uint64_t end)
{
	uint64_t start = from & ~UINT64_C(7);
	uint64_t bytes = ((end + 7) & ~UINT64_C(7)) - start;

	if (reader->n_pieces == READER_MAX_PIECES ||
	    bytes > READER_BYTES - reader->used_bytes) {
		reader->is_full = true;
		return;
	}
	reader->pieces[reader->n_pieces++] =
		(struct reader_piece){start, (uint32_t)bytes, reader->used_bytes, false};
	reader->used_bytes += (uint32_t)bytes;
}

static bool is_to_be_read(struct reader *reader, uint64_t from, uint32_t bytes)
{
	return reader->way != READER_IN_PLACE && reader_may_be_address(from) &&
	       !find(reader, from, bytes);
}

void reader_want(struct reader *reader, uint64_t from, uint32_t bytes, uint32_t more)
{
	uint64_t page_end = page_of(from + bytes - 1) + PAGE_BYTES;
	uint64_t end = from + (more > bytes ? more : bytes);

	if (is_to_be_read(reader, from, bytes))
		add_piece(reader, from, end < page_end ? end : page_end);
}

void reader_want_pages(struct reader *reader, uint64_t from, uint32_t bytes)
{
	if (is_to_be_read(reader, from, bytes))
		add_piece(reader, page_of(from), page_of(from + bytes - 1) + PAGE_BYTES);
}

static bool is_readable(uint64_t from, uint64_t bytes)
{
	for (uint64_t page = page_of(from); page < from + bytes; page += PAGE_BYTES)
		if (!own_memory_is_readable(page))
			return false;
	return true;
}

static uint32_t copy_proven(struct reader *reader)
{
	uint32_t at = reader->n_fetched;

	for (; at < reader->n_pieces; at++) {
		struct reader_piece *piece = &reader->pieces[at];
		if (!is_readable(piece->from, piece->bytes))
			break;
		memcpy(reader->bytes + piece->at, (const void *)piece->from,
		       piece->bytes);
	}
	return at;
}

static uint32_t copy_by_kernel(struct reader *reader)
{
	uint32_t first = reader->n_fetched, n = reader->n_pieces - first, at;
	struct reader_piece *pieces = reader->pieces + first;
	char *to = reader->bytes + pieces->at;

	for (at = 0; at < n; at++)
		reader->there[at] =
			(struct iovec){(void *)pieces[at].from, pieces[at].bytes};
	long copied =
		own_memory_read_pieces(reader->there, n, to, READER_BYTES - pieces->at);
	for (at = 0; at < n && copied >= (long)pieces[at].bytes; at++)
		copied -= (long)pieces[at].bytes;
	return first + at;
}

/* What cannot be read is not there, nor what was wanted after it. */
void reader_fetch(struct reader *reader)
{
	uint32_t first = reader->n_fetched;

	if (reader->way == READER_IN_PLACE || first == reader->n_pieces)
		return;
	reader->n_fetched = reader->way == READER_BY_COPY ? copy_by_kernel(reader)
							  : copy_proven(reader);
	if (reader->n_fetched < reader->n_pieces)
		reader->used_bytes = reader->pieces[reader->n_fetched].at;
	reader->n_pieces = reader->n_fetched;
	if (reader->n_fetched > first)
		memcheck_define(reader->bytes + reader->pieces[first].at,
				reader->used_bytes - reader->pieces[first].at);
}

const void *reader_copy_at(struct reader *reader, uint64_t from, uint32_t bytes)
{
	struct reader_piece *piece = find(reader, from, bytes);

	if (!piece || piece >= reader->pieces + reader->n_fetched) {
		reader_want(reader, from, bytes, 0);
		reader_fetch(reader);
		piece = find(reader, from, bytes);
	}
	return piece ? reader->bytes + piece->at + (from - piece->from) : NULL;
}

void reader_begin(struct reader *reader, enum reader_way way, uint64_t owner)
{
	uint32_t n_last = reader->owner == owner ? reader->n_pieces : 0;

	reader->way = way;
	reader->n_fetched = reader->cursor = 0;
	reader->is_full = false;
	if (way == READER_IN_PLACE)
		return;
	reader->owner = owner;
	reader->n_pieces = reader->used_bytes = 0;
	for (uint32_t i = 0; i < n_last; i++) {
		struct reader_piece *piece = &reader->pieces[i];
		if (piece->is_used)
			add_piece(reader, piece->from, piece->from + piece->bytes);
	}
	reader_fetch(reader);
}
