/* See fingerprint.h.
 *
 * The id of a place is made of build-ids and offsets, which a rebuild changes; a line
 * moves with every edit above it.  What stays is which function called which, and in
 * which files. */
#include "findings/fingerprint.h"

#include "common/fnv.h"
#include "common/path.h"
#include "findings/short_name.h"
#include "findings/stack.h"
#include "support/paths.h"
#include "support/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hashed {
	struct findings_place *place;
	uint64_t hash;
};

/* With the terminator. */
static uint64_t hash_string(uint64_t sum, const char *string)
{
	return fnv_add(sum, string, strlen(string) + 1);
}

static uint64_t hash_frame(uint64_t sum, const struct text_frame *frame)
{
	char name[STACK_NAME_BYTES];
	const char *file = frame->file ? frame->file : frame->module ? frame->module : "";

	short_name(frame->function ? frame->function : "", name, sizeof(name));
	sum = hash_string(sum, name);
	file = frame->file ? file + paths_below_source_root(file) : path_base(file);
	return hash_string(sum, file);
}

/* Frames in a row that are the same count once: how deep a recursion was is chance. */
static uint64_t hash_frames(uint64_t sum, const struct text_frame *frames, unsigned n,
			    bool all)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < n; i++) {
		uint64_t one = hash_frame(FNV_BASIS, &frames[i]);

		if (one == last || (!all && (stack_is_library(&frames[i]) ||
					     text_is_inside_interpreter(frames, n, i))))
			continue;
		sum = hash_frame(sum, &frames[i]);
		last = one;
	}
	return sum;
}

static uint64_t hash_place(const struct findings_place *place, const char *list)
{
	uint64_t sum = hash_string(FNV_BASIS, list);
	const char *call = text_call_name(place->call);

	sum = hash_string(sum, text_kind_name(place->kind));
	if (place->n_origin == 0)
		return hash_string(sum, call ? call : "");
	return hash_frames(sum, place->origin, place->n_origin,
			   !stack_first_own(place->origin, place->n_origin));
}

static int compare_lines(const struct findings_place *a, const struct findings_place *b)
{
	for (unsigned i = 0; i < a->n_origin && i < b->n_origin; i++)
		if (a->origin[i].line != b->origin[i].line)
			return a->origin[i].line < b->origin[i].line ? -1 : 1;
	return strcmp(a->id, b->id);
}

static int compare(const void *a, const void *b)
{
	const struct hashed *left = a, *right = b;

	if (left->hash != right->hash)
		return left->hash < right->hash ? -1 : 1;
	return compare_lines(left->place, right->place);
}

static void set_places(struct findings_place *places, size_t n, const char *list)
{
	struct hashed *all = say_calloc(n + 1, sizeof(*all));
	unsigned number = 0;

	for (size_t i = 0; i < n; i++)
		all[i] = (struct hashed){&places[i], hash_place(&places[i], list)};
	qsort(all, n, sizeof(*all), compare);
	for (size_t i = 0; i < n; i++) {
		number = i && all[i].hash == all[i - 1].hash ? number + 1 : 1;
		snprintf(all[i].place->fingerprint, sizeof(all[i].place->fingerprint),
			 "%016" PRIx64 ":%u", all[i].hash, number);
	}
	free(all);
}

void fingerprint_places(struct findings *findings)
{
	set_places(findings->leaks, findings->n_leaks, "leak");
	set_places(findings->late, findings->n_late, "closed-late");
}
