/* JUnit's XML, as Jenkins' junit-4.xsd has it: one test case a place, failed; one that
 * passed where nothing leaked, and skipped ones for what was not watched. */
#include "formats/text_internal.h"

#include "common/text_characters.h"
#include "support/paths.h"

#include <stdlib.h>
#include <string.h>

/* Of a function in the name of a case. */
#define NAME_COLUMNS 100
/* Tests in it; the body has more. */
#define MAX_NAMED 3

static void print_character(FILE *file, const char *at, unsigned n)
{
	switch (*at) {
	case '&':
		fputs("&amp;", file);
		break;
	case '<':
		fputs("&lt;", file);
		break;
	case '>':
		fputs("&gt;", file);
		break;
	case '"':
		fputs("&quot;", file);
		break;
	default:
		fwrite(at, 1, n, file);
	}
}

/* For attributes and text alike.  '?' stands for what XML 1.0 cannot hold, even as a
 * reference (its production Char): most controls, U+FFFE, U+FFFF, what is no UTF-8. */
static void print_xml(FILE *file, const char *at, size_t bytes)
{
	while (bytes) {
		char next[5] = "";
		uint32_t code;

		memcpy(next, at, bytes < 4 ? bytes : 4);
		unsigned n = text_character(next, &code);
		if (n == 0 || (code < 0x20 && code != '\n' && code != '\t') ||
		    code == 0xfffe || code == 0xffff)
			fputc('?', file);
		else
			print_character(file, next, n);
		n += n == 0;
		at += n;
		bytes -= n;
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

static void print_string(const char *string, FILE *file)
{
	print_xml(file, string, strlen(string));
}

/* "login, logout: ", of the tests in which the sockets were opened. */
static void put_tests(struct text *text, const struct findings_place *place)
{
	struct format_test tests[FORMAT_MAX_TESTS];
	size_t n = format_tests(place, tests);

	for (size_t i = 0; i < n && i < MAX_NAMED; i++) {
		text_string(text, i ? ", " : "");
		text_escaped(text, tests[i].name);
	}
	text_string(text, n > MAX_NAMED ? ", ...: " : n ? ": " : "");
}

/* The same in every run and after a rebuild, so that a place has a history: its tests,
 * its first frame of the program and its fingerprint, no counts and no pids. */
static void print_name(const struct findings_place *place, FILE *file)
{
	const struct text_frame *frame = text_first_row(place);
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	put_tests(&text, place);
	if (frame && frame->function) {
		text_function(&text, frame, NAME_COLUMNS);
		text_string(&text, " ");
	}
	print_xml(file, buffer, text.used);
	fputs(place->fingerprint,
	      file); /* always whole: it tells one case from another */
}

static double seconds(const struct findings_place *place)
{
	return (double)place->oldest_ms / 1000;
}

/* A test case up to what it holds. */
static void print_begin(const struct findings_place *place, const char *class, FILE *file)
{
	const struct text_frame *line = format_source_line(place);

	fprintf(file, "    <testcase classname=\"sockleak.%s\" name=\"", class);
	print_name(place, file);
	fprintf(file, "\" time=\"%.3f\"", seconds(place));
	if (line) {
		fputs(" file=\"", file);
		print_string(line->file + paths_below_source_root(line->file), file);
		fputc('"', file);
	}
	fputs(">\n      ", file);
}

static void print_body(const struct findings *findings,
		       const struct findings_place *place, bool is_late, FILE *file)
{
	struct format_short body = {findings, place, is_late};
	size_t bytes;
	char *block = format_block(format_put_short, &body, &bytes);

	print_xml(file, block, bytes);
	fprintf(file, "    place %s\n", place->id);
	free(block);
}

static void print_case(const struct findings *findings,
		       const struct findings_place *place, FILE *file)
{
	const char *kind = text_kind_name(place->kind);
	char line[1024];

	format_headline(place, line, sizeof(line));
	print_begin(place, kind, file);
	fprintf(file, "<failure type=\"%s\" message=\"", kind);
	print_string(line, file);
	fputs("\">", file);
	print_body(findings, place, false, file);
	fputs("</failure>\n    </testcase>\n", file);
}

/* A leak that was closed after all fails where it counts. */
static void print_late(const struct findings *findings,
		       const struct findings_place *place, FILE *file)
{
	const char *tag = findings->late_counts ? "failure" : "system-out";
	char line[1024];

	format_headline(place, line, sizeof(line));
	print_begin(place, "closed-late", file);
	fprintf(file, "<%s", tag);
	if (findings->late_counts) {
		fputs(" type=\"closed-late\" message=\"", file);
		print_string(line, file);
		fputc('"', file);
	}
	fputc('>', file);
	print_body(findings, place, true, file);
	fprintf(file, "</%s>\n    </testcase>\n", tag);
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

/* A skipped case for each program that was not watched: it has neither passed nor failed.
 */
static void print_skipped(const struct unwatched *unwatched, FILE *file)
{
	const char *exe = unwatched->exe ? unwatched->exe : "a program";
	const char *sentence = unwatched_sentence(unwatched->reason);
	char line[4096 + 256];
	struct text text = {.at = line, .size = sizeof(line)};

	text_escaped(&text, exe);
	fputs("    <testcase classname=\"sockleak.unwatched\" name=\"", file);
	print_xml(file, line, text.used);
	fputs("\" time=\"0\">\n      <skipped message=\"", file);
	print_xml(file, line, text.used);
	fprintf(file, " %s\"/>\n    </testcase>\n", sentence);
}

static void print_no_leak(const struct findings *findings, FILE *file)
{
	char why[128];

	fputs("    <testcase classname=\"sockleak\" name=\"no socket leaked\" time=\"0\"",
	      file);
	if (!findings_is_partial(findings)) {
		fputs("/>\n", file);
		return;
	}
	findings_why_partial(findings, why, sizeof(why));
	fprintf(file, ">\n      <skipped message=\"%s\"/>\n    </testcase>\n", why);
}

void format_junit(const struct findings *findings, FILE *file)
{
	bool has_no_leak = findings->n_leaks == 0;
	size_t n_tests = findings->n_leaks + has_no_leak + findings->n_late +
			 findings->n_unwatched;
	size_t n_failures =
		findings->n_leaks + (findings->late_counts ? findings->n_late : 0);
	size_t n_skipped =
		findings->n_unwatched + (has_no_leak && findings_is_partial(findings));

	double time = 0;

	for (size_t i = 0; i < findings->n_leaks; i++)
		time += seconds(&findings->leaks[i]);
	for (size_t i = 0; i < findings->n_late; i++)
		time += seconds(&findings->late[i]);
	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", file);
	fprintf(file,
		"<testsuites name=\"sockleak\" tests=\"%zu\" failures=\"%zu\" "
		"errors=\"0\" time=\"%.3f\">\n"
		"  <testsuite name=\"sockleak\" tests=\"%zu\" failures=\"%zu\" "
		"errors=\"0\" skipped=\"%zu\" time=\"%.3f\">\n",
		n_tests, n_failures, time, n_tests, n_failures, n_skipped, time);
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_case(findings, &findings->leaks[i], file);
	if (has_no_leak)
		print_no_leak(findings, file);
	for (size_t i = 0; i < findings->n_late; i++)
		print_late(findings, &findings->late[i], file);
	for (size_t i = 0; i < findings->n_unwatched; i++)
		print_skipped(&findings->unwatched[i], file);
	print_pending(findings, file);
	fputs("  </testsuite>\n</testsuites>\n", file);
}
