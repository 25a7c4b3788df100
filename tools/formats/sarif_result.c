/* A result of SARIF: where, both backtraces, and how it is known again. */
#include "formats/sarif_internal.h"

#include "findings/short_name.h"
#include "findings/stack.h"
#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

/* GitHub shows 1,000 steps of a result, and it has two flows. */
#define MAX_STEPS 500

json_t *sarif_uri(const char *path)
{
	char *encoded = say_calloc(3 * strlen(path) + 8, 1), *to = encoded;

	if (*path == '/')
		to = stpcpy(to, "file://");
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr("/-._~+,=@", c))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	json_t *value = values_checked(json_string(encoded));
	free(encoded);
	return value;
}

/* --- locations --- */

/* Relative to the root of the sources where it lies below it, which is how code scanning
 * finds it in a checkout. */
static json_t *artifact(const char *path)
{
	size_t n = paths_below_source_root(path);
	json_t *object = values_checked(json_pack("{s:o}", "uri", sarif_uri(path + n)));

	if (n || *path != '/')
		json_object_set_new(object, "uriBaseId", json_string("%SRCROOT%"));
	return object;
}

static json_t *physical_location(const struct text_frame *frame)
{
	return values_checked(json_pack("{s:o, s:{s:i,s:i,s:i}}", "artifactLocation",
					artifact(frame->file), "region", "startLine",
					(int)frame->line, "startColumn", 1, "endLine",
					(int)frame->line));
}

static json_t *location(const struct text_frame *frame)
{
	json_t *object = values_checked(json_object());

	if (frame->file && frame->line)
		json_object_set_new(object, "physicalLocation", physical_location(frame));
	if (frame->function)
		json_object_set_new(object, "logicalLocations",
				    json_pack("[{s:o,s:s}]", "fullyQualifiedName",
					      values_escaped(frame->function), "kind",
					      "function"));
	return object;
}

/* "WORDS FUNCTION", the name in short. */
static void set_message(json_t *location, const char *words,
			const struct text_frame *frame)
{
	char name[STACK_NAME_BYTES];

	short_name(frame->function ? frame->function : "", name, sizeof(name));
	char *line = say_printf("%s%s%s", words, *name ? " " : "", name);
	json_object_set_new(location, "message",
			    json_pack("{s:o}", "text", values_escaped(line)));
	free(line);
}

/* --- backtraces --- */

/* All frames, as a debugger shows them. */
static json_t *stack(const struct text_frame *frames, unsigned n, const char *message)
{
	json_t *array = values_checked(json_array());

	for (unsigned i = 0; i < n; i++) {
		if (frames[i].is_folded)
			continue;
		json_t *frame = values_checked(
			json_pack("{s:o}", "location", location(&frames[i])));

		if (frames[i].module)
			json_object_set_new(frame, "module",
					    values_escaped(frames[i].module));
		json_array_append_new(array, frame);
	}
	return values_checked(
		json_pack("{s:{s:s},s:o}", "message", "text", message, "frames", array));
}

static bool is_step(const struct text_frame *frame)
{
	return frame->file && frame->line && !stack_is_library(frame);
}

/* Of the innermost steps, the caller before the called: what GitHub calls a path. */
static json_t *steps(const struct text_frame *frames, unsigned n, const char *last)
{
	json_t *array = values_checked(json_array());

	for (unsigned i = 0; i < n && json_array_size(array) < MAX_STEPS; i++) {
		if (!is_step(&frames[i]))
			continue;
		json_t *step = location(&frames[i]);

		set_message(step, json_array_size(array) ? "in" : last, &frames[i]);
		json_array_insert_new(
			array, 0, values_checked(json_pack("{s:o}", "location", step)));
	}
	return array;
}

static void add_flow(json_t *flows, const struct text_frame *frames, unsigned n,
		     const char *message, const char *last)
{
	json_t *array = steps(frames, n, last);

	if (json_array_size(array))
		json_array_append_new(
			flows, values_checked(json_pack("{s:{s:s}, s:[{s:O}]}", "message",
							"text", message, "threadFlows",
							"locations", array)));
	json_decref(array);
}

/* The rows that a person is shown, from the second one of the origin on; ids from 1.
 * Returns the id of the first that was added; 0 = none. */
