/* See prometheus.h.  The metrics are those of one table, whatever command writes them:
 * node_exporter refuses two files that tell differently what one metric is. */
#include "formats/prometheus.h"

#include "common/path.h"
#include "findings/short_name.h"
#include "findings/stack.h"
#include "support/say.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

#define OTHER "other"

struct series {
	UT_hash_handle hh;
	char *labels; /* as they are printed, which makes them one; owned */
	uint64_t n_sockets, age_ms;
	struct prometheus_program counts; /* of programs */
};

struct prometheus {
	const char *source;
	struct series *leaks, *programs; /* hash tables; owned */
	uint64_t n_pending, n_unseen;
};

struct prometheus *prometheus_open(const char *source)
{
	struct prometheus *prometheus = say_calloc(1, sizeof(*prometheus));

	prometheus->source = source;
	return prometheus;
}

/* The end of a longer value is left out. */
#define MAX_VALUE_BYTES 1024

/* A label with its value: control characters as everywhere, then what the format escapes.
 */
static char *label(const char *name, const char *value)
{
	char buffer[MAX_VALUE_BYTES], line[2 * MAX_VALUE_BYTES + 1];
	struct text text = {.at = buffer, .size = sizeof(buffer)};
	size_t used = 0;

	text_escaped(&text, value);
	for (size_t i = 0; i < text.used; i++) {
		if (buffer[i] == '\\' || buffer[i] == '"')
			line[used++] = '\\';
		line[used++] = buffer[i];
	}
	return say_printf("%s=\"%.*s\"", name, (int)used, line);
}

/* "program=...,place=...,kind=...", or the first alone. */
static char *labels(const char *program, const char *place, const char *kind)
{
	char *first = label("program", program);

	if (!place)
		return first;
	char *second = label("place", place), *third = label("kind", kind);
	char *all = say_printf("%s,%s,%s", first, second, third);
	free(first);
	free(second);
	free(third);
	return all;
}

static struct series *intern(struct series **all, char *labels)
{
	struct series *series;

	HASH_FIND_STR(*all, labels, series);
	if (series) {
		free(labels);
		return series;
	}
	series = say_calloc(1, sizeof(*series));
	series->labels = labels;
	HASH_ADD_KEYPTR(hh, *all, series->labels, strlen(series->labels), series);
	return series;
}

void prometheus_add_leak(struct prometheus *prometheus, const char *program,
			 const char *place, const char *kind, uint64_t n_sockets,
			 uint64_t age_ms)
{
	struct series *series =
		intern(&prometheus->leaks, labels(path_base(program), place, kind));

	series->n_sockets += n_sockets;
	if (age_ms > series->age_ms)
		series->age_ms = age_ms;
}

static void add_counts(struct prometheus_program *to,
		       const struct prometheus_program *counts)
{
	to->n_processes += counts->n_processes;
	to->open += counts->open;
	to->opened += counts->opened;
	to->closed += counts->closed;
	to->missed += counts->missed;
	to->dropped += counts->dropped;
}

void prometheus_add_program(struct prometheus *prometheus, const char *program,
			    const struct prometheus_program *counts)
{
	struct series *series =
		intern(&prometheus->programs, labels(path_base(program), NULL, NULL));

	add_counts(&series->counts, counts);
	series->n_sockets = series->counts.open;
}

void prometheus_set_pending(struct prometheus *prometheus, uint64_t n_sockets)
{
	prometheus->n_pending = n_sockets;
}

void prometheus_set_unseen(struct prometheus *prometheus, uint64_t n_processes)
{
	prometheus->n_unseen = n_processes;
}

/* --- few series --- */

static int compare(const struct series *a, const struct series *b)
{
	if (a->n_sockets != b->n_sockets)
		return a->n_sockets < b->n_sockets ? 1 : -1;
	return strcmp(a->labels, b->labels);
}

static void free_series(struct series *series)
{
	free(series->labels);
	free(series);
}

/* Those behind the first PROMETHEUS_MAX_SERIES become one.  A program may have the name
 * "other": then it is in there, too. */
static void keep_largest(struct series **all, const char *place, const char *kind)
{
	struct series *series, *next;
	unsigned n = 0;
	struct series other = {0};

	HASH_SORT(*all, compare);
	HASH_ITER(hh, *all, series, next)
	{
		if (++n <= PROMETHEUS_MAX_SERIES)
			continue;
		other.n_sockets += series->n_sockets;
		if (series->age_ms > other.age_ms)
			other.age_ms = series->age_ms;
		add_counts(&other.counts, &series->counts);
		HASH_DEL(*all, series);
		free_series(series);
	}
	if (n <= PROMETHEUS_MAX_SERIES)
		return;
	series = intern(all, labels(OTHER, place, kind));
	series->n_sockets += other.n_sockets;
	if (other.age_ms > series->age_ms)
		series->age_ms = other.age_ms;
	add_counts(&series->counts, &other.counts);
}

