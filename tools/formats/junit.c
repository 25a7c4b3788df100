/* JUnit's XML, as Jenkins' junit-4.xsd has it: one test case a place, failed; one that
 * passed where nothing leaked. */
#include "formats.h"

#include "frames.h"

#include <stdlib.h>
#include <string.h>

/* For attributes and text alike.  What XML 1.0 cannot hold, even as a reference, was
 * escaped by the text writers before; here '?' keeps a stray one out. */
static void print_xml(FILE *file, const char *at, size_t n)
{
	for (; n; at++, n--) {
		unsigned char c = (unsigned char)*at;

		if (c == '&')
			fputs("&amp;", file);
		else if (c == '<')
			fputs("&lt;", file);
		else if (c == '>')
			fputs("&gt;", file);
		else if (c == '"')
			fputs("&quot;", file);
		else if (c < 0x20 && c != '\n' && c != '\t')
			fputc('?', file);
		else
			fputc(c, file);
	}
}

static void print_block(const struct findings *findings,
			const struct findings_place *place,
			void (*put)(struct text *, const void *), FILE *file)
{
	struct text_place shown = format_place(findings, place);
	size_t bytes;
	char *block = format_block(put, &shown, &bytes);

	print_xml(file, block, bytes);
	free(block);
}

/* The same in every run of the same binaries, so that a place has a history: its first
 * frame of the program and its id, no counts and no pids. */
static void print_name(const struct findings_place *place, FILE *file)
{
	const struct text_frame *frame =
		frames_first_of_user(place->origin, place->n_origin);
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	if (frame && frame->function) {
		text_escaped(&text, frame->function);
		text_string(&text, " ");
	}
	text_string(&text, place->id);
	print_xml(file, buffer, text.used);
}

static void print_case(const struct findings *findings,
		       const struct findings_place *place, FILE *file)
{
	char line[1024];

	format_headline(place, line, sizeof(line));
	fprintf(file, "    <testcase classname=\"sockleak.%s\" name=\"",
		text_kind_name(place->kind));
	print_name(place, file);
	fputs("\" time=\"0\">\n      <failure type=\"", file);
	fputs(text_kind_name(place->kind), file);
	fputs("\" message=\"", file);
	print_xml(file, line, strlen(line));
	fputs("\">", file);
	print_block(findings, place, format_put_place, file);
	fputs("</failure>\n    </testcase>\n", file);
}

static void print_pending(const struct findings *findings, FILE *file)
{
	if (!findings->n_pending)
		return;
	fputs("    <system-out>", file);
	for (size_t i = 0; i < findings->n_pending; i++)
		print_block(findings, &findings->pending[i], format_put_pending, file);
	fputs("</system-out>\n", file);
}

void format_junit(const struct findings *findings, FILE *file)
{
	size_t n_tests = findings->n_leaks ? findings->n_leaks : 1;

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", file);
	fprintf(file,
		"<testsuites name=\"sockleak\" tests=\"%zu\" failures=\"%zu\" "
		"errors=\"0\" time=\"0\">\n"
		"  <testsuite name=\"sockleak\" tests=\"%zu\" failures=\"%zu\" "
		"errors=\"0\" skipped=\"0\" time=\"0\">\n",
		n_tests, findings->n_leaks, n_tests, findings->n_leaks);
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_case(findings, &findings->leaks[i], file);
	if (!findings->n_leaks)
		fputs("    <testcase classname=\"sockleak\" name=\"no socket leaked\" "
		      "time=\"0\"/>\n",
		      file);
	print_pending(findings, file);
	fputs("  </testsuite>\n</testsuites>\n", file);
}
