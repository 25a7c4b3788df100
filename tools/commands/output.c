/* The options that run and report share, as one table, and the writing of all formats.
 *
 * Theory of operation.  A subcommand takes its options, and ends with a usage error
 * before it has done anything.  output_prepare() opens every file and reads every rule
 * before the work begins, so that a long run does not fail at its end.  Then come the
 * steps (sockleak.c lists them); output_write() does the last three.  Each subcommand
 * writes its text to the stream it chooses: run to standard error, which leaves standard
 * output to the program.
 *
 * A new format: formats/NAME.c, its function in formats/formats.h, and here a row of
 * writers[] and one of the options; its check in tests/e2e/formats.bats.  A new option: a
 * row in the table of its subcommand (output_rows here, view.c, run_options.c, or the
 * subcommand's own file).  --help and the completion of names come from the table;
 * tools/sockleak.1 is written by hand, and tests/e2e/install.bats compares the two. */
#include "commands/output.h"

#include "annotate/frames.h"
#include "annotate/sources.h"
#include "commands/github_output.h"
#include "filter/rules.h"
#include "findings/callers.h"
#include "findings/fingerprint.h"
#include "formats/formats.h"
#include "formats/prometheus.h"
#include "support/outfile.h"
#include "support/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TEXT,
	JSON,
	JUNIT,
	SARIF,
	FOLDED,
	TAP,
	PROMETHEUS,
	GITLAB,
	HTML,
	WRITE_BASELINE,
	N_WRITERS
};

static const struct writer {
	const char *name; /* of the option */
	/* NULL = the text, which has options of its own */
	void (*write)(const struct findings *findings, FILE *file);
	bool needs_line; /* a place without a line of its source is left out */
} writers[] = {
	[TEXT] = {"output", NULL, false},
	[JSON] = {"json", format_json, false},
	[JUNIT] = {"junit", format_junit, false},
	[SARIF] = {"sarif", format_sarif, true},
	[FOLDED] = {"folded", format_folded, false},
	[TAP] = {"tap", format_tap, false},
	[PROMETHEUS] = {"prometheus", format_prometheus, false},
	[GITLAB] = {"gitlab", format_gitlab, true},
	[HTML] = {"html", format_html, false},
	[WRITE_BASELINE] = {"write-baseline", rules_write_baseline, false},
};

enum { COLOR_ALWAYS, COLOR_AUTO, COLOR_NEVER };
static const char *const color_names[] = {"always", "auto", "never", NULL};
enum { LATE_SHOW, LATE_LEAK, LATE_NONE };
static const char *const late_names[] = {"show", "leak", "none", NULL};

struct output {
	struct options_file asked[N_WRITERS];
	struct outfile *file[N_WRITERS]; /* owned; NULL = not asked for */
	const char *suppressions, *baseline_path, *sarif_category;
	bool gen_suppressions, quiet, verbose, github;
	int color, late, error_exitcode;
	struct rules *rules;
	struct baseline *baseline;
	char *own_suppressions; /* owned */
};

/* Until it was the library's options that -o took. */
static bool take_text(void *field, const char *value)
{
	size_t n = strspn(value, "abcdefghijklmnopqrstuvwxyz_");

	if (n && value[n] == '=')
		return false;
	return options_file(field, value);
}

#define FIELD(name) offsetof(struct output, name)
#define FORMAT(name, writer, value, help)                                                \
	{                                                                                \
		name, 0, value, help, options_file, FIELD(asked[writer]), NULL, NULL     \
	}
const struct options_row output_rows[] = {
	{.help = "What is reported:"},
	{"suppressions", 0, "FILE",
	 "leave out what its rules match (leak:PATTERN [max=N])", options_string,
	 FIELD(suppressions), NULL, NULL},
	{"gen-suppressions", 0, NULL, "print a ready rule under each place", options_flag,
	 FIELD(gen_suppressions), NULL, NULL},
	{"baseline", 0, "FILE", "do not count places known already", options_string,
	 FIELD(baseline_path), NULL, NULL},
	FORMAT("write-baseline", WRITE_BASELINE, "FILE",
	       "write the places found, for --baseline"),
	{.help = "How:"},
	{"output", 'o', "FILE", "the text, there", take_text, FIELD(asked[TEXT]),
	 "the file of the text (an option of the library is -O NAME=VALUE)", NULL},
	FORMAT("html", HTML, "FILE", "one page for a browser, which fetches nothing"),
	FORMAT("json", JSON, "[FILE]",
	       "one JSON object; without FILE in place of the text"),
	FORMAT("junit", JUNIT, "FILE", "a failed JUnit test case for each place"),
	FORMAT("sarif", SARIF, "FILE", "SARIF 2.1.0, as GitHub's code scanning takes it"),
	{"sarif-category", 0, "NAME", "what tells it from other files of the same commit",
	 options_string, FIELD(sarif_category), NULL, NULL},
	FORMAT("gitlab", GITLAB, "FILE", "a report of GitLab's Code Quality"),
	FORMAT("prometheus", PROMETHEUS, "FILE",
	       "metrics, for node_exporter's textfile collector"),
	{"github", 0, NULL, "annotations and the summary of a step of GitHub Actions",
	 options_flag, FIELD(github), NULL, NULL},
	FORMAT("folded", FOLDED, "[FILE]",
	       "folded stacks for flame graphs, weighted by sockets"),
	FORMAT("tap", TAP, "[FILE]", "TAP, a test point for each place"),
	{"quiet", 'q', NULL, "no text, but where --output names a file", options_flag,
	 FIELD(quiet), NULL, NULL},
	{"verbose", 'v', NULL,
	 "all frames in full, also those inside an interpreter;\n"
	 "the processes, and rules that were not used",
	 options_flag, FIELD(verbose), NULL, NULL},
	{"color", 0, "[WHEN]", "always, or WHEN: auto, always or never", NULL,
	 FIELD(color), NULL, color_names},
	{"error-exitcode", 0, "N", "end with N if a socket leaked", options_exitcode,
	 FIELD(error_exitcode), OPTIONS_EXITCODE, NULL},
	{"late", 0, "WHAT",
	 "leaks that the program closed after all: leak (they\n"
	 "count), show or none",
	 NULL, FIELD(late), NULL, late_names},
	{0},
};

