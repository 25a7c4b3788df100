/* Ranges sorted by their start.  Each knows how far any range up to it reaches, so that a
 * search walks back from the address only as long as something may still hold it. */
#include "symbols/spans.h"

#include "support/say.h"

#include <stdlib.h>

void spans_add(struct spans *spans, uint64_t low, uint64_t high, uint64_t what)
{
	if (low >= high)
		return;
	spans->at = say_one_more(spans->at, spans->n, sizeof *spans->at);
	spans->at[spans->n++] = (struct span){.low = low, .high = high, .what = what};
}

static int by_low(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	if (x->low != y->low)
		return x->low < y->low ? -1 : 1;
	return x->what < y->what ? -1 : x->what > y->what;
}

void spans_sort(struct spans *spans)
{
	uint64_t reach = 0;
	if (spans->n)
		qsort(spans->at, spans->n, sizeof *spans->at, by_low);
	for (size_t i = 0; i < spans->n; i++) {
		if (spans->at[i].high > reach)
			reach = spans->at[i].high;
		spans->at[i].reach = reach;
	}
}

void spans_free(struct spans *spans)
{
	free(spans->at);
	*spans = (struct spans){0};
}

/* How many ranges begin at or below `address`. */
static size_t count_begun(const struct spans *spans, uint64_t address)
{
	size_t low = 0, high = spans->n;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (spans->at[middle].low <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const struct span *spans_next(const struct spans *spans, uint64_t address,
			      const struct span *before)
{
	size_t i = before ? (size_t)(before - spans->at) : count_begun(spans, address);
	while (i-- > 0 && spans->at[i].reach > address) {
		if (spans->at[i].high > address)
			return &spans->at[i];
	}
	return NULL;
}

const struct span *spans_smallest(const struct spans *spans, uint64_t address)
{
	const struct span *best = NULL;
	for (const struct span *span = NULL; (span = spans_next(spans, address, span));) {
		if (!best || span->high - span->low < best->high - best->low)
			best = span;
	}
	return best;
}
