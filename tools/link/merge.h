/* Many ledgers -> sockets: those that several descriptors or processes hold are joined by
 * cookie. */
#ifndef SOCKLEAK_MERGE_H
#define SOCKLEAK_MERGE_H

#include "findings/findings.h"
#include "read/reader.h"

#include <stdbool.h>

struct merge;

struct merge *merge_open(void);

/* Takes what it needs from the ledger; the caller frees it. */
void merge_add(struct merge *merge, const struct reader_ledger *ledger);

/* What a parent saw of a process it waited for: of the ledgers that have this pid, the
 * last one still marked running ended so.  `signal` 0: it did not end by a signal.  Its
 * ledger does not have its end, so it had become another program, or ended past us. */
void merge_saw_end(struct merge *merge, uint32_t pid, int signal);

/* Joins what was added into sockets: for judge/. */
void merge_link(struct merge *merge);
void merge_free(struct merge *merge);

#endif
