/* A ledger file -> validated plain structs.  The file is hostile until proven otherwise:
 * what comes out of here may be indexed and followed without a further check. */
#ifndef SOCKLEAK_READER_H
#define SOCKLEAK_READER_H

#include "ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

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
	const uint64_t *frames; /* each module is 0 or one of the ledger's */
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
	char *path;              /* owned */
	struct sl_header *head;  /* its strings are terminated */
	uint32_t sequence;       /* from the file's name; 0 = not told */
	struct reader_row *rows; /* ascending by descriptor */
	size_t n_rows;
	struct reader_module *modules; /* ascending by id, as all below */
	size_t n_modules;
	struct reader_backtrace *backtraces;
	size_t n_backtraces;
	struct reader_name *names;
	size_t n_names;
	struct sl_event *events; /* in the order written */
	size_t n_events;
	size_t n_torn; /* rows that no two looks agreed on: left out, to be counted as
			  dropped */
	struct reader_chunk *chunks; /* the memory of all that */
};

#define READER_WHY_BYTES 256

/* Reads the ledger at `path`, also while it is written.  -1 with a sentence in `why` that
 * fits "cannot read PATH: ..." if it is none, of another version, cut short or damaged;
 * then nothing is left to free. */
int reader_read(const char *path, struct reader_ledger *ledger,
		char why[READER_WHY_BYTES]);
/* What `why` then says of a file whose writer has not completed its header. */
extern const char reader_unborn[];
void reader_free(struct reader_ledger *ledger);

/* By id; NULL for 0, SL_ORIGIN_PENDING and ids that are not there. */
const struct reader_module *reader_module(const struct reader_ledger *ledger,
					  uint32_t id);
const struct reader_backtrace *reader_backtrace(const struct reader_ledger *ledger,
						uint32_t id);
const char *reader_name(const struct reader_ledger *ledger, uint32_t id);

/* PID.START.SEQUENCE.sockleak?  The last part of `path` is looked at. */
bool reader_parse_name(const char *path, uint32_t *pid, uint64_t *start_ticks,
		       uint32_t *sequence);

#endif
