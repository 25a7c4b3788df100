/* A table of address ranges and what lies there: code segments, compilation units,
 * functions, symbols.  Filled in any order, then sorted once, then asked.  Ranges may
 * overlap and nest. */
#ifndef SOCKLEAK_SPANS_H
#define SOCKLEAK_SPANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
	uint64_t low, high; /* high: the first address behind it */
	uint64_t reach; /* the greatest `high` up to here, in order of `low`; when sorted
			 */
	uint64_t what;  /* the filler's own number */
};

struct spans {
	struct span *at; /* owned */
	size_t n;
};

/* Empty ranges are left out. */
void spans_add(struct spans *spans, uint64_t low, uint64_t high, uint64_t what);
void spans_sort(struct spans *spans);
void spans_free(struct spans *spans);

/* The ranges that hold `address`, the one that begins last first: start with `before` =
 * NULL, then give the one returned; NULL at the end. */
const struct span *spans_next(const struct spans *spans, uint64_t address,
			      const struct span *before);

/* The smallest range that holds `address`; NULL if none does. */
const struct span *spans_smallest(const struct spans *spans, uint64_t address);

#endif
