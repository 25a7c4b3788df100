/* See module_ranges.h.
 *
 * A host may load others at the same places for ever.  Those that have shared a place
 * need not be marked again: of them only the places are kept, joined where they overlap,
 * sorted.  The others are kept in a list, which is as long as there are places that only
 * one module has ever had. */
#include "unwind/module_ranges.h"

#include "base/arena.h"

#include <string.h>

struct place {
	uint64_t start, end;
};

static struct module *alone; /* those that share no place */
static struct place *places; /* that were shared; apart from each other */
static size_t n_places, capacity;
static bool is_incomplete; /* no memory: every place counts as shared */

/* The first place that ends above `address`, or n_places. */
static size_t first_above(uint64_t address)
{
	size_t low = 0, high = n_places;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (places[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_shared(const struct module *module)
{
	size_t at = first_above(module->start);

	return is_incomplete || (at < n_places && places[at].start < module->end);
}

static bool make_room(void)
{
	size_t larger = capacity ? 2 * capacity : 256;
	struct place *fresh =
		n_places == capacity ? arena_map(larger * sizeof(*fresh)) : places;

	if (!fresh || fresh == places)
		return fresh != NULL;
	if (places)
		memcpy(fresh, places, n_places * sizeof(*places));
	arena_unmap(places, capacity * sizeof(*places));
	places = fresh;
	capacity = larger;
	return true;
}

static void add_place(const struct module *module)
{
	struct place fresh = {module->start, module->end};
	size_t first = first_above(fresh.start), after = first;

	for (; after < n_places && places[after].start < fresh.end; after++) {
		if (places[after].start < fresh.start)
			fresh.start = places[after].start;
		if (places[after].end > fresh.end)
			fresh.end = places[after].end;
	}
	if (first == after && !make_room()) {
		is_incomplete = true;
		return;
	}
	memmove(&places[first + 1], &places[after], (n_places - after) * sizeof(*places));
	places[first] = fresh;
	n_places += first + 1 - after;
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
		other->shares_place = module->shares_place = true;
		*link = other->next_alone;
		add_place(other);
	}
}

void module_ranges_take(struct module *module)
{
	module->shares_place = is_shared(module);
	mark_sharers(module);
	if (module->shares_place) {
		add_place(module);
		return;
	}
	module->next_alone = alone;
	alone = module;
}