static unsigned add_related(json_t *related, const struct text_frame *frames, unsigned n,
			    const struct text_frame * not, const char *first)
{
	struct stack rows = stack_fold(frames, n, STACK_MAX_ROWS);
	unsigned id = 0;

	for (unsigned i = 0; i < rows.n_rows; i++) {
		const struct text_frame *frame = rows.rows[i].frame;

		if (frame == not || !is_step(frame))
			continue;
		json_t *one = location(frame);

		set_message(one, id ? "called in" : first, frame);
		json_object_set_new(
			one, "id",
			json_integer((json_int_t)json_array_size(related) + 1));
		json_array_append_new(related, one);
		if (!id)
			id = (unsigned)json_array_size(related);
	}
	return id;
}

/* --- the result --- */

/* The headline, and where there are some the tests; escaped.  A number in parentheses
 * behind brackets is a link to the related location of that id. */
static json_t *message(const struct findings_place *place, unsigned told_id,
		       unsigned use_id)
{
	char *line = format_headline_with_tests(place), told[128] = "", used[128] = "";

	if (told_id)
		snprintf(told, sizeof(told), ". The program was told by %s() [here](%u).",
			 text_call_name(place->eof_call), told_id);
	if (use_id)
		snprintf(used, sizeof(used), "%s It was last used by %s() [here](%u).",
			 told_id ? "" : ".", text_call_name(place->uses[0].call), use_id);
	char *whole = say_printf("%s%s%s", line, told, used);
	json_t *value = values_checked(json_string(whole));
	free(whole);
	free(line);
	return value;
}

static json_t *test_names(const struct findings_place *place)
{
	struct format_test tests[FORMAT_MAX_TESTS];
	size_t n = format_tests(place, tests);
	json_t *array = values_checked(json_array());

	for (size_t i = 0; i < n; i++)
		json_array_append_new(array, values_escaped(tests[i].name));
	return array;
}

/* Set where it is not empty; given up. */
static void set_filled(json_t *object, const char *key, json_t *array)
{
	if (json_array_size(array))
		json_object_set(object, key, array);
	json_decref(array);
}

static void set_backtraces(json_t *result, const struct findings_place *place)
{
	json_t *flows = values_checked(json_array()), *stacks = json_array();

	add_flow(flows, place->origin, place->n_origin, "how the socket was opened",
		 "opened in");
	add_flow(flows, place->eof, place->n_eof,
		 "how the program was told that the peer has gone", "told in");
	set_filled(result, "codeFlows", flows);
	if (place->n_origin)
		json_array_append_new(
			stacks, stack(place->origin, place->n_origin, "opened here"));
	if (place->n_eof)
		json_array_append_new(stacks, stack(place->eof, place->n_eof,
						    "the program was told here"));
	for (size_t i = 0; i < place->n_uses && i < TEXT_MAX_USES; i++)
		if (place->uses[i].n_frames)
			json_array_append_new(stacks, stack(place->uses[i].frames,
							    place->uses[i].n_frames,
							    "last used here"));
	json_object_set_new(result, "stacks", stacks);
}

/* Returns the id of the first. */
static unsigned add_uses(json_t *related, const struct findings_place *place)
{
	unsigned first = 0;

	for (size_t i = 0; i < place->n_uses && i < TEXT_MAX_USES; i++) {
		const struct text_use *use = &place->uses[i];
		unsigned id = add_related(related, use->frames, use->n_frames, NULL,
					  "last used in");

		if (!i)
			first = id;
	}
	return first;
}

json_t *sarif_result(const struct findings_place *place, const char *level)
{
	const struct text_frame *line = format_source_line(place);
	json_t *related = values_checked(json_array());

	add_related(related, place->origin, place->n_origin, line, "called in");
	bool has_told = text_call_name(place->eof_call) != NULL;
	unsigned told_id =
		has_told ? add_related(related, place->eof, place->n_eof, NULL, "told in")
			 : 0;
	unsigned use_id = add_uses(related, place);
	json_t *object = values_checked(json_pack(
		"{s:s, s:i, s:s, s:s, s:{s:o}, s:[o], s:{s:s}, s:I}", "ruleId",
		text_kind_name(place->kind), "ruleIndex", place->kind == SL_KIND_DEAD,
		"level", level, "kind", "fail", "message", "text",
		message(place, told_id, use_id), "locations", location(line),
		"partialFingerprints", "primaryLocationLineHash", place->fingerprint,
		"occurrenceCount", (json_int_t)place->n_sockets));
	set_filled(object, "relatedLocations", related);
	set_backtraces(object, place);
	json_object_set_new(
		object, "properties",
		json_pack("{s:s, s:o}", "place", place->id, "tests", test_names(place)));
	return object;
}
