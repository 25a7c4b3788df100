/* One series over all processes: at each of so many moments the sum of what each of them
 * held then, by the clock that all hosts have. */
#include "link/linked.h"

#include <stdlib.h>
#include <string.h>

#define MAX_MOMENTS 240

/* CLOCK_REALTIME in ms of a time in the process's own clock.  The first scan may have
 * begun before the ledger did. */
static uint64_t realtime_ms(const struct process *process, uint64_t ns)
{
	uint64_t after_ns = ns > process->started_ns ? ns - process->started_ns : 0;

	return (process->started_realtime_ns + after_ns) / 1000000;
}

void linked_take_series(struct merge *merge, struct process *process,
			const struct sl_header *head)
{
	uint32_t n = head->series.n_points;

	/* Without the time of day its place among others is not known. */
	if (!n || !head->started_realtime_ns)
		return;
	struct findings_point *points =
		findings_keep(merge->findings, n * sizeof(*points));
	for (uint32_t i = 0; i < n; i++) {
		const struct sl_point *from = &head->series.points[i];

		points[i] = (struct findings_point){realtime_ms(process, from->time_ns),
						    from->open, from->leaked};
	}
	process->points = points;
	process->n_points = n;
}

static size_t n_points_before(const struct process *process, uint64_t ms)
{
	return findings_points_before(process->points, process->n_points, ms);
}

/* From when on its last point counts no more. */
static uint64_t end_of_series(const struct merge *merge, size_t process)
{
	const struct process *of = &merge->processes[process];

	return merge->findings->processes[process].ended == FINDINGS_RUNNING
		       ? UINT64_MAX
		       : of->points[of->n_points - 1].ms + 1;
}

/* The last point of the process at that time; NULL = it had not begun, or had ended. */
static const struct findings_point *point_at(const struct merge *merge, size_t process,
					     uint64_t ms)
{
	const struct process *from = &merge->processes[process];
	size_t n = n_points_before(from, ms + 1);

	return n && ms < end_of_series(merge, process) ? &from->points[n - 1] : NULL;
}

void linked_add_span(const struct merge *merge, const struct linked_span *span,
		     struct findings_socket *found)
{
	const struct process *of = &merge->processes[span->process];
	size_t n = of->n_points;
	size_t first = n_points_before(of, realtime_ms(of, span->from_ns));
	size_t end = span->to_ns ? n_points_before(of, realtime_ms(of, span->to_ns)) : n;

	if (first >= end)
		return;
	for (; end < n && span->by_end; end++) {
		of->points[end].open++;
		of->points[end].leaked++;
	}
	uint64_t from_ms = of->points[first].ms;
	uint64_t to_ms =
		end < n ? of->points[end].ms : end_of_series(merge, span->process);
	if (!found->leaked_to_ms || from_ms < found->leaked_from_ms)
		found->leaked_from_ms = from_ms;
	if (to_ms > found->leaked_to_ms)
		found->leaked_to_ms = to_ms;
}

static bool find_span(const struct merge *merge, uint64_t *first, uint64_t *last)
{
	*first = UINT64_MAX;
	*last = 0;
	for (size_t i = 0; i < merge->findings->n_processes; i++) {
		const struct process *from = &merge->processes[i];

		if (!from->n_points)
			continue;
		if (from->points[0].ms < *first)
			*first = from->points[0].ms;
		if (from->points[from->n_points - 1].ms > *last)
			*last = from->points[from->n_points - 1].ms;
	}
	return *first < *last;
}

void linked_join_series(struct merge *merge)
{
	struct findings *findings = merge->findings;
	uint64_t first, last;

	if (!find_span(merge, &first, &last))
		return;
	uint64_t span = last - first;
	size_t n = span < MAX_MOMENTS ? (size_t)span + 1 : MAX_MOMENTS;
	findings->series = findings_keep(findings, n * sizeof(*findings->series));
	findings->n_series = n;
	for (size_t i = 0; i < n; i++) {
		struct findings_point *sum = &findings->series[i];

		/* In this order: spans of hostile ledgers are large. */
		sum->ms = span / (n - 1) * i + span % (n - 1) * i / (n - 1) + first;
		for (size_t j = 0; j < findings->n_processes; j++) {
			const struct findings_point *point = point_at(merge, j, sum->ms);

			sum->open += point ? point->open : 0;
			sum->leaked += point ? point->leaked : 0;
		}
	}
}
