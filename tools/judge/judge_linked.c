/* From joined sockets to findings.
 *
 * Theory of operation.  link/ has put the rows of all ledgers into sockets.  Here every
 * row is judged, once (judge.c); the rows of a socket give one verdict and its holders
 * (sockets.c); sockets of one origin and kind make a place (places.c); and what processes
 * have opened, closed and still hold is counted.  Nothing is read or asked for here. */
#include "judge/judge_linked.h"

#include "judge/judging.h"

#include <stdlib.h>

/* A socket counts as open once in each process that held it at its last scan.  The rows
 * of a process stand together, as merge_add() added them. */
static void count_open(struct merge *merge, const struct joined *socket)
{
	const struct row *counted = NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!row->row.held || row->is_elsewhere ||
		    (counted && counted->process == row->process))
			continue;
		merge->findings->processes[row->process].open++;
		merge->processes[row->process].n_opened +=
			!(row->row.flags & SL_ROW_INHERITED);
		counted = row;
	}
}

/* A process counts at each scan, and publishes a row at once: one that was killed, or
 * became another program, before the next scan has rows that were not counted. */
static void count_uncounted(struct merge *merge)
{
	for (size_t i = 0; i < merge->findings->n_processes; i++) {
		struct findings_process *process = &merge->findings->processes[i];
		uint64_t least = process->closed + merge->processes[i].n_opened;

		if (process->opened < least)
			process->opened = least;
	}
}

struct late_sum { /* of one process */
	uint64_t n_late, n_by_end, max_ms;
};

static void add_late(struct late_sum *sums, const struct findings_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < places[i].n_sockets; j++) {
			const struct findings_socket *socket = &places[i].sockets[j];
			struct late_sum *sum = &sums[socket->holders[0].process];
			bool is_late = socket->closed == FINDINGS_CLOSED_LATE;

			sum->n_by_end += socket->closed == FINDINGS_CLOSED_BY_END;
			sum->n_late += is_late;
			if (is_late && socket->age_ms > sum->max_ms)
				sum->max_ms = socket->age_ms;
		}
}

/* How many leaks were closed late.  The process's own count is of its last scan: it has
 * those that have no row any more, and lacks those that were closed since.  Leaks that
 * only the end of the process closed count as leaks, and are taken out. */
static void count_late(struct findings *findings)
{
	struct late_sum *sums = say_calloc(findings->n_processes, sizeof(*sums));

	add_late(sums, findings->leaks, findings->n_leaks);
	add_late(sums, findings->late, findings->n_late);
	for (size_t i = 0; i < findings->n_processes; i++) {
		struct findings_process *process = &findings->processes[i];
		uint64_t known = sums[i].n_late + sums[i].n_by_end;
		uint64_t all =
			process->closed_late > known ? process->closed_late : known;

		process->closed_late = all - sums[i].n_by_end;
		if (all == known)
			process->closed_late_max_ms = sums[i].max_ms;
	}
	free(sums);
}

static void gather(struct findings *findings, struct places *places)
{
	findings->leaks =
		judging_gather_places(findings, places->leaks, &findings->n_leaks);
	findings->pending =
		judging_gather_places(findings, places->pending, &findings->n_pending);
	findings->late = judging_gather_places(findings, places->late, &findings->n_late);
	HASH_CLEAR(hh, places->leaks);
	HASH_CLEAR(hh, places->pending);
	HASH_CLEAR(hh, places->late);
}

struct findings *judge_linked(struct merge *merge)
{
	struct findings *findings = merge->findings;
	struct places places = {0};

	merge_link(merge);
	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next) {
		judging_rows(merge, socket);
		count_open(merge, socket);
		if (judging_find_socket(merge, socket))
			judging_add_to_place(merge, &places, socket);
	}
	linked_join_series(merge);
	count_uncounted(merge);
	gather(findings, &places);
	count_late(findings);
	merge_free(merge);
	findings_settle(findings);
	return findings;
}
