/* The memory and the order of findings. */
#include "findings/findings.h"

#include "support/say.h"
#include "symbols/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (64 * 1024)

struct findings_chunk {
	struct findings_chunk *next;
	size_t size, used;
	max_align_t bytes[];
};

void *findings_keep(struct findings *findings, size_t bytes)
{
	struct findings_chunk *chunk = findings->chunks;

	bytes = (bytes + sizeof(max_align_t) - 1) & ~(sizeof(max_align_t) - 1);
	if (!chunk || chunk->size - chunk->used < bytes) {
		size_t size = bytes > CHUNK_BYTES ? bytes : CHUNK_BYTES;

		chunk = say_calloc(1, sizeof(*chunk) + size);
		chunk->size = size;
		chunk->next = findings->chunks;
		findings->chunks = chunk;
	}
	void *at = (char *)chunk->bytes + chunk->used;
	chunk->used += bytes;
	return at;
}

const char *findings_keep_string(struct findings *findings, const char *string)
{
	size_t bytes = strlen(string) + 1;

	return memcpy(findings_keep(findings, bytes), string, bytes);
}

size_t findings_points_before(const struct findings_point *points, size_t n, uint64_t ms)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (points[middle].ms < ms)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void total(struct findings_place *place)
{
	place->why = 0;
	place->oldest_ms = place->unread_bytes = place->kernel_bytes = 0;
	place->newest_ms = UINT64_MAX;
	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];

		place->why |= socket->why;
		place->unread_bytes =
			text_add_unread(place->unread_bytes, socket->unread_bytes);
		place->kernel_bytes += socket->kernel_bytes;
		if (socket->age_ms > place->oldest_ms)
			place->oldest_ms = socket->age_ms;
		if (socket->age_ms < place->newest_ms)
			place->newest_ms = socket->age_ms;
	}
}

static int compare_uses(const void *a, const void *b)
{
	const struct text_use *const *left = a, *const *right = b;

	if ((*left)->n_sockets != (*right)->n_sockets)
		return (*left)->n_sockets < (*right)->n_sockets ? 1 : -1;
	if ((*left)->ms != (*right)->ms)
		return (*left)->ms < (*right)->ms ? 1 : -1;
	return (*left > *right) - (*left < *right);
}

static void count_uses(struct findings_place *place)
{
	for (size_t i = 0; i < place->n_uses; i++)
		place->uses[i].n_sockets = 0;
	for (size_t i = 0; i < place->n_sockets; i++) {
		const struct findings_socket *socket = &place->sockets[i];
		struct text_use *use = socket->use ? &place->uses[socket->use - 1] : NULL;

		if (!use)
			continue;
		if (!use->n_sockets++ || socket->used_ms > use->ms) {
			use->ms = socket->used_ms;
			use->bytes = socket->use_bytes;
			use->thread = (pid_t)socket->use_thread;
		}
	}
}

/* Counts them, and puts them in order; those of no socket any more are dropped. */
static void settle_uses(struct findings_place *place)
{
	size_t n = place->n_uses, kept = 0;

	if (!n)
		return;
	count_uses(place);
	const struct text_use **order = say_calloc(n, sizeof(*order));
	struct text_use *sorted = say_calloc(n, sizeof(*sorted));
	uint32_t *number = say_calloc(n, sizeof(*number)); /* by the former index */
	for (size_t i = 0; i < n; i++)
		order[i] = &place->uses[i];
	qsort(order, n, sizeof(*order), compare_uses);
	for (; kept < n && order[kept]->n_sockets; kept++) {
		sorted[kept] = *order[kept];
		number[order[kept] - place->uses] = (uint32_t)kept + 1;
	}
	memcpy(place->uses, sorted, kept * sizeof(*sorted));
	place->n_uses = kept;
	for (size_t i = 0; i < place->n_sockets; i++)
		if (place->sockets[i].use)
			place->sockets[i].use = number[place->sockets[i].use - 1];
	free(order);
	free(sorted);
	free(number);
}

static int compare_places(const void *a, const void *b)
{
	const struct findings_place *left = a, *right = b;

	if (left->n_sockets != right->n_sockets)
		return left->n_sockets < right->n_sockets ? 1 : -1;
	return strcmp(left->id, right->id);
}

static int compare_sockets(const void *a, const void *b)
{
	const struct findings_socket *left = a, *right = b;

	if (left->age_ms != right->age_ms)
		return left->age_ms < right->age_ms ? 1 : -1;
	if (left->holders[0].process != right->holders[0].process)
		return left->holders[0].process < right->holders[0].process ? -1 : 1;
	return (left->holders[0].fd > right->holders[0].fd) -
	       (left->holders[0].fd < right->holders[0].fd);
}

