/* See reader_series.h. */
#include "read/reader_series.h"

#include <stdlib.h>
#include <string.h>

#define TRIES 4

static bool is_sound(const struct sl_series *series)
{
	if (series->n_points > SL_MAX_POINTS)
		return false;
	for (uint32_t i = 1; i < series->n_points; i++)
		if (series->points[i].time_ns < series->points[i - 1].time_ns)
			return false;
	return true;
}

/* What stands behind the last point is left from before points were dropped. */
int reader_series(struct reading *reading)
{
	struct sl_series *series = &reading->ledger->head->series;
	uint32_t before = 1, after = 0;

	for (int i = 0; i < TRIES && reading->may_change && before != after; i++) {
		if (reading_copy(reading, series, sizeof(*series),
				 offsetof(struct sl_header, series)) < 0 ||
		    reading_copy(reading, &after, sizeof(after),
				 offsetof(struct sl_header, series.sequence)) < 0)
			return -1;
		before = series->sequence;
	}
	/* A writer that was killed inside leaves it so. */
	if ((reading->may_change && before != after) || (series->sequence & 1))
		series->n_points = 0;
	if (!is_sound(series))
		return reading_refuse(reading, "its header is damaged (its series)");
	return 0;
}
