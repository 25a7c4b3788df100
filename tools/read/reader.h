/* A ledger file -> validated plain structs.  The file is hostile until proven otherwise:
 * what comes out of here may be indexed and followed without a further check. */
#ifndef SOCKLEAK_READER_H
#define SOCKLEAK_READER_H

#include "read/reader_tables.h"

/* Reads the ledger at `path`, also while it is written.  -1 with a sentence in `why` that
 * fits "cannot read PATH: ..." if it is none, of another version, cut short or damaged;
 * then nothing is left to free; else reader_free() frees it. */
int reader_read(const char *path, struct reader_ledger *ledger,
		char why[READER_WHY_BYTES]);
/* What `why` then says of a file whose writer has not completed its header. */
extern const char reader_unborn[];

/* PID.START.SEQUENCE.sockleak?  The last part of `path` is looked at. */
bool reader_parse_name(const char *path, uint32_t *pid, uint64_t *start_ticks,
		       uint32_t *sequence);

#endif
