/* See module_ranges.h.
 *
 * A host may load others at the same addresses for ever.  Those that have shared a range
 * need not be marked again: of them only the ranges are kept, joined where they overlap,
 * sorted.  The others are kept in a list, which is as long as there are ranges that only
 * one module has ever had. */
#include "unwind/module_ranges.h"

#include "base/arena.h"

#include <string.h>

struct range {
	uint64_t start, end;
};

static struct module *alone; /* those that share no range */
static struct range *ranges; /* that were shared; apart from each other */
static size_t n_ranges, capacity;
static bool is_incomplete; /* no memory: every range counts as shared */

/* The first range that ends above `address`, or n_ranges. */
static size_t first_above(uint64_t address)
{
	size_t low = 0, high = n_ranges;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (ranges[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_shared(const struct module *module)
{
	size_t at = first_above(module->start);

	return is_incomplete || (at < n_ranges && ranges[at].start < module->end);
}

static bool make_room(void)
{
	size_t larger = capacity ? 2 * capacity : 256;
	struct range *fresh =
		n_ranges == capacity ? arena_map(larger * sizeof(*fresh)) : ranges;

	if (!fresh || fresh == ranges)
		return fresh != NULL;
	if (ranges)
		memcpy(fresh, ranges, n_ranges * sizeof(*ranges));
	arena_unmap(ranges, capacity * sizeof(*ranges));
	ranges = fresh;
	capacity = larger;
	return true;
}

static void add_range(const struct module *module)
{
	struct range fresh = {module->start, module->end};
	size_t first = first_above(fresh.start), after = first;

	for (; after < n_ranges && ranges[after].start < fresh.end; after++) {
		if (ranges[after].start < fresh.start)
			fresh.start = ranges[after].start;
		if (ranges[after].end > fresh.end)
			fresh.end = ranges[after].end;
	}
	if (first == after && !make_room()) {
		is_incomplete = true;
		return;
	}
	memmove(&ranges[first + 1], &ranges[after], (n_ranges - after) * sizeof(*ranges));
	ranges[first] = fresh;
	n_ranges += first + 1 - after;
}

static bool overlap(const struct module *a, const struct module *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Those that were alone so far. */
static void mark_sharers(struct module *module)
{
	for (struct module **link = &alone; *link;) {
		struct module *other = *link;

		if (other->seen_at == module->found_at || !overlap(other, module)) {
			link = &other->next_alone;
			continue;
		}
		other->shares_range = module->shares_range = true;
		*link = other->next_alone;
		add_range(other);
	}
}

void module_ranges_take(struct module *module)
{
	module->shares_range = is_shared(module);
	mark_sharers(module);
	if (module->shares_range) {
		add_range(module);
		return;
	}
	module->next_alone = alone;
	alone = module;
}
