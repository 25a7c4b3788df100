/* TAP version 13, which every reader knows: a test point a place, not ok; one that is ok
 * where nothing leaked. */
#include "formats.h"

#include <string.h>

static void print_text(FILE *file, void (*put)(struct text *, const char *),
		       const char *string)
{
	char buffer[4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	put(&text, string);
	fwrite(buffer, 1, text.used, file);
}

/* In a description '#' would begin a directive, and '\' escapes. */
static void print_description(FILE *file, const char *line)
{
	for (; *line; line++) {
		if (*line == '#' || *line == '\\')
			fputc('\\', file);
		fputc(*line, file);
	}
}

static void print_frame(FILE *file, const struct text_frame *frame)
{
	char buffer[4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	/* JSON is YAML: one string a frame, quoted as JSON quotes. */
	fputs("    - ", file);
	if (frame->function)
		text_string(&text, frame->function);
	else if (frame->module)
		text_string(&text, frame->module);
	if (!frame->function) {
		text_string(&text, "+0x");
		text_hex(&text, frame->offset);
	}
	if (frame->file) {
		text_string(&text, " ");
		text_string(&text, frame->file);
		text_string(&text, ":");
		text_unsigned(&text, frame->line);
	}
	buffer[text.used < sizeof(buffer) ? text.used : sizeof(buffer) - 1] = 0;
	print_text(file, text_json_string, buffer);
	fputc('\n', file);
}

static void print_whys(FILE *file, unsigned why)
{
	char buffer[256];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_whys(&text, why);
	fprintf(file, "  why: [%.*s]\n", (int)text.used, buffer);
}

static void print_point(size_t number, const struct findings_place *place, FILE *file)
{
	char line[1024];

	format_headline(place, line, sizeof(line));
	fprintf(file, "not ok %zu - ", number);
	print_description(file, line);
	fprintf(file, "\n  ---\n  id: \"%s\"\n  kind: %s\n", place->id,
		text_kind_name(place->kind));
	print_whys(file, place->why);
	fprintf(file, "  count: %zu\n  oldest_ms: %llu\n", place->n_sockets,
		(unsigned long long)place->oldest_ms);
	fputs(place->n_origin ? "  origin:\n" : "  origin: []\n", file);
	for (unsigned i = 0; i < place->n_origin; i++)
		print_frame(file, &place->origin[i]);
	fputs("  ...\n", file);
}

void format_tap(const struct findings *findings, FILE *file)
{
	fprintf(file, "TAP version 13\n1..%zu\n",
		findings->n_leaks ? findings->n_leaks : 1);
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_point(i + 1, &findings->leaks[i], file);
	if (!findings->n_leaks)
		fputs("ok 1 - no socket leaked\n", file);
}
