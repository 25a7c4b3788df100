/* See callers.h.  Places are sorted by their calls as a reader sees them, the innermost
 * first: then none has more calls in common with a place than those beside it. */
#include "findings/callers.h"

#include "findings/short_name.h"
#include "findings/stack.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define MAX_CALLS 16 /* that are compared */

struct calls {
	struct findings_place *place;
	unsigned n;
	const struct text_frame *frames[MAX_CALLS];
};

static int compare_strings(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "");
}

static int compare_names(const char *a, const char *b)
{
	char left[STACK_NAME_BYTES] = "", right[STACK_NAME_BYTES] = "";

	if (a)
		short_name(a, left, sizeof(left));
	if (b)
		short_name(b, right, sizeof(right));
	return strcmp(left, right);
}

/* 0: they are shown as the same. */
static int compare_frames(const struct text_frame *a, const struct text_frame *b)
{
	int result = compare_strings(a->file, b->file);

	if (result == 0 && a->line != b->line)
		result = a->line < b->line ? -1 : 1;
	if (result == 0 && !a->file)
		result = compare_strings(a->module, b->module);
	if (result == 0 && !a->file && a->offset != b->offset)
		result = a->offset < b->offset ? -1 : 1;
	return result ? result : compare_names(a->function, b->function);
}

static unsigned n_common(const struct calls *a, const struct calls *b)
{
	unsigned n = 0;

	while (n < a->n && n < b->n && compare_frames(a->frames[n], b->frames[n]) == 0)
		n++;
	return n;
}

static int compare(const void *a, const void *b)
{
	const struct calls *x = a, *y = b;
	unsigned n = n_common(x, y);

	if (n < x->n && n < y->n)
		return compare_frames(x->frames[n], y->frames[n]);
	return (x->n > y->n) - (x->n < y->n);
}

static void take_places(struct calls *all, size_t *n, struct findings_place *places,
			size_t n_places)
{
	for (size_t i = 0; i < n_places; i++) {
		struct calls *calls = &all[(*n)++];
		struct stack stack =
			stack_fold(places[i].origin, places[i].n_origin, MAX_CALLS);

		calls->place = &places[i];
		calls->n = stack.n_rows;
		for (unsigned j = 0; j < stack.n_rows; j++)
			calls->frames[j] = stack.rows[j].frame;
	}
}

/* Of places that are the same in all calls, as of two kinds, none tells. */
static void find(struct calls *all, size_t n)
{
	for (size_t begin = 0, end; begin < n; begin = end) {
		unsigned most = begin ? n_common(&all[begin - 1], &all[begin]) : 0;

		for (end = begin + 1; end < n && compare(&all[begin], &all[end]) == 0;)
			end++;
		if (end < n && n_common(&all[begin], &all[end]) > most)
			most = n_common(&all[begin], &all[end]);
		for (size_t i = begin; i < end; i++)
			all[i].place->caller =
				most && most < all[i].n ? all[i].frames[most] : NULL;
	}
}

void callers_find(struct findings *findings)
{
	size_t n = 0, room = findings->n_leaks + findings->n_late + findings->n_pending;
	struct calls *all = say_calloc(room + 1, sizeof(*all));

	take_places(all, &n, findings->leaks, findings->n_leaks);
	take_places(all, &n, findings->late, findings->n_late);
	take_places(all, &n, findings->pending, findings->n_pending);
	qsort(all, n, sizeof(*all), compare);
	find(all, n);
	free(all);
}
