/* Workflow commands and the job summary of GitHub Actions.
 *
 * A step shows ten errors, so the nine largest places have one each and the last counts
 * the rest.  A command is a line "::error file=a.c,line=3,title=b::text": what ends a
 * line, and in its properties what separates them, is written as %XX, as its reader takes
 * it (actions/toolkit, command.ts). */
#include "formats/github.h"

#include "formats/text_internal.h"
#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ERRORS 10
/* People do not read a longer table. */
#define MAX_ROWS     100
#define CELL_COLUMNS 100

/* Leaks, and late ones where these count. */
struct counted {
	size_t n_places, n_sockets;
};

static struct counted count(const struct findings *findings)
{
	struct counted counted = {0};
	size_t n_late = findings->late_counts ? findings->n_late : 0;

	counted.n_places = findings->n_leaks + n_late;
	counted.n_sockets = findings_n_leaked(findings);
	for (size_t i = 0; i < n_late; i++)
		counted.n_sockets += findings->late[i].n_sockets;
	return counted;
}

static bool is_late(const struct findings *findings, size_t at)
{
	return at >= findings->n_leaks;
}

static const struct findings_place *place_at(const struct findings *findings, size_t at)
{
	return is_late(findings, at) ? &findings->late[at - findings->n_leaks]
				     : &findings->leaks[at];
}

static const char *plural(size_t n)
{
	return n == 1 ? "" : "s";
}

/* --- annotations --- */

static void print_encoded(FILE *file, const char *at, size_t bytes, bool is_property)
{
	for (; bytes--; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '%' || c == '\r' || c == '\n' ||
		    (is_property && (c == ':' || c == ',')))
			fprintf(file, "%%%02X", c);
		else
			fputc(c, file);
	}
}

static void print_path(FILE *file, const char *path)
{
	char buffer[4 * 4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, path + paths_below_source_root(path));
	print_encoded(file, buffer, text.used, true);
}

/* "take", or "take from login" where others were opened by the same line. */
static void put_function(struct text *text, const struct findings_place *place)
{
	text_function(text, text_first_row(place), CELL_COLUMNS);
	if (!place->caller || !place->caller->function)
		return;
	text_string(text, " from ");
	text_function(text, place->caller, CELL_COLUMNS);
}

static void print_title(FILE *file, const struct findings_place *place, bool late)
{
	char buffer[512];
	struct text text = {.at = buffer, .size = sizeof(buffer)};
	const struct text_frame *frame = text_first_row(place);

	text_string(&text, "sockleak: ");
	text_unsigned(&text, place->n_sockets);
	text_string(&text, place->n_sockets == 1 ? " socket" : " sockets");
	text_string(&text, late ? " closed late" : " leaked");
	if (frame && frame->function) {
		text_string(&text, " in ");
		put_function(&text, place);
	}
	print_encoded(file, buffer, text.used, true);
}

static void print_error(const struct findings *findings, size_t at, FILE *file)
{
	const struct findings_place *place = place_at(findings, at);
	const struct text_frame *line = format_source_line(place);
	struct format_short body = {findings, place, is_late(findings, at)};
	size_t bytes;
	char *block = format_block(format_put_short, &body, &bytes);

	fputs("::error ", file);
	if (line) {
		fputs("file=", file);
		print_path(file, line->file);
		fprintf(file, ",line=%u,", line->line);
	}
	fputs("title=", file);
	print_title(file, place, body.is_late);
	fputs("::", file);
	while (bytes && block[bytes - 1] == '\n')
		bytes--;
	print_encoded(file, block, bytes, false);
	fputc('\n', file);
	free(block);
}

static void print_rest(const struct findings *findings, size_t from, FILE *file)
{
	struct counted counted = count(findings);
	size_t n_sockets = 0;

	for (size_t i = from; i < counted.n_places; i++)
		n_sockets += place_at(findings, i)->n_sockets;
	fprintf(file,
		"::error title=sockleak%%3A %zu more sockets leaked at %zu more "
		"places::The report has all of them.\n",
		n_sockets, counted.n_places - from);
}

void github_annotations(const struct findings *findings, FILE *file)
{
	size_t n = count(findings).n_places;
	size_t n_shown = n > MAX_ERRORS ? MAX_ERRORS - 1 : n;
	char why[128];

	for (size_t i = 0; i < n_shown; i++)
		print_error(findings, i, file);
	if (n_shown < n)
		print_rest(findings, n_shown, file);
	if (!findings->n_unwatched && !findings->n_unread)
		return;
	findings_why_partial(findings, why, sizeof(why));
	fprintf(file, "::warning title=sockleak::%s\n", why);
}

