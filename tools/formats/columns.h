/* A table of text: columns as wide as what stands in them. */
#ifndef SOCKLEAK_COLUMNS_H
#define SOCKLEAK_COLUMNS_H

#include "common/text.h"

#include <stdio.h>

struct columns;

/* Bit i of `numbers`: column i is right-aligned. */
struct columns *columns_open(size_t n, unsigned numbers);

/* The next cell, row by row; what stands in `cell` is copied, and `cell` begins anew.
 * Control characters must have been escaped. */
void columns_add(struct columns *columns, struct text *cell);
void columns_add_string(struct columns *columns, const char *cell);
void columns_add_bytes(struct columns *columns, const char *cell, size_t bytes);
void columns_add_number(struct columns *columns, uint64_t cell);

/* Writes it, each row behind `indent` blanks, and frees it. */
void columns_print(struct columns *columns, int indent, FILE *file);

#endif
