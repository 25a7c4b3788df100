/* SARIF 2.1.0: a result a place, known again by its id (partialFingerprints). */
#include "formats.h"

#include "frames.h"
#include "say.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA "https://json.schemastore.org/sarif-2.1.0.json"

static json_t *checked(json_t *value)
{
	if (!value)
		say_die(say_memory_status, "out of memory");
	return value;
}

/* A path as a URI reference: relative to the directory we are in where it lies below it,
 * which is how code scanning finds it in a checkout. */
static json_t *uri(const char *path)
{
	char *cwd = getcwd(NULL, 0), *encoded = say_calloc(3 * strlen(path) + 8, 1);
	size_t below = cwd ? strlen(cwd) : 0;
	char *to = encoded;

	if (below > 1 && strncmp(path, cwd, below) == 0 && path[below] == '/')
		path += below + 1;
	else if (*path == '/')
		to = stpcpy(to, "file://");
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;

		if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c >= '0' && c <= '9') || strchr("/-._~+,=@", c))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	json_t *value = checked(json_string(encoded));
	free(encoded);
	free(cwd);
	return value;
}

static json_t *physical_location(const struct text_frame *frame)
{
	const char *path = frame->file ? frame->file : frame->module;

	if (!path)
		return NULL;
	json_t *location =
		checked(json_pack("{s:{s:o}}", "artifactLocation", "uri", uri(path)));
	if (frame->file && frame->line)
		json_object_set_new(location, "region",
				    json_pack("{s:i}", "startLine", (int)frame->line));
	return location;
}

static json_t *escaped(const char *string)
{
	char buffer[4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, string);
	return checked(json_stringn(buffer, text.used));
}

static json_t *location(const struct text_frame *frame)
{
	json_t *object = checked(json_object()), *physical = physical_location(frame);

	if (physical)
		json_object_set_new(object, "physicalLocation", physical);
	if (frame->function)
		json_object_set_new(object, "logicalLocations",
				    json_pack("[{s:o,s:s}]", "fullyQualifiedName",
					      escaped(frame->function), "kind",
					      "function"));
	return object;
}

static json_t *stack(const struct text_frame *frames, unsigned n, const char *message)
{
	json_t *array = checked(json_array());

	for (unsigned i = 0; i < n; i++) {
		json_t *frame =
			checked(json_pack("{s:o}", "location", location(&frames[i])));

		if (frames[i].module)
			json_object_set_new(frame, "module", escaped(frames[i].module));
		json_array_append_new(array, frame);
	}
	return checked(
		json_pack("{s:{s:s},s:o}", "message", "text", message, "frames", array));
}

static json_t *result(const struct findings_place *place)
{
	const struct text_frame *first =
		frames_first_of_user(place->origin, place->n_origin);
	json_t *stacks = checked(json_array());
	char line[1024];

	format_headline(place, line, sizeof(line));
	json_t *object = checked(json_pack(
		"{s:s, s:i, s:s, s:s, s:{s:o}, s:{s:s}, s:I}", "ruleId",
		text_kind_name(place->kind), "ruleIndex", place->kind == SL_KIND_DEAD,
		"level", "error", "kind", "fail", "message", "text", escaped(line),
		"partialFingerprints", "sockleakPlace/v1", place->id, "occurrenceCount",
		(json_int_t)place->n_sockets));
	json_object_set_new(object, "locations",
			    first ? json_pack("[o]", location(first)) : json_array());
	if (place->n_origin)
		json_array_append_new(
			stacks, stack(place->origin, place->n_origin, "opened here"));
	if (place->n_eof)
		json_array_append_new(stacks, stack(place->eof, place->n_eof,
						    "the program was told here"));
	json_object_set_new(object, "stacks", stacks);
	return object;
}

static json_t *rule(const char *id, const char *text, const char *help)
{
	return checked(json_pack("{s:s, s:{s:s}, s:{s:s}, s:{s:s}}", "id", id,
				 "shortDescription", "text", text, "help", "text", help,
				 "defaultConfiguration", "level", "error"));
}

static json_t *driver(void)
{
	json_t *rules = checked(json_array());

	json_array_append_new(rules,
			      rule("close-wait",
				   "A TCP socket whose peer has gone is still held.",
				   "The peer's FIN was acknowledged; the kernel waits, "
				   "without limit, for "
				   "this program to close the socket. Close it on every "
				   "path that learns "
				   "of the end of stream."));
	json_array_append_new(
		rules,
		rule("dead", "A TCP socket whose connection is dead is still held.",
		     "The connection was reset or shut down; the descriptor and its "
		     "memory stay until this program closes it."));
	return checked(json_pack("{s:s, s:s, s:o}", "name", "sockleak", "version",
				 SL_VERSION, "rules", rules));
}

void format_sarif(const struct findings *findings, FILE *file)
{
	json_t *results = checked(json_array());

	for (size_t i = 0; i < findings->n_leaks; i++)
		json_array_append_new(results, result(&findings->leaks[i]));
	json_t *log = checked(json_pack("{s:s, s:s, s:[{s:{s:o}, s:s, s:o}]}", "$schema",
					SCHEMA, "version", "2.1.0", "runs", "tool",
					"driver", driver(), "columnKind",
					"utf16CodeUnits", "results", results));
	json_dumpf(log, file, JSON_INDENT(1));
	fputc('\n', file);
	json_decref(log);
}
