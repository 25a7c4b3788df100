/* What run and report have in common: the options that say which findings count and where
 * they are written, and the writing. */
#ifndef SOCKLEAK_OUTPUT_H
#define SOCKLEAK_OUTPUT_H

#include "findings/findings.h"
#include "support/options.h"

#include <stdbool.h>
#include <stdio.h>

struct output;

/* For options_take(), into a struct output. */
extern const struct options_row output_rows[];

struct output *output_open(void);

/* Opens every file that will be written and reads rules, so that a long run does not fail
 * at its end.  -1 after one clear line; two formats in one file are a usage error of the
 * subcommand, which ends the process. */
int output_prepare(struct output *output, const char *subcommand);

/* Names, filters and writes the findings; the text goes to `text_file` where --output
 * names none.  -1 after one clear line if something could not be written. */
int output_write(struct output *output, struct findings *findings, FILE *text_file);

/* N of --error-exitcode if what was found calls for it, else 0. */
int output_status(const struct output *output, const struct findings *findings);
/* Rules for where --suppressions names none; a copy is made. */
void output_suppressions(struct output *output, const char *path);
void output_close(struct output *output);

#endif
