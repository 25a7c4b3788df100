/* What sockleak top shows: the places of leaks of running processes, and how they and all
 * sockets have changed from look to look. */
#ifndef SOCKLEAK_TOP_H
#define SOCKLEAK_TOP_H

#include "findings/findings.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct top;

enum top_order { TOP_BY_LEAKED, TOP_BY_GROWTH, TOP_BY_OLDEST, TOP_BY_WHERE };

struct top_row {
	const struct findings_place *place; /* of the last look */
	int64_t per_minute;                 /* growth; with has_growth */
	bool has_growth;                    /* it was there at a look before */
};

struct top *top_open(void);
void top_close(struct top *top);

/* The next look; `findings` are kept until the one after it, and freed then.  `now_ms` by
 * any clock that does not jump. */
void top_take(struct top *top, struct findings *findings, uint64_t now_ms);
void top_sort(struct top *top, enum top_order order);

const struct findings *top_findings(const struct top *top); /* of the last look */
const struct top_row *top_rows(const struct top *top, size_t *n);

#define TOP_LINE_BYTES 1024
/* "2 processes, 14 sockets open, 3 leaked" */
void top_put_head(const struct top *top, char line[TOP_LINE_BYTES]);
/* The last `width` looks, a character each: how many sockets were open, or leaked.  In
 * UTF-8 a block of eight heights, else a digit from 0 to 9. */
void top_put_sparkline(const struct top *top, bool leaked, bool utf8, unsigned width,
		       char line[TOP_LINE_BYTES]);
/* The names of the columns, and what stands below them. */
void top_put_columns(const struct top *top, char line[TOP_LINE_BYTES]);
void top_put_row(const struct top *top, const struct top_row *row,
		 char line[TOP_LINE_BYTES]);

/* All of it, without sparklines. */
void top_print(const struct top *top, FILE *file);

#endif
