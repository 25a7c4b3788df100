/* TAP version 13, which every reader knows: a test point a place, not ok; one that is ok
 * where nothing leaked, and skipped ones for what was not watched. */
#include "formats/formats.h"

#include "support/say.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* In a description '#' would begin a directive, and '\' escapes. */
static void print_description(FILE *file, const char *line)
{
	for (; *line; line++) {
		if (*line == '#' || *line == '\\')
			fputc('\\', file);
		fputc(*line, file);
	}
}

static void put_quoted(struct text *text, const void *of)
{
	text_json_string(text, of);
}

/* JSON is YAML: one string a frame, quoted as JSON quotes. */
static void print_frame(FILE *file, const struct text_frame *frame)
{
	char *place =
		frame->file ? say_printf(" %s:%u", frame->file + frame->file_prefix_bytes,
					 frame->line)
			    : say_strdup("");
	char *line = frame->function ? say_printf("%s%s", frame->function, place)
				     : say_printf("%s+0x%" PRIx64 "%s",
						  frame->module ? frame->module : "",
						  frame->offset, place);
	size_t bytes;
	char *quoted = format_block(put_quoted, line, &bytes);

	fprintf(file, "    - %.*s\n", (int)bytes, quoted);
	free(quoted);
	free(line);
	free(place);
}

static void print_whys(FILE *file, unsigned why)
{
	char buffer[256];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_whys(&text, why);
	fprintf(file, "  why: [%.*s]\n", (int)text.used, buffer);
}

static void print_tests(FILE *file, const struct findings_place *place)
{
	struct format_test tests[FORMAT_MAX_TESTS];
	size_t n = format_tests(place, tests), bytes;

	if (!n)
		return;
	fputs("  tests: [", file);
	for (size_t i = 0; i < n; i++) {
		char *quoted = format_block(put_quoted, tests[i].name, &bytes);

		fprintf(file, "%s%.*s", i ? ", " : "", (int)bytes, quoted);
		free(quoted);
	}
	fputs("]\n", file);
}

static void print_point(size_t number, const struct findings_place *place, bool is_ok,
			FILE *file)
{
	char *line = format_headline_with_tests(place);

	fprintf(file, "%sok %zu - ", is_ok ? "" : "not ", number);
	print_description(file, line);
	free(line);
	fprintf(file, "\n  ---\n  id: \"%s\"\n  kind: %s\n", place->id,
		text_kind_name(place->kind));
	print_whys(file, place->why);
	fprintf(file, "  count: %zu\n  oldest_ms: %llu\n", place->n_sockets,
		(unsigned long long)place->oldest_ms);
	print_tests(file, place);
	fputs(place->n_origin ? "  origin:\n" : "  origin: []\n", file);
	for (unsigned i = 0; i < place->n_origin; i++)
		if (!place->origin[i].is_folded)
			print_frame(file, &place->origin[i]);
	fputs("  ...\n", file);
}

static void print_skipped(size_t number, const struct unwatched *unwatched, FILE *file)
{
	char line[4096];
	struct text text = {.at = line, .size = sizeof(line) - 1};

	text_escaped(&text, unwatched->exe ? unwatched->exe : "a program");
	line[text.used] = 0;
	fprintf(file, "ok %zu - ", number);
	print_description(file, line);
	fprintf(file, " # SKIP it %s\n", unwatched_sentence(unwatched->reason));
}

static void print_no_leak(const struct findings *findings, FILE *file)
{
	char why[128];

	fputs("ok 1 - no socket leaked", file);
	if (findings_is_partial(findings)) {
		findings_why_partial(findings, why, sizeof(why));
		fprintf(file, " # SKIP %s", why);
	}
	fputc('\n', file);
}

void format_tap(const struct findings *findings, FILE *file)
{
	size_t n_cases = findings->n_leaks ? findings->n_leaks : 1;

	fprintf(file, "TAP version 13\n1..%zu\n",
		n_cases + findings->n_late + findings->n_unwatched);
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_point(i + 1, &findings->leaks[i], false, file);
	if (!findings->n_leaks)
		print_no_leak(findings, file);
	for (size_t i = 0; i < findings->n_late; i++)
		print_point(n_cases + i + 1, &findings->late[i], !findings->late_counts,
			    file);
	for (size_t i = 0; i < findings->n_unwatched; i++)
		print_skipped(n_cases + findings->n_late + i + 1, &findings->unwatched[i],
			      file);
}
