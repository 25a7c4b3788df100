/* What run and report have in common: the options that say which findings count and where
 * they are written, and the writing. */
#ifndef SOCKLEAK_OUTPUT_H
#define SOCKLEAK_OUTPUT_H

#include "findings.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

/* getopt_long() values of the options below; those of a subcommand stay beneath. */
#define OUTPUT_FIRST_OPTION 1000

struct output;

/* The rows for a table of long options, ended by the subcommand's own. */
#define OUTPUT_OPTIONS                                                                   \
	{"json", optional_argument, NULL, OUTPUT_FIRST_OPTION},                          \
		{"junit", required_argument, NULL, OUTPUT_FIRST_OPTION + 1},             \
		{"sarif", required_argument, NULL, OUTPUT_FIRST_OPTION + 2},             \
		{"folded", optional_argument, NULL, OUTPUT_FIRST_OPTION + 3},            \
		{"tap", optional_argument, NULL, OUTPUT_FIRST_OPTION + 4},               \
		{"suppressions", required_argument, NULL, OUTPUT_FIRST_OPTION + 5},      \
		{"gen-suppressions", no_argument, NULL, OUTPUT_FIRST_OPTION + 6},        \
		{"baseline", required_argument, NULL, OUTPUT_FIRST_OPTION + 7},          \
		{"write-baseline", required_argument, NULL, OUTPUT_FIRST_OPTION + 8},    \
		{"quiet", no_argument, NULL, OUTPUT_FIRST_OPTION + 9},                   \
		{"verbose", no_argument, NULL, OUTPUT_FIRST_OPTION + 10},                \
		{"color", required_argument, NULL, OUTPUT_FIRST_OPTION + 11},            \
		{"error-exitcode", required_argument, NULL, OUTPUT_FIRST_OPTION + 12},

/* Their part of the help. */
extern const char output_help[];

struct output *output_open(void);

/* Takes an option that getopt_long() found; false if it is none of ours.  `subcommand`
 * is named where its value is bad, which ends the process. */
bool output_take(struct output *output, const char *subcommand, int option,
		 const char *value);

/* Opens every file that will be written and reads rules, so that a long run does not fail
 * at its end.  -1 after one clear line. */
int output_prepare(struct output *output);

/* Names, thins and writes the findings; the text goes to `text_file`.  -1 after one clear
 * line if something could not be written. */
int output_write(struct output *output, struct findings *findings, FILE *text_file);

bool output_is_quiet(const struct output *output);
int output_error_exitcode(const struct output *output); /* 0 = not asked for */
void output_close(struct output *output);

#endif
