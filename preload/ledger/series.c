/* How many sockets were open and leaked over the life of the process, in the header of
 * the ledger.
 *
 * Each scan writes a point, over the last one while that is less than a step behind the
 * one before it.  When the array is full every second point is dropped and the step
 * doubled: so the series covers the whole life in the room that the header has. */
#include "ledger/ledger_internal.h"

#include "ledger/ledger_writer.h"

/* Of two threads that scan one after the other, the later one may have read the clock
 * before the earlier one. */
static uint64_t not_before_last(const struct sl_series *series, uint64_t now_ns)
{
	uint32_t n = series->n_points;
	uint64_t last_ns = n ? series->points[n - 1].time_ns : 0;

	return now_ns > last_ns ? now_ns : last_ns;
}

/* Where the next point goes. */
static struct sl_point *next_point(struct sl_series *series, uint64_t now_ns)
{
	struct sl_point *points = series->points;
	uint32_t n = series->n_points;

	if (n >= 2 && now_ns - points[n - 2].time_ns < series->step_ns)
		return &points[n - 1];
	if (n == SL_MAX_POINTS) {
		for (n = 0; n < SL_MAX_POINTS / 2; n++)
			points[n] = points[2 * n];
		series->step_ns = 2 * (now_ns - points[0].time_ns) / SL_MAX_POINTS;
	}
	series->n_points = n + 1;
	return &points[n];
}

static uint32_t as_count(uint64_t n)
{
	return n < UINT32_MAX ? (uint32_t)n : UINT32_MAX;
}

void ledger_add_point(uint64_t now_ns, uint64_t n_open, uint64_t n_leaked)
{
	struct sl_header *file = ledger_ours();

	if (!file)
		return;
	_Atomic uint32_t *sequence = (_Atomic uint32_t *)&file->series.sequence;
	uint32_t before = atomic_load(sequence) & ~1U;

	now_ns = not_before_last(&file->series, now_ns);
	atomic_store(sequence, before + 1);
	atomic_thread_fence(memory_order_release);
	*next_point(&file->series, now_ns) =
		(struct sl_point){now_ns, as_count(n_open), as_count(n_leaked)};
	atomic_store(sequence, before + 2);
}
