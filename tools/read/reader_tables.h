/* What a ledger says, once it was read and checked: plain structs, and the search in
 * them. */
#ifndef SOCKLEAK_READER_TABLES_H
#define SOCKLEAK_READER_TABLES_H

#include "common/ledger.h"
#include "common/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Of a sentence that says why a ledger cannot be read. */
#define READER_WHY_BYTES 256

struct reader_module {
	uint32_t id;
	const char *path;        /* owned by the ledger */
	const uint8_t *build_id; /* 0 to 32 bytes */
	unsigned build_id_bytes; /* 0 = the module has none */
	uint64_t size;
};

struct reader_backtrace {
	uint32_t id;
	unsigned n_frames; /* at most SL_MAX_FRAMES */
	bool is_short;
	const uint64_t
		*frames; /* each module, and each line, is 0 or one of the ledger's */
};

struct reader_line {
	uint32_t id;
	uint32_t line;        /* 0 = not known */
	uint8_t language;     /* enum sl_language; not 0 */
	const char *function; /* terminated, owned by the ledger, as `file` is */
	const char *file;     /* NULL = not known */
};

struct reader_name {
	uint32_t id;
	const char *text; /* terminated, owned by the ledger */
};

/* A descriptor that is held, or was and left a cookie behind.  Its origins and name are
 * 0, SL_ORIGIN_PENDING, or there; all enums are in range. */
struct reader_row {
	uint32_t fd;
	struct sl_descriptor row;
};

struct reader_ledger {
	char *path;             /* owned */
	struct sl_header *head; /* its strings are terminated */
	uint32_t sequence;      /* from the file's name; 0 = not told */
	/* Ascending by descriptor; behind them leaks that were closed since: not held. */
	struct reader_row *rows;
	size_t n_rows;
	struct reader_module *modules; /* ascending by id, as all below */
	size_t n_modules;
	struct reader_backtrace *backtraces;
	size_t n_backtraces;
	struct reader_name *names;
	size_t n_names;
	struct reader_line *lines;
	size_t n_lines;
	struct sl_event *events; /* what was passed on, in the order written */
	size_t n_events;
	struct sl_elsewhere *elsewhere; /* in the order written; checked as rows are */
	size_t n_elsewhere;
	size_t n_torn; /* rows that no two reads agreed on: left out, to be counted as
			  dropped */
	struct reader_chunk *chunks; /* the memory of all that */
};

/* By id; NULL for 0, SL_ORIGIN_PENDING and ids that are not there. */
const struct reader_module *reader_module(const struct reader_ledger *ledger,
					  uint32_t id);
const struct reader_backtrace *reader_backtrace(const struct reader_ledger *ledger,
						uint32_t id);
const struct reader_line *reader_line(const struct reader_ledger *ledger, uint32_t id);
/* What a frame of a backtrace says, without its names; it belongs to the ledger. */
struct text_frame reader_frame(const struct reader_ledger *ledger, uint64_t frame);
const char *reader_name(const struct reader_ledger *ledger, uint32_t id);

/* The tables of records start alike, with the id. */
int reader_compare_ids(const void *a, const void *b);
/* Memory that lives as long as the ledger; zeroed. */
void *reader_keep(struct reader_ledger *ledger, size_t bytes);
void reader_free(struct reader_ledger *ledger);

#endif
