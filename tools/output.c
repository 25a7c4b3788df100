/* The options that run and report share, as one table, and the writing of all formats. */
#include "output.h"

#include "formats/formats.h"
#include "frames.h"
#include "rules.h"
#include "say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum shared_option { /* in the order of OUTPUT_OPTIONS */
		     JSON,
		     JUNIT,
		     SARIF,
		     FOLDED,
		     TAP,
		     SUPPRESSIONS,
		     GEN_SUPPRESSIONS,
		     BASELINE,
		     WRITE_BASELINE,
		     QUIET,
		     VERBOSE,
		     COLOR,
		     ERROR_EXITCODE,
		     N_OPTIONS
};

const char output_help[] =
	"What is reported:\n"
	"  --suppressions=FILE    leave out what its rules match (leak:PATTERN [max=N])\n"
	"  --gen-suppressions     print a ready rule under each place\n"
	"  --baseline=FILE        do not count places known already\n"
	"  --write-baseline=FILE  write the places found, for --baseline\n"
	"How:\n"
	"  --json[=FILE]          one JSON object; without FILE in place of the text\n"
	"  --junit=FILE           a failed JUnit test case for each place\n"
	"  --sarif=FILE           SARIF 2.1.0\n"
	"  --folded[=FILE]        folded stacks for flame graphs, weighted by sockets\n"
	"  --tap[=FILE]           TAP, a test point for each place\n"
	"  --quiet                no text\n"
	"  --verbose              also the processes, and rules that were not used\n"
	"  --color=WHEN           auto, always or never\n"
	"  --error-exitcode=N     end with N if a socket leaked\n";

static const struct writer {
	enum shared_option option;
	void (*write)(const struct findings *findings, FILE *file);
} writers[] = {
	{JSON, format_json},   {JUNIT, format_junit},
	{SARIF, format_sarif}, {FOLDED, format_folded},
	{TAP, format_tap},     {WRITE_BASELINE, rules_write_baseline},
};
#define N_WRITERS (sizeof(writers) / sizeof(writers[0]))

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct output {
	bool given[N_OPTIONS];
	const char *value[N_OPTIONS]; /* owned by argv */
	FILE *file[N_WRITERS];        /* owned, but for standard output */
	struct rules *rules;
	struct baseline *baseline;
	enum color color;
	int error_exitcode;
};

struct output *output_open(void)
{
	return say_calloc(1, sizeof(struct output));
}

static enum color parse_color(const char *subcommand, const char *value)
{
	static const char *const names[] = {"auto", "always", "never"};

	for (int i = 0; i < 3; i++)
		if (strcmp(value, names[i]) == 0)
			return (enum color)i;
	say_usage(subcommand, "--color is auto, always or never, not '%s'", value);
}

bool output_take(struct output *output, const char *subcommand, int option,
		 const char *value)
{
	int at = option - OUTPUT_FIRST_OPTION;

	if (at < 0 || at >= N_OPTIONS)
		return false;
	output->given[at] = true;
	output->value[at] = value;
	if (at == COLOR)
		output->color = parse_color(subcommand, value);
	if (at == ERROR_EXITCODE)
		output->error_exitcode = say_parse_exitcode(subcommand, value);
	return true;
}

/* NULL = standard output */
static const char *path_of(const struct output *output, const struct writer *writer)
{
	const char *path = output->value[writer->option];

	return path && strcmp(path, "-") != 0 ? path : NULL;
}

int output_prepare(struct output *output)
{
	if (output->given[SUPPRESSIONS]) {
		output->rules = rules_read(output->value[SUPPRESSIONS]);
		if (!output->rules)
			return -1;
	}
	/* Before it may be written over. */
	if (output->given[BASELINE]) {
		output->baseline = rules_read_baseline(output->value[BASELINE]);
		if (!output->baseline)
			return -1;
	}
	for (size_t i = 0; i < N_WRITERS; i++) {
		const char *path = path_of(output, &writers[i]);

		if (!output->given[writers[i].option])
			continue;
		output->file[i] = path ? fopen(path, "we") : stdout;
		if (!output->file[i]) {
			say_warn("cannot open %s:", path);
			return -1;
		}
	}
	return 0;
}

static bool writes_to_stdout(const struct output *output)
{
	for (size_t i = 0; i < N_WRITERS; i++)
		if (output->file[i] == stdout)
			return true;
	return false;
}

static bool wants_color(const struct output *output, FILE *file)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (output->color != COLOR_AUTO)
		return output->color == COLOR_ALWAYS;
	return isatty(fileno(file)) && !(no_color && *no_color) &&
	       !(term && strcmp(term, "dumb") == 0);
}

static void write_text(const struct output *output, const struct findings *findings,
		       FILE *file)
{
	struct format_text_options options = {
		.color = wants_color(output, file),
		.verbose = output->given[VERBOSE],
		.gen_suppressions = output->given[GEN_SUPPRESSIONS],
	};

	if (!output->given[QUIET] && !writes_to_stdout(output))
		format_text(findings, &options, file);
}

static int flush(FILE *file, const char *path)
{
	if (!ferror(file) && fflush(file) == 0)
		return 0;
	say_warn("cannot write %s:", path);
	return -1;
}

/* The baseline that is written holds all places, also those known before. */
static void thin(struct output *output, struct findings *findings)
{
	if (output->rules)
		rules_apply(output->rules, findings);
	for (size_t i = 0; i < N_WRITERS; i++)
		if (output->file[i] && writers[i].option == WRITE_BASELINE)
			writers[i].write(findings, output->file[i]);
	if (output->baseline)
		rules_apply_baseline(output->baseline, findings);
}

int output_write(struct output *output, struct findings *findings, FILE *text_file)
{
	int result = 0;

	frames_name(findings);
	thin(output, findings);
	for (size_t i = 0; i < N_WRITERS; i++) {
		if (!output->file[i])
			continue;
		if (writers[i].option != WRITE_BASELINE)
			writers[i].write(findings, output->file[i]);
		const char *path = path_of(output, &writers[i]);
		if (flush(output->file[i], path ? path : "standard output") < 0)
			result = -1;
	}
	write_text(output, findings, text_file);
	if (flush(text_file, "the report") < 0)
		result = -1;
	return result;
}

bool output_is_quiet(const struct output *output)
{
	return output->given[QUIET];
}

int output_error_exitcode(const struct output *output)
{
	return output->error_exitcode;
}

void output_close(struct output *output)
{
	for (size_t i = 0; i < N_WRITERS; i++)
		if (output->file[i] && output->file[i] != stdout)
			fclose(output->file[i]);
	rules_free(output->rules);
	rules_free_baseline(output->baseline);
	free(output);
}
