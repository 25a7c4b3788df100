/* See late.h. */
#include "report/late.h"

static void add(struct late_count *to, const struct late_count *count)
{
	to->n += count->n;
	if (count->max_ms > to->max_ms)
		to->max_ms = count->max_ms;
}

void late_add(struct late *late, uint64_t closed_ns, uint64_t after_ms)
{
	const struct late_count one = {1, after_ms};
	uint64_t number = closed_ns / VERDICT_STEP_NS;
	struct late_count *count = &late->slots[number % LATE_SLOTS].count;

	if (number < late->slots[number % LATE_SLOTS].number) {
		add(&late->before, &one);
		return;
	}
	if (number > late->slots[number % LATE_SLOTS].number) {
		add(&late->before, count);
		*count = (struct late_count){0, 0};
		late->slots[number % LATE_SLOTS].number = number;
	}
	add(count, &one);
}

void late_split(const struct late *late, uint64_t end_ns, struct late_count *by_end,
		struct late_count *earlier)
{
	*by_end = (struct late_count){0, 0};
	*earlier = late->before;
	for (unsigned i = 0; i < LATE_SLOTS; i++)
		add(verdict_closed_by_end(late->slots[i].number * VERDICT_STEP_NS, end_ns)
			    ? by_end
			    : earlier,
		    &late->slots[i].count);
}
