/* See columns.h. */
#include "formats/columns.h"

#include "support/say.h"

#include <stdlib.h>
#include <string.h>

struct columns {
	char **cells; /* owned, each too */
	size_t n_cells, n;
	unsigned numbers;
};

struct columns *columns_open(size_t n, unsigned numbers)
{
	struct columns *columns = say_calloc(1, sizeof(*columns));

	columns->n = n;
	columns->numbers = numbers;
	return columns;
}

static void add(struct columns *columns, char *cell)
{
	columns->cells = say_one_more(columns->cells, columns->n_cells, sizeof(char *));
	columns->cells[columns->n_cells++] = cell;
}

void columns_add(struct columns *columns, struct text *cell)
{
	columns_add_bytes(columns, cell->at, cell->used);
	cell->used = 0;
}

void columns_add_bytes(struct columns *columns, const char *cell, size_t bytes)
{
	add(columns, say_printf("%.*s", (int)bytes, cell));
}

void columns_add_string(struct columns *columns, const char *cell)
{
	add(columns, say_strdup(cell));
}

void columns_add_number(struct columns *columns, uint64_t cell)
{
	add(columns, say_printf("%llu", (unsigned long long)cell));
}

/* In characters of UTF-8. */
static int width(const char *cell)
{
	int n = 0;

	for (; *cell; cell++)
		n += ((unsigned char)*cell & 0xc0) != 0x80;
	return n;
}

static int column_width(const struct columns *columns, size_t column)
{
	int widest = 0;

	for (size_t i = column; i < columns->n_cells; i += columns->n) {
		int own = width(columns->cells[i]);

		widest = own > widest ? own : widest;
	}
	return widest;
}

/* The last one is not filled up. */
static void print_cell(const struct columns *columns, size_t i, int wide, FILE *file)
{
	const char *cell = columns->cells[i];
	size_t column = i % columns->n;
	int blanks = wide - width(cell);

	if (columns->numbers >> column & 1)
		fprintf(file, "%*s%s", blanks, "", cell);
	else if (column + 1 < columns->n)
		fprintf(file, "%s%*s", cell, blanks, "");
	else
		fputs(cell, file);
	fputs(column + 1 < columns->n ? "  " : "\n", file);
}

void columns_print(struct columns *columns, int indent, FILE *file)
{
	int *widths = say_calloc(columns->n, sizeof(*widths));

	for (size_t i = 0; i < columns->n; i++)
		widths[i] = column_width(columns, i);
	for (size_t i = 0; i < columns->n_cells; i++) {
		if (i % columns->n == 0)
			fprintf(file, "%*s", indent, "");
		print_cell(columns, i, widths[i % columns->n], file);
		free(columns->cells[i]);
	}
	free(columns->cells);
	free(columns);
	free(widths);
}