struct output *output_open(void)
{
	struct output *output = say_calloc(1, sizeof(*output));

	output->color = COLOR_AUTO;
	return output;
}

/* In place of the text. */
static bool writes_to_stdout(const struct output *output)
{
	for (size_t i = 0; i < N_WRITERS; i++)
		if (output->asked[i].given && !output->asked[i].path)
			return true;
	return false;
}

/* Two formats in one file are neither. */
static void refuse_same_file(const struct output *output, const char *subcommand)
{
	for (size_t i = 0; i < N_WRITERS; i++)
		for (size_t j = 0; j < i; j++) {
			const char *a = output->asked[i].path;
			const char *b = output->asked[j].path;

			if (!output->asked[i].given || !output->asked[j].given ||
			    ((a || b) && !outfile_is_same(a, b)))
				continue;
			say_usage(subcommand, "--%s and --%s would both be written to %s",
				  writers[j].name, writers[i].name,
				  a ? a : "standard output (--FORMAT=FILE)");
		}
}

int output_prepare(struct output *output, const char *subcommand)
{
	if (output->suppressions) {
		output->rules = rules_read(output->suppressions);
		if (!output->rules)
			return -1;
	}
	/* Before it may be written over. */
	if (output->baseline_path) {
		output->baseline = rules_read_baseline(output->baseline_path);
		if (!output->baseline)
			return -1;
	}
	refuse_same_file(output, subcommand);
	for (size_t i = 0; i < N_WRITERS; i++) {
		if (!output->asked[i].given)
			continue;
		output->file[i] = outfile_open(output->asked[i].path);
		if (!output->file[i])
			return -1;
	}
	return 0;
}

static bool wants_color(const struct output *output, FILE *file)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	if (output->color != COLOR_AUTO)
		return output->color == COLOR_ALWAYS;
	return isatty(fileno(file)) && !(no_color && *no_color) &&
	       !(term && strcmp(term, "dumb") == 0);
}

static void write_text(const struct output *output, struct findings *findings, FILE *file)
{
	struct format_text_options options = {
		.color = wants_color(output, file),
		.verbose = output->verbose,
		.gen_suppressions = output->gen_suppressions,
	};

	format_text(findings, &options, file);
}

/* An empty file must not be taken for good news. */
static void say_left_out(const struct writer *writer, const struct findings *findings)
{
	size_t n = format_n_without_line(findings);

	if (n && writer->needs_line)
		say_warn("--%s leaves out %zu place%s of which no line of source is "
			 "known (compile with -g)",
			 writer->name, n, n == 1 ? "" : "s");
}

static int write_file(struct output *output, size_t i, struct findings *findings)
{
	if (!output->file[i])
		return 0;
	FILE *file = outfile_begin(output->file[i]);
	if (!file)
		return -1;
	if (i == TEXT)
		write_text(output, findings, file);
	else
		writers[i].write(findings, file);
	say_left_out(&writers[i], findings);
	return outfile_end(output->file[i]);
}

/* The baseline that is written holds all places, also those known before. */
static int filter(struct output *output, struct findings *findings)
{
	if (output->rules)
		rules_apply(output->rules, findings);
	int result = write_file(output, WRITE_BASELINE, findings);
	if (output->baseline)
		rules_apply_baseline(output->baseline, findings);
	return result;
}

int output_write(struct output *output, struct findings *findings, FILE *text_file)
{
	findings->late_counts = output->late == LATE_LEAK;
	findings->sarif_category = output->sarif_category;
	if (output->late == LATE_NONE)
		findings->n_late = 0;
	frames_name(findings, !output->verbose);
	fingerprint_places(findings);
	int result = filter(output, findings);
	callers_find(findings);
	if (!output->verbose || output->asked[HTML].given)
		sources_read(findings);
	for (size_t i = 0; i < N_WRITERS; i++)
		if (i != WRITE_BASELINE && write_file(output, i, findings) < 0)
			result = -1;
	if (!output->quiet && !writes_to_stdout(output) && !output->asked[TEXT].given)
		write_text(output, findings, text_file);
	if (outfile_flush(text_file, "the report") < 0)
		result = -1;
	if (output->github && github_output_write(findings) < 0)
		result = -1;
	return result;
}

int output_status(const struct output *output, const struct findings *findings)
{
	bool has_leaked = findings_n_leaked(findings) ||
			  (findings->late_counts && findings->n_late);

	return has_leaked ? output->error_exitcode : 0;
}

void output_suppressions(struct output *output, const char *path)
{
	if (output->suppressions)
		return;
	output->own_suppressions = say_strdup(path);
	output->suppressions = output->own_suppressions;
}

void output_close(struct output *output)
{
	for (size_t i = 0; i < N_WRITERS; i++)
		outfile_close(output->file[i]);
	rules_free(output->rules);
	rules_free_baseline(output->baseline);
	free(output->own_suppressions);
	free(output);
}
