/* See top.h. */
#include "formats/top.h"

#include "formats/formats.h"
#include "support/say.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define N_LOOKS   512 /* for the sparklines; the oldest makes room */
#define N_SAMPLES 64  /* of a place */
#define WINDOW_MS 60000
#define MINUTE_MS 60000

struct look {
	uint64_t open, leaked;
};

struct sample {
	uint64_t ms, count;
};

/* How many sockets of a place there were, by its id. */
struct history {
	char id[TEXT_ID_BYTES];
	struct sample samples[N_SAMPLES]; /* a ring */
	size_t n;                         /* ever taken */
	UT_hash_handle hh;
};

struct top {
	struct findings *findings; /* owned; NULL = no look yet */
	struct look looks[N_LOOKS];
	size_t n_looks; /* ever taken */
	struct history *histories;
	int why_columns; /* of all rows */
	struct top_row *rows;
	size_t n_rows;
	enum top_order order;
};

struct top *top_open(void)
{
	return say_calloc(1, sizeof(struct top));
}

void top_close(struct top *top)
{
	struct history *history, *next;

	HASH_ITER(hh, top->histories, history, next)
	{
		HASH_DEL(top->histories, history);
		free(history);
	}
	if (top->findings)
		findings_free(top->findings);
	free(top->rows);
	free(top);
}

static struct history *history_of(struct top *top, const char *id)
{
	struct history *history;

	HASH_FIND_STR(top->histories, id, history);
	if (history)
		return history;
	history = say_calloc(1, sizeof(*history));
	memcpy(history->id, id, sizeof(history->id));
	HASH_ADD_STR(top->histories, id, history);
	return history;
}

/* Since the oldest look that is not older than a minute. */
static void grow(struct top_row *row, const struct history *history, uint64_t now_ms)
{
	size_t first = history->n > N_SAMPLES ? history->n - N_SAMPLES : 0;

	for (size_t i = first; i < history->n; i++) {
		const struct sample *sample = &history->samples[i % N_SAMPLES];
		uint64_t since_ms = now_ms - sample->ms;

		if (since_ms > WINDOW_MS || since_ms == 0)
			continue;
		row->has_growth = true;
		row->per_minute =
			((int64_t)row->place->n_sockets - (int64_t)sample->count) *
			MINUTE_MS / (int64_t)since_ms;
		return;
	}
}

static void take_place(struct top *top, const struct findings_place *place,
		       uint64_t now_ms)
{
	struct history *history = history_of(top, place->id);
	struct top_row *row = &top->rows[top->n_rows++];

	*row = (struct top_row){.place = place};
	grow(row, history, now_ms);
	history->samples[history->n++ % N_SAMPLES] =
		(struct sample){now_ms, place->n_sockets};
}

static void put_whys(const struct findings_place *place, char *cell, size_t size)
{
	struct text text = {.at = cell, .size = size - 1};

	text_whys(&text, place->why);
	cell[text.used] = 0;
}

#define WHY "WHY"
/* No wider than need be: a terminal may be narrow. */
static int why_columns(const struct top *top)
{
	size_t widest = strlen(WHY);

	for (size_t i = 0; i < top->n_rows; i++) {
		char why[128];

		put_whys(top->rows[i].place, why, sizeof(why));
		if (strlen(why) > widest)
			widest = strlen(why);
	}
	return (int)widest;
}

void top_take(struct top *top, struct findings *findings, uint64_t now_ms)
{
	struct look look = {.leaked = findings_n_leaked(findings)};

	for (size_t i = 0; i < findings->n_processes; i++)
		look.open +=
			findings->processes[i].opened - findings->processes[i].closed;
	top->looks[top->n_looks++ % N_LOOKS] = look;
	free(top->rows);
	top->rows = say_calloc(findings->n_leaks + 1, sizeof(*top->rows));
	top->n_rows = 0;
	for (size_t i = 0; i < findings->n_leaks; i++)
		take_place(top, &findings->leaks[i], now_ms);
	top->why_columns = why_columns(top);
	if (top->findings)
		findings_free(top->findings);
	top->findings = findings;
	top_sort(top, top->order);
}

static int by_number(uint64_t a, uint64_t b)
{
	return (a < b) - (a > b); /* the largest first */
}

