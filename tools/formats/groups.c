/* See groups.h. */
#include "formats/groups.h"

#include "formats/columns.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

void groups_add(struct groups *groups, struct text *cells, bool is_leak, bool has_age,
		uint64_t age_ms)
{
	groups->at = say_one_more(groups->at, groups->n, sizeof(*groups->at));
	groups->at[groups->n++] = (struct group){
		.cells = say_printf("%.*s", (int)cells->used, cells->at),
		.n = 1,
		.n_leaks = is_leak,
		.has_age = has_age,
		.oldest_ms = has_age ? age_ms : 0,
	};
	cells->used = 0;
}

static int by_cells(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	return strcmp(x->cells, y->cells);
}

static int by_size(const void *a, const void *b)
{
	const struct group *x = a, *y = b;

	if (x->n_leaks != y->n_leaks)
		return x->n_leaks > y->n_leaks ? -1 : 1;
	if (x->n != y->n)
		return x->n > y->n ? -1 : 1;
	return by_cells(a, b);
}

static void merge(struct group *into, struct group *group)
{
	into->n += group->n;
	into->n_leaks += group->n_leaks;
	into->has_age |= group->has_age;
	if (group->oldest_ms > into->oldest_ms)
		into->oldest_ms = group->oldest_ms;
	free(group->cells);
}

void groups_merge(struct groups *groups)
{
	size_t n = 0;

	if (!groups->n)
		return;
	qsort(groups->at, groups->n, sizeof(*groups->at), by_cells);
	for (size_t i = 0; i < groups->n; i++)
		if (n && by_cells(&groups->at[n - 1], &groups->at[i]) == 0)
			merge(&groups->at[n - 1], &groups->at[i]);
		else
			groups->at[n++] = groups->at[i];
	groups->n = n;
	qsort(groups->at, n, sizeof(*groups->at), by_size);
}

void groups_free(struct groups *groups)
{
	for (size_t i = 0; i < groups->n; i++)
		free(groups->at[i].cells);
	free(groups->at);
	*groups = (struct groups){0};
}

static void add_age(struct columns *columns, const struct group *group)
{
	char bytes[64];
	struct text age = {.at = bytes, .size = sizeof(bytes)};

	if (group->has_age)
		text_duration(&age, group->oldest_ms);
	else
		text_string(&age, group->n ? "?" : "-");
	columns_add(columns, &age);
}

/* How many sockets of the same cells there are; 0 = none. */
static size_t n_of(const struct groups *groups, const struct group *group)
{
	for (size_t i = 0; i < groups->n; i++)
		if (by_cells(&groups->at[i], group) == 0)
			return groups->at[i].n;
	return 0;
}

static void add_growth(struct columns *columns, const struct group *group,
		       const struct groups *before)
{
	long long growth = (long long)group->n - (long long)n_of(before, group);
	char text[32];

	snprintf(text, sizeof(text), growth ? "%+lld" : "%lld", growth);
	columns_add_string(columns, text);
}

/* The next `n` cells at `at`, without a blank before them; returns what stands behind. */
static const char *add_cells(struct columns *columns, const char *at, size_t n)
{
	for (; n--; at += *at == '\t') {
		at += *at == ' ';
		size_t bytes = strcspn(at, "\t");

		columns_add_bytes(columns, at, bytes);
		at += bytes;
	}
	return at;
}

static size_t n_cells(const struct groups_columns *columns)
{
	size_t n = 0;

	while (n < GROUPS_MOST_CELLS && columns->names[n])
		n++;
	return n;
}

static void add_headings(struct columns *table, const struct groups_columns *columns,
			 bool has_growth)
{
	for (size_t i = 0; i < columns->n_before; i++)
		columns_add_string(table, columns->names[i]);
	columns_add_string(table, "SOCKETS");
	columns_add_string(table, "LEAKED");
	columns_add_string(table, "OLDEST");
	if (has_growth)
		columns_add_string(table, "GROWTH");
	for (size_t i = columns->n_before; i < n_cells(columns); i++)
		columns_add_string(table, columns->names[i]);
}

static void add_group(struct columns *table, const struct groups_columns *columns,
		      const struct group *group, const struct groups *before)
{
	const char *rest = add_cells(table, group->cells, columns->n_before);

	columns_add_number(table, group->n);
	columns_add_number(table, group->n_leaks);
	add_age(table, group);
	if (before)
		add_growth(table, group, before);
	add_cells(table, rest, n_cells(columns) - columns->n_before);
}

/* Adds rows for groups of which no socket is left. */
static void add_gone(struct columns *table, const struct groups_columns *columns,
		     const struct groups *groups, const struct groups *before)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct group gone = {.cells = before->at[i].cells};

		if (n_of(groups, &gone) == 0)
			add_group(table, columns, &gone, before);
	}
}

void groups_print(const struct groups *groups, const struct groups_columns *columns,
		  const struct groups *before, int indent, FILE *file)
{
	size_t n_numbers = before ? 4 : 3;

	if (!groups->n && !(before && before->n))
		return;
	struct columns *table =
		columns_open(n_cells(columns) + n_numbers, ((1U << n_numbers) - 1)
								   << columns->n_before);
	add_headings(table, columns, before);
	for (size_t i = 0; i < groups->n; i++)
		add_group(table, columns, &groups->at[i], before);
	if (before)
		add_gone(table, columns, groups, before);
	columns_print(table, indent, file);
}