/* --- the summary --- */

/* In <code>, where Markdown still has its meaning, and HTML: characters that may have one
 * are written by number.  Control characters are gone already. */
static void put_code(struct text *text, const struct text *cell)
{
	if (cell->used == 0)
		return;
	text_string(text, "<code>");
	for (size_t i = 0; i < cell->used; i++) {
		unsigned char c = (unsigned char)cell->at[i];
		char one[2] = {(char)c, 0};
		bool is_plain = c >= 0x80 || (c >= '0' && c <= '9') ||
				(c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				strchr(" ./-:+,=", c);

		if (!is_plain) {
			text_string(text, "&#");
			text_unsigned(text, c);
		}
		text_string(text, is_plain ? one : ";");
	}
	text_string(text, "</code>");
}

static void put_where(struct text *cell, const struct findings_place *place)
{
	const struct text_frame *frame = text_first_row(place);

	if (!frame)
		return;
	if (frame->file) {
		text_escaped(cell, frame->file + paths_below_source_root(frame->file));
		text_string(cell, ":");
		text_unsigned(cell, frame->line);
	} else {
		text_where(cell, frame, CELL_COLUMNS);
	}
}

struct row {
	const struct findings_place *place;
	bool is_late;
};

/* "| 6 | 1m04s | never-read | accept_client | src/a.c:41 |" */
static void put_row(struct text *text, const void *of)
{
	const struct row *row = of;
	const struct findings_place *place = row->place;
	char buffers[2][4 * 4096];
	struct text function = {.at = buffers[0], .size = sizeof(buffers[0])};
	struct text where = {.at = buffers[1], .size = sizeof(buffers[1])};

	if (text_first_row(place) && text_first_row(place)->function)
		put_function(&function, place);
	put_where(&where, place);
	text_string(text, "| ");
	text_unsigned(text, place->n_sockets);
	text_string(text, " | ");
	text_duration(text, place->oldest_ms);
	text_string(text, " | ");
	text_whys(text, place->why);
	text_string(text, row->is_late ? ", closed late | " : " | ");
	put_code(text, &function);
	text_string(text, " | ");
	put_code(text, &where);
	text_string(text, " |\n");
}

static char *heading(const struct findings *findings)
{
	struct counted counted = count(findings);
	char why[128] = "";

	bool is_partial = findings_is_partial(findings);
	if (is_partial)
		findings_why_partial(findings, why, sizeof(why));
	const char *semicolon = is_partial ? "; " : "";
	if (!counted.n_places)
		return say_printf("### sockleak: no socket leaked%s%s\n\n", semicolon,
				  why);
	return say_printf("### sockleak: %zu socket%s leaked at %zu place%s%s%s\n\n"
			  "| sockets | oldest | why | opened in | at |\n"
			  "| ---: | ---: | --- | --- | --- |\n",
			  counted.n_sockets, plural(counted.n_sockets), counted.n_places,
			  plural(counted.n_places), semicolon, why);
}

/* Room for the line that counts what did not fit. */
#define MORE_BYTES 64

/* Returns how many rows were printed. */
static size_t print_rows(const struct findings *findings, size_t room, FILE *file)
{
	size_t n = count(findings).n_places, i = 0;

	for (; i < n && i < MAX_ROWS; i++) {
		struct row row = {place_at(findings, i), is_late(findings, i)};
		size_t bytes;
		char *block = format_block(put_row, &row, &bytes);
		bool fits = bytes + MORE_BYTES <= room;

		if (fits)
			fwrite(block, 1, bytes, file);
		free(block);
		if (!fits)
			break;
		room -= bytes;
	}
	return i;
}

void github_summary(const struct findings *findings, size_t room, FILE *file)
{
	char *head = heading(findings);
	size_t bytes = strlen(head), n = count(findings).n_places;

	if (bytes + MORE_BYTES <= room) {
		fputs(head, file);
		size_t n_rows = print_rows(findings, room - bytes, file);

		if (n_rows < n)
			fprintf(file, "\nand %zu more places\n", n - n_rows);
		fputs("\n", file);
	}
	free(head);
}
