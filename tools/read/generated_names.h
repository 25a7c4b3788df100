/* Names for a ledger's frames of generated code, where the process has left any for perf
 * on this system. */
#ifndef SOCKLEAK_GENERATED_NAMES_H
#define SOCKLEAK_GENERATED_NAMES_H

#include "read/reader_tables.h"

struct generated_names {
	const struct reader_ledger *ledger;
	struct perf_map *map;
	bool is_asked; /* otherwise the map is asked for by the first such frame */
};

/* Gives it its name if it has one, which lives until generated_names_free(). */
void generated_names_give(struct generated_names *names, struct text_frame *frame);
void generated_names_free(struct generated_names *names);

#endif
