/* SARIF 2.1.0, as code scanning of GitHub shows it: a result a place.
 *
 * GitHub refuses a whole file for one result that has no line of a source file, and shows
 * no others than those in the repository.  So a place without such a line is no result,
 * but a notification; a binary is no location.  tests/lib/github_sarif has the rules. */
#include "formats/sarif_internal.h"

#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"
/* More are not shown; the largest come first. */
#define MAX_RESULTS 5000

/* --- what is looked for --- */

static const struct rule {
	const char *id, *name, *text, *help;
} rules[] = {
	{"close-wait", "SocketLeftInCloseWait",
	 "A TCP socket whose peer has gone is still held.",
	 "The peer's FIN was acknowledged; the kernel waits, without limit, for this "
	 "program to close the socket. Close it on every path that learns of the end of "
	 "stream."},
	{"dead", "DeadSocketHeld", "A TCP socket whose connection is dead is still held.",
	 "The connection was reset or shut down; the descriptor and its memory stay "
	 "until "
	 "this program closes it."},
};

static json_t *rule(const struct rule *of)
{
	return values_checked(json_pack(
		"{s:s, s:s, s:{s:s}, s:{s:s}, s:{s:s,s:s}, s:{s:s}, s:{s:[s,s], s:s, "
		"s:s}}",
		"id", of->id, "name", of->name, "shortDescription", "text", of->text,
		"fullDescription", "text", of->help, "help", "text", of->help, "markdown",
		of->help, "defaultConfiguration", "level", "error", "properties", "tags",
		"reliability", "external/cwe/cwe-775", "precision", "very-high",
		"problem.severity", "error"));
}

static json_t *driver(void)
{
	json_t *array = values_checked(json_array());

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		json_array_append_new(array, rule(&rules[i]));
	return values_checked(json_pack("{s:s, s:s, s:s, s:o}", "name", "sockleak",
					"version", SL_VERSION, "semanticVersion",
					SL_VERSION, "rules", array));
}

/* --- what is no result --- */

static json_t *notification(const char *id, const char *level, const char *line,
			    size_t bytes)
{
	return values_checked(json_pack(
		"{s:s, s:{s:o}, s:{s:s}}", "level", level, "message", "text",
		values_checked(json_stringn(line, bytes)), "descriptor", "id", id));
}

static json_t *not_watched(const struct unwatched *unwatched)
{
	char line[4096];
	struct text text = {.at = line, .size = sizeof(line)};

	text_string(&text, "Not watched: ");
	text_escaped(&text, unwatched->exe ? unwatched->exe : "a program");
	text_string(&text, " ");
	text_string(&text, unwatched_sentence(unwatched->reason));
	return notification("unwatched", "warning", line, text.used);
}

static json_t *without_line(const struct findings_place *place)
{
	char line[1024];

	format_headline(place, line, sizeof(line) - 64);
	strcat(line, ": no line of its source is known, so it is no result");
	return notification("without-line", "error", line, strlen(line));
}

static json_t *not_all(size_t n)
{
	char line[64];
	int bytes = snprintf(line, sizeof(line), "%zu more places are left out", n);

	return notification("more-places", "warning", line, (size_t)bytes);
}

/* --- the log --- */

struct log {
	json_t *results, *notifications;
	size_t n_left_out;
};

static void add_places(struct log *log, const struct findings_place *places, size_t n,
		       const char *level)
{
	for (size_t i = 0; i < n; i++) {
		bool has_room = json_array_size(log->results) +
					json_array_size(log->notifications) <
				MAX_RESULTS;

		if (!has_room)
			log->n_left_out++;
		else if (format_source_line(&places[i]))
			json_array_append_new(log->results,
					      sarif_result(&places[i], level));
		else
			json_array_append_new(log->notifications,
					      without_line(&places[i]));
	}
}

static struct log fill(const struct findings *findings)
{
	struct log log = {values_checked(json_array()), values_checked(json_array()), 0};

	add_places(&log, findings->leaks, findings->n_leaks, "error");
	add_places(&log, findings->late, findings->n_late,
		   findings->late_counts ? "error" : "note");
	if (log.n_left_out)
		json_array_append_new(log.notifications, not_all(log.n_left_out));
	for (size_t i = 0; i < findings->n_unwatched; i++)
		json_array_append_new(log.notifications,
				      not_watched(&findings->unwatched[i]));
	return log;
}

/* Of what relative paths are relative to; a directory ends in '/'. */
static json_t *source_root(void)
{
	char *root = say_printf("%s/", paths_source_root());
	json_t *value = sarif_uri(root);

	free(root);
	return value;
}

static json_t *run(const struct findings *findings)
{
	struct log log = fill(findings);

	return values_checked(json_pack(
		"{s:{s:o}, s:s, s:{s:{s:o}}, s:[{s:b, s:o}], s:o}", "tool", "driver",
		driver(), "columnKind", "utf16CodeUnits", "originalUriBaseIds",
		"%SRCROOT%", "uri", source_root(), "invocations", "executionSuccessful",
		findings->n_unread == 0, "toolExecutionNotifications", log.notifications,
		"results", log.results));
}

void format_sarif(const struct findings *findings, FILE *file)
{
	json_t *one = run(findings);

	if (findings->sarif_category) {
		char *id = say_printf("%s/", findings->sarif_category);

		json_object_set_new(one, "automationDetails",
				    json_pack("{s:o}", "id", values_escaped(id)));
		free(id);
	}
	json_t *log = values_checked(json_pack("{s:s, s:s, s:[o]}", "$schema", SCHEMA,
					       "version", "2.1.0", "runs", one));
	json_dumpf(log, file, JSON_INDENT(1));
	fputc('\n', file);
	json_decref(log);
}
