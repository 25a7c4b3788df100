/* Which process started which: a later program of one process stands below the program
 * before it, any other one below the process of its parent's pid that began last before
 * it.  Pids count in one PID namespace of one boot. */
#include "link/linked.h"

#include <stdlib.h>

struct by_start {
	const struct merge *merge;
	uint32_t *order; /* of the processes, sorted */
};

/* Where a process stands among all. */
struct start {
	uint32_t boot, pid;
	uint64_t pid_namespace, started_ns;
};

static int compare(const struct start *a, const struct start *b)
{
	if (a->boot != b->boot)
		return a->boot < b->boot ? -1 : 1;
	if (a->pid_namespace != b->pid_namespace)
		return a->pid_namespace < b->pid_namespace ? -1 : 1;
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	return (a->started_ns > b->started_ns) - (a->started_ns < b->started_ns);
}

static struct start start_of(const struct merge *merge, uint32_t process)
{
	const struct process *from = &merge->processes[process];

	return (struct start){from->boot, merge->findings->processes[process].pid,
			      from->pid_namespace, from->started_ns};
}

static int compare_processes(const void *a, const void *b, void *of)
{
	struct start left = start_of(of, *(const uint32_t *)a),
		     right = start_of(of, *(const uint32_t *)b);

	return compare(&left, &right);
}

/* The last one of that pid that began before that time, plus one; 0 = none. */
static uint32_t find_before(const struct by_start *sorted, struct start wanted)
{
	size_t low = 0, high = sorted->merge->findings->n_processes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		struct start start = start_of(sorted->merge, sorted->order[middle]);

		if (compare(&start, &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return 0;
	struct start found = start_of(sorted->merge, sorted->order[low - 1]);
	found.started_ns = wanted.started_ns;
	return compare(&found, &wanted) == 0 ? sorted->order[low - 1] + 1 : 0;
}

static uint32_t find_parent(const struct by_start *sorted, uint32_t process)
{
	const struct process *own = &sorted->merge->processes[process];
	struct start wanted = start_of(sorted->merge, process);
	uint32_t before = find_before(sorted, wanted);

	if (before && sorted->merge->processes[before - 1].program == own->program)
		return before;
	wanted.pid = own->parent_pid;
	return find_before(sorted, wanted);
}

void linked_find_parents(struct merge *merge)
{
	uint32_t n = (uint32_t)merge->findings->n_processes;
	struct by_start sorted = {merge, say_calloc(n + 1, sizeof(*sorted.order))};

	for (uint32_t i = 0; i < n; i++)
		sorted.order[i] = i;
	qsort_r(sorted.order, n, sizeof(*sorted.order), compare_processes, merge);
	for (uint32_t i = 0; i < n; i++)
		merge->findings->processes[i].parent = find_parent(&sorted, i);
	free(sorted.order);
}
