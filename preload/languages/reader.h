/* Reads what an interpreter keeps in the memory of the host, for one walk of its frames:
 * in place, or from copies that are made without a fault.
 *
 * Copies are made by one system call for many pieces.  A walk first says which pieces it
 * will want, then fetches them together; and each walk begins with those that the last
 * walk for the same owner used, whose frames are most often still the same. */
#ifndef SOCKLEAK_READER_H
#define SOCKLEAK_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#define READER_MAX_PIECES 896 /* below the kernel's limit of 1,024 in one call */
#define READER_BYTES      (192u << 10)

enum reader_way {
	READER_IN_PLACE,
	READER_BY_COPY,
	/* Where the kernel may not copy for us: only what no other thread unmaps. */
	READER_BY_PROVEN_COPY,
};

struct reader_piece {
	uint64_t from;
	uint32_t bytes, at; /* `at`: where its copy lies in `bytes` */
	bool is_used;
};

/* Some 220 KiB, zeroed before its first use; pages of it are touched as they are needed.
 */
struct reader {
	enum reader_way way;
	uint64_t owner;
	uint32_t n_pieces, n_fetched, cursor, used_bytes;
	bool is_full; /* something found no room: not a sign of a wrong address */
	struct reader_piece pieces[READER_MAX_PIECES];
	struct iovec there[READER_MAX_PIECES];
	char bytes[READER_BYTES];
};

void reader_begin(struct reader *reader, enum reader_way way, uint64_t owner);
/* Notes that these bytes, and what follows in the same page up to `more`, will be wanted.
 */
void reader_want(struct reader *reader, uint64_t from, uint32_t bytes, uint32_t more);
/* The same, and whole pages that they lie in. */
void reader_want_pages(struct reader *reader, uint64_t from, uint32_t bytes);
void reader_fetch(struct reader *reader);
const void *reader_copy_at(struct reader *reader, uint64_t from, uint32_t bytes);

/* May be an address of the host's. */
static inline bool reader_may_be_address(uint64_t address)
{
#if defined __x86_64__
	return address >= 0x10000 && address < (UINT64_C(1) << 47) - READER_BYTES;
#else
	return address >= 0x10000 && address < (UINT64_C(1) << 48) - READER_BYTES;
#endif
}

/* NULL = they cannot be read.  Valid until the next reader_begin(). */
static inline const void *reader_at(struct reader *reader, uint64_t from, uint32_t bytes)
{
	if (!reader_may_be_address(from))
		return NULL;
	if (reader->way == READER_IN_PLACE)
		return (const void *)from;
	return reader_copy_at(reader, from, bytes);
}

/* Of what was read, which may stand at any address. */
static inline uint64_t reader_word(const char *at, int offset)
{
	uint64_t word;

	memcpy(&word, at + offset, sizeof(word));
	return word;
}

static inline uint32_t reader_number(const char *at, int offset)
{
	uint32_t number;

	memcpy(&number, at + offset, sizeof(number));
	return number;
}

#endif
