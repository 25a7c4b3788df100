/* How many sockets there were over time, for the chart of the HTML report: open, leaked,
 * and of the leaked those of the places that had the most of them at once. */
#include "formats/html_internal.h"

#include "formats/values.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define MAX_PLACES 6 /* as many as there are colours that an eye tells apart */

/* -- places ----------------------------------------------------------------------- */

struct place_series {
	size_t index; /* among the places of the page, from 0 */
	uint64_t most;
	uint64_t *counts; /* as many as findings.series has; owned */
};

struct largest {
	struct place_series places[MAX_PLACES]; /* the largest first */
	size_t n;
};

/* The counts of the place; sets the largest of them. */
static uint64_t *count_place(const struct findings *findings,
			     const struct findings_place *place, uint64_t *most)
{
	size_t n = findings->n_series;
	uint64_t *counts = say_calloc(n + 1, sizeof(*counts)), before = 0;

	/* First how many more there are than a moment before, modulo 2^64. */
	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];

		counts[findings_points_before(findings->series, n,
					      socket->leaked_from_ms)]++;
		counts[findings_points_before(findings->series, n,
					      socket->leaked_to_ms)]--;
	}
	*most = 0;
	for (size_t i = 0; i < n; i++) {
		before = counts[i] += before;
		if (before > *most)
			*most = before;
	}
	return counts;
}

static void take_place(const struct html *html, const struct html_place *shown, void *of)
{
	struct largest *largest = of;
	struct place_series one = {.index = shown->number - 1};
	size_t at = largest->n;

	if (!html->findings->n_series)
		return;
	one.counts = count_place(html->findings, shown->place, &one.most);
	while (at && largest->places[at - 1].most < one.most)
		at--;
	if (!one.most || at == MAX_PLACES) {
		free(one.counts);
		return;
	}
	if (largest->n == MAX_PLACES)
		free(largest->places[--largest->n].counts);
	memmove(&largest->places[at + 1], &largest->places[at],
		(largest->n++ - at) * sizeof(one));
	largest->places[at] = one;
}

/* -- JSON ------------------------------------------------------------------------- */

/* [ms since the first, open, leaked] */
static json_t *points_of(const struct findings *findings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < findings->n_series; i++) {
		const struct findings_point *point = &findings->series[i];
		json_t *row = json_array();

		values_append(row, values_number(point->ms - findings->series[0].ms));
		values_append(row, values_number(point->open));
		values_append(row, values_number(point->leaked));
		values_append(array, row);
	}
	return array;
}

/* [index of a place, [leaked]], and gives up the counts */
static json_t *places_of(struct largest *largest, size_t n_series)
{
	json_t *array = json_array();

	for (size_t i = 0; i < largest->n; i++) {
		json_t *row = json_array(), *counts = json_array();

		for (size_t j = 0; j < n_series; j++)
			values_append(counts,
				      values_number(largest->places[i].counts[j]));
		values_append(row, values_number(largest->places[i].index));
		values_append(row, counts);
		values_append(array, row);
		free(largest->places[i].counts);
	}
	return array;
}

void html_series(const struct html *html)
{
	struct largest largest = {.n = 0};

	html_each_place(html, take_place, &largest);
	fputs("\"series\":", html->file);
	html_json(html, points_of(html->findings));
	fputs(",\n\"series_of_places\":", html->file);
	html_json(html, places_of(&largest, html->findings->n_series));
}
