/* A table of sockets, grouped: those of which the same is said are one row, with their
 * number and the oldest. */
#ifndef SOCKLEAK_GROUPS_H
#define SOCKLEAK_GROUPS_H

#include "common/text.h"

#include <stdbool.h>
#include <stdio.h>

struct group {
	char *cells; /* owned; what is said, separated by tabs */
	size_t n, n_leaks;
	bool has_age;
	uint64_t oldest_ms;
};

struct groups {
	struct group *at; /* owned */
	size_t n;
};

#define GROUPS_MOST_CELLS 4

struct groups_columns {
	const char *names[GROUPS_MOST_CELLS + 1]; /* of the cells, ended by NULL */
	size_t n_before; /* cells before the numbers; the others stand behind them */
};

/* Adds a socket that `cells` describe; the cells are empty afterwards.  Control
 * characters in them must have been escaped.  Without `has_age` its age is not known. */
void groups_add(struct groups *groups, struct text *cells, bool is_leak, bool has_age,
		uint64_t age_ms);

/* Makes one of equal ones, once all are there; the largest come first. */
void groups_merge(struct groups *groups);

/* In columns, each line behind `indent` blanks; with what came and went since `before`,
 * NULL = without. */
void groups_print(const struct groups *groups, const struct groups_columns *columns,
		  const struct groups *before, int indent, FILE *file);

void groups_free(struct groups *groups);

#endif