static int compare(const void *a, const void *b, void *of)
{
	const struct top_row *x = a, *y = b;
	enum top_order order = *(enum top_order *)of;
	char left[TOP_LINE_BYTES], right[TOP_LINE_BYTES];
	int result = 0;

	if (order == TOP_BY_GROWTH)
		result =
			(x->per_minute < y->per_minute) - (x->per_minute > y->per_minute);
	if (order == TOP_BY_OLDEST)
		result = by_number(x->place->oldest_ms, y->place->oldest_ms);
	if (order == TOP_BY_WHERE) {
		format_where(x->place, left, sizeof(left));
		format_where(y->place, right, sizeof(right));
		result = strcmp(left, right);
	}
	if (result == 0)
		result = by_number(x->place->n_sockets, y->place->n_sockets);
	return result ? result : strcmp(x->place->id, y->place->id);
}

void top_sort(struct top *top, enum top_order order)
{
	top->order = order;
	if (top->n_rows)
		qsort_r(top->rows, top->n_rows, sizeof(*top->rows), compare, &order);
}

const struct findings *top_findings(const struct top *top)
{
	return top->findings;
}

const struct top_row *top_rows(const struct top *top, size_t *n)
{
	*n = top->n_rows;
	return top->rows;
}

/* -- lines ------------------------------------------------------------------------ */

static const struct look *last_look(const struct top *top)
{
	return &top->looks[(top->n_looks - 1) % N_LOOKS];
}

void top_put_head(const struct top *top, char line[TOP_LINE_BYTES])
{
	const struct look *look = last_look(top);
	size_t n = top->findings->n_processes;

	snprintf(line, TOP_LINE_BYTES,
		 "%zu %s, %" PRIu64 " %s open, %" PRIu64 " leaked%s", n,
		 n == 1 ? "process" : "processes", look->open,
		 look->open == 1 ? "socket" : "sockets", look->leaked,
		 n ? "" : " (`sockleak run` starts a program that can be looked at)");
}

void top_put_sparkline(const struct top *top, bool leaked, bool utf8, unsigned width,
		       char line[TOP_LINE_BYTES])
{
	static const char *const blocks[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	size_t n = top->n_looks < N_LOOKS ? top->n_looks : N_LOOKS;
	unsigned highest = utf8 ? 7 : 9;
	uint64_t most = 1;
	struct text text = {.at = line, .size = TOP_LINE_BYTES - 1};

	n = n < width ? n : width;
	for (size_t i = top->n_looks - n; i < top->n_looks; i++) {
		const struct look *look = &top->looks[i % N_LOOKS];
		uint64_t value = leaked ? look->leaked : look->open;

		most = value > most ? value : most;
	}
	for (size_t i = top->n_looks - n; i < top->n_looks; i++) {
		const struct look *look = &top->looks[i % N_LOOKS];
		uint64_t value = leaked ? look->leaked : look->open;
		uint64_t height = value * highest / most;

		if (utf8)
			text_string(&text, blocks[height]);
		else
			text_unsigned(&text, height);
	}
	line[text.used] = 0;
}

#define COLUMNS "%8s  %7s  %7s  %-*s  %s"

void top_put_columns(const struct top *top, char line[TOP_LINE_BYTES])
{
	snprintf(line, TOP_LINE_BYTES, COLUMNS, "LEAKED", "+/MIN", "OLDEST",
		 top->why_columns, WHY, "WHERE");
}

static void put_oldest(const struct findings_place *place, char *cell, size_t size)
{
	struct text text = {.at = cell, .size = size - 1};

	text_duration(&text, place->oldest_ms);
	cell[text.used] = 0;
}

void top_put_row(const struct top *top, const struct top_row *row,
		 char line[TOP_LINE_BYTES])
{
	char leaked[24], growth[24] = "-", oldest[24], why[128], where[512];

	snprintf(leaked, sizeof(leaked), "%zu", row->place->n_sockets);
	if (row->has_growth)
		snprintf(growth, sizeof(growth), "%+" PRId64, row->per_minute);
	put_oldest(row->place, oldest, sizeof(oldest));
	put_whys(row->place, why, sizeof(why));
	format_where(row->place, where, sizeof(where));
	snprintf(line, TOP_LINE_BYTES, COLUMNS, leaked, growth, oldest, top->why_columns,
		 why, where);
}

void top_print(const struct top *top, FILE *file)
{
	char line[TOP_LINE_BYTES];

	top_put_head(top, line);
	fprintf(file, "%s\n", line);
	if (!top->n_rows)
		return;
	top_put_columns(top, line);
	fprintf(file, "%s\n", line);
	for (size_t i = 0; i < top->n_rows; i++) {
		top_put_row(top, &top->rows[i], line);
		fprintf(file, "%s\n", line);
	}
}