static size_t settle_places(struct findings_place *places, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (places[i].n_sockets)
			places[kept++] = places[i];
	for (size_t i = 0; i < kept; i++) {
		total(&places[i]);
		settle_uses(&places[i]);
		qsort(places[i].sockets, places[i].n_sockets, sizeof(*places[i].sockets),
		      compare_sockets);
	}
	if (kept)
		qsort(places, kept, sizeof(*places), compare_places);
	return kept;
}

/* A socket counts once in each process that holds it, with however many descriptors. */
static void count_socket(struct findings *findings, const struct findings_socket *socket)
{
	for (uint32_t i = 0; i < socket->n_holders; i++) {
		struct findings_process *process =
			&findings->processes[socket->holders[i].process];

		if (i && socket->holders[i].process == socket->holders[i - 1].process)
			continue;
		if (socket->verdict == SL_PENDING)
			process->pending++;
		else
			process->leaked++;
	}
}

static void count_places(struct findings *findings, const struct findings_place *places,
			 size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < places[i].n_sockets; j++)
			count_socket(findings, &places[i].sockets[j]);
}

void findings_settle(struct findings *findings)
{
	findings->n_leaks = settle_places(findings->leaks, findings->n_leaks);
	findings->n_pending = settle_places(findings->pending, findings->n_pending);
	findings->n_late = settle_places(findings->late, findings->n_late);
	for (size_t i = 0; i < findings->n_processes; i++)
		findings->processes[i].leaked = findings->processes[i].pending = 0;
	count_places(findings, findings->leaks, findings->n_leaks);
	count_places(findings, findings->pending, findings->n_pending);
}

uint64_t findings_n_leaked(const struct findings *findings)
{
	uint64_t n = 0;

	for (size_t i = 0; i < findings->n_leaks; i++)
		n += findings->leaks[i].n_sockets;
	return n;
}

bool findings_is_held(const struct findings *findings,
		      const struct findings_socket *socket)
{
	for (uint32_t i = 0; i < socket->n_holders; i++)
		if (socket->holders[i].is_elsewhere ||
		    findings->processes[socket->holders[i].process].ended ==
			    FINDINGS_RUNNING)
			return true;
	return false;
}

bool findings_is_partial(const struct findings *findings)
{
	return !findings->n_processes || findings->n_unwatched || findings->n_unread;
}

size_t findings_n_unwatched(const struct findings *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n_unwatched; i++)
		if (findings->unwatched[i].reason != UNWATCHED_LEFT_OUT)
			n += findings->unwatched[i].n;
	return n;
}

size_t findings_n_without_ledger(const struct findings *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n_unwatched; i++)
		if (findings->unwatched[i].reason == UNWATCHED_NO_LEDGER)
			n += findings->unwatched[i].n;
	return n;
}

void findings_why_partial(const struct findings *findings, char *line, size_t size)
{
	size_t n = findings_n_unwatched(findings);

	if (n)
		snprintf(line, size, "%zu %s not watched", n,
			 n == 1 ? "process was" : "processes were");
	else if (findings->n_unread)
		snprintf(line, size, "a ledger could not be read");
	else if (!findings->n_processes)
		snprintf(line, size, "no process that was watched made a connection");
	else
		snprintf(line, size, "programs may have been left out by options");
}

void findings_add_unwatched(struct findings *findings, uint32_t pid, const char *exe,
			    enum unwatched_reason reason)
{
	findings_add_unwatched_n(findings, pid, exe, reason, 1);
}

void findings_add_unwatched_n(struct findings *findings, uint32_t pid, const char *exe,
			      enum unwatched_reason reason, size_t n)
{
	for (size_t i = 0; i < findings->n_unwatched; i++) {
		struct unwatched *known = &findings->unwatched[i];

		if (known->reason == reason && reason != UNWATCHED_RUNNING &&
		    known->exe && exe && strcmp(known->exe, exe) == 0) {
			known->n += n;
			return;
		}
	}
	findings->unwatched = say_one_more(findings->unwatched, findings->n_unwatched,
					   sizeof(*findings->unwatched));
	findings->unwatched[findings->n_unwatched++] = (struct unwatched){
		.pid = pid,
		.exe = exe ? findings_keep_string(findings, exe) : NULL,
		.reason = reason,
		.n = n,
	};
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	if (findings->symbols && !findings->symbols_are_lent)
		symbols_close(findings->symbols);
	while (findings->chunks) {
		struct findings_chunk *next = findings->chunks->next;

		free(findings->chunks);
		findings->chunks = next;
	}
	free(findings->unwatched);
	free(findings->processes);
	free(findings);
}

const char *findings_ended_name(enum findings_ended ended)
{
	static const char *const names[] = {
		[FINDINGS_EXIT] = "exit",       [FINDINGS_SIGNAL] = "signal",
		[FINDINGS_EXEC] = "exec",       [FINDINGS_UNKNOWN] = "unknown",
		[FINDINGS_RUNNING] = "running",
	};

	return names[ended];
}
