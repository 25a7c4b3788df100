/* See view.h. */
#include "commands/view.h"

#include "support/outfile.h"
#include "support/say.h"

#include <stdlib.h>

#define FIELD(name) offsetof(struct view, name)
const struct options_row view_rows[] = {
	{"output", 'o', "FILE", "the text, there", options_file, FIELD(text), NULL, NULL},
	{"json", 0, "[FILE]", "as JSON; without FILE in place of the text", options_file,
	 FIELD(json), NULL, NULL},
	{"prometheus", 0, "FILE", "metrics, for node_exporter's textfile collector",
	 options_file, FIELD(metrics), NULL, NULL},
	{"quiet", 'q', NULL, "no text, but where --output names a file", options_flag,
	 FIELD(quiet), NULL, NULL},
	{"verbose", 'v', NULL, "each socket, and not only the table", options_flag,
	 FIELD(verbose), NULL, NULL},
	{"error-exitcode", 0, "N", "end with N if there is a leak", options_exitcode,
	 FIELD(error_exitcode), OPTIONS_EXITCODE, NULL},
	{0},
};

static void refuse_same(const char *subcommand, const struct options_file *a,
			const struct options_file *b, const char *names)
{
	bool both_to_stdout = !a->path && !b->path;

	if (a->given && b->given && (both_to_stdout || outfile_is_same(a->path, b->path)))
		say_usage(subcommand, "%s would both be written to %s", names,
			  a->path ? a->path : "standard output (--FORMAT=FILE)");
}

void view_check(const struct view *view, const char *subcommand)
{
	refuse_same(subcommand, &view->json, &view->metrics, "--json and --prometheus");
	refuse_same(subcommand, &view->text, &view->json, "--output and --json");
	refuse_same(subcommand, &view->text, &view->metrics, "--output and --prometheus");
}

int view_write_metrics(const struct view *view, void (*print)(const void *of, FILE *file),
		       const void *of)
{
	return view->metrics.given ? outfile_write(view->metrics.path, print, of) : 0;
}

static bool takes_stdout(const struct options_file *file)
{
	return file->given && !file->path;
}

FILE *view_begin(struct view *view)
{
	bool is_taken = takes_stdout(&view->json) || takes_stdout(&view->metrics);

	if (!view->text.given)
		return view->quiet || is_taken ? NULL : stdout;
	view->file = outfile_open(view->text.path);
	FILE *file = view->file ? outfile_begin(view->file) : NULL;
	if (!file)
		exit(SAY_USAGE);
	return file;
}

int view_end(struct view *view, FILE *file)
{
	if (!view->file)
		return file ? outfile_flush(file, "standard output") : 0;
	int result = outfile_end(view->file);
	outfile_close(view->file);
	view->file = NULL;
	return result;
}