/* --- the text --- */

static void print_series(const struct prometheus *prometheus, const char *name,
			 const struct series *series, FILE *file)
{
	fprintf(file, "sockleak_%s{source=\"%s\"%s%s} ", name, prometheus->source,
		series ? "," : "", series ? series->labels : "");
}

static void print_head(FILE *file, const char *name, const char *type, const char *help)
{
	fprintf(file, "# HELP sockleak_%s %s\n# TYPE sockleak_%s %s\n", name, help, name,
		type);
}

static void print_leaks(const struct prometheus *prometheus, FILE *file)
{
	const struct series *series;

	print_head(file, "leaked_sockets", "gauge",
		   "Sockets that are held although their peer has gone.");
	for (series = prometheus->leaks; series; series = series->hh.next) {
		print_series(prometheus, "leaked_sockets", series, file);
		fprintf(file, "%" PRIu64 "\n", series->n_sockets);
	}
	print_head(file, "oldest_leak_age_seconds", "gauge",
		   "For how long the peer of the oldest of these sockets has been gone.");
	for (series = prometheus->leaks; series; series = series->hh.next) {
		print_series(prometheus, "oldest_leak_age_seconds", series, file);
		fprintf(file, "%" PRIu64 ".%03u\n", series->age_ms / 1000,
			(unsigned)(series->age_ms % 1000));
	}
}

#define COUNT(member) offsetof(struct prometheus_program, member)
static const struct metric {
	const char *name, *type, *help;
	size_t offset;
} metrics[] = {
	{"watched_processes", "gauge", "Processes that keep a ledger.",
	 COUNT(n_processes)},
	{"open_sockets", "gauge", "Sockets that these processes hold.", COUNT(open)},
	{"opened_sockets_total", "counter", "Sockets that these processes have opened.",
	 COUNT(opened)},
	{"closed_sockets_total", "counter", "Sockets that these processes have closed.",
	 COUNT(closed)},
	{"missed_sockets_total", "counter",
	 "Sockets that were opened and could not be recorded.", COUNT(missed)},
	{"dropped_sockets_total", "counter",
	 "Sockets that were recorded, and not in the ledger.", COUNT(dropped)},
};

static void print_programs(const struct prometheus *prometheus,
			   const struct metric *metric, FILE *file)
{
	print_head(file, metric->name, metric->type, metric->help);
	for (const struct series *series = prometheus->programs; series;
	     series = series->hh.next) {
		uint64_t value;

		memcpy(&value, (const char *)&series->counts + metric->offset,
		       sizeof(value));
		print_series(prometheus, metric->name, series, file);
		fprintf(file, "%" PRIu64 "\n", value);
	}
}

static void print_one(const struct prometheus *prometheus, const char *name,
		      const char *help, uint64_t value, FILE *file)
{
	print_head(file, name, "gauge", help);
	print_series(prometheus, name, NULL, file);
	fprintf(file, "%" PRIu64 "\n", value);
}

static void free_all(struct series *all)
{
	struct series *series, *next;

	HASH_ITER(hh, all, series, next)
	{
		HASH_DEL(all, series);
		free_series(series);
	}
}

void prometheus_close(struct prometheus *prometheus, FILE *file)
{
	keep_largest(&prometheus->leaks, OTHER, OTHER);
	keep_largest(&prometheus->programs, NULL, NULL);
	print_leaks(prometheus, file);
	print_one(prometheus, "pending_sockets",
		  "Sockets whose peer has gone, and that are not leaks yet.",
		  prometheus->n_pending, file);
	print_one(prometheus, "unseen_processes",
		  "Processes of whose sockets nothing is known.", prometheus->n_unseen,
		  file);
	for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		if (prometheus->programs)
			print_programs(prometheus, &metrics[i], file);
	free_all(prometheus->leaks);
	free_all(prometheus->programs);
	free(prometheus);
}

void prometheus_place(char *place, size_t size, const struct text_frame *frame,
		      const char *reason)
{
	char name[STACK_NAME_BYTES] = "";

	if (frame && frame->function)
		short_name(frame->function, name, sizeof(name));
	if (frame && frame->file)
		snprintf(place, size, "%s (%s:%u)", name, path_base(frame->file),
			 frame->line);
	else if (frame && *name)
		snprintf(place, size, "%s", name);
	else if (frame && frame->module)
		snprintf(place, size, "%s+0x%" PRIx64, path_base(frame->module),
			 frame->offset);
	else
		snprintf(place, size, "%s", reason ? reason : "unknown");
}
