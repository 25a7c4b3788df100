/* What list and scan have in common: options, and where the text and the JSON go. */
#ifndef SOCKLEAK_VIEW_H
#define SOCKLEAK_VIEW_H

#include "support/options.h"

#include <stdio.h>

struct view {
	struct options_file text, json, metrics;
	bool quiet, verbose;
	int error_exitcode;
	struct outfile *file; /* owned; of the text, between begin and end */
};

/* For options_take(), into a struct view. */
extern const struct options_row view_rows[];

/* A usage error where two of them would be written to one file. */
void view_check(const struct view *view, const char *subcommand);
/* The metrics, where they are asked for; -1 after one line on standard error. */
int view_write_metrics(const struct view *view, void (*print)(const void *of, FILE *file),
		       const void *of);
/* Where the text goes; NULL = none is wanted.  Where it cannot be written the process
 * ends. */
FILE *view_begin(struct view *view);
/* -1 after one line on standard error: `file` could not be written. */
int view_end(struct view *view, FILE *file);

#endif
