/* The places of the HTML report: a row each, that opens into a card. */
#include "formats/html_internal.h"

#include "common/text_characters.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ROWS       30 /* of a backtrace */
#define LEAST_ROWS     3  /* where there are many names already */
#define LINE_BYTES     500
#define SOURCE_COLUMNS 240
#define TAB_COLUMNS    4

static const struct {
	const char *name; /* of a class */
	const char *title, *explained;
} lists[TEXT_N_LISTS] = {
	[TEXT_LEAKS] = {"leak", "Leaked",
			"a line of code that opened what was never closed"},
	[TEXT_LATE] = {"late", "Closed late", "leaks that the program closed after all"},
	[TEXT_PENDING] = {"pending", "Pending",
			  "the peer has gone, and it is no leak yet"},
};

/* -- a line of a backtrace -------------------------------------------------------- */

static void put_span(const struct html *html, const char *class, const struct text *text)
{
	fprintf(html->file, "<span class=\"%s\">", class);
	html_text(html, text);
	fputs("</span>", html->file);
}

static void put_frame(const struct html *html, const struct text_frame *frame)
{
	char buffer[4 * HTML_NAME_COLUMNS];
	struct text name = {.at = buffer, .size = sizeof(buffer)};

	text_function(&name, frame, HTML_NAME_COLUMNS);
	put_span(html, "name", &name);
	fputs(" ", html->file);
	name.used = 0;
	text_where(&name, frame, HTML_WHERE_COLUMNS);
	put_span(html, "at", &name);
}

static void put_folded(const struct html *html, const struct text *words)
{
	if (!words->used)
		return;
	fputs("<li class=\"fold\">", html->file);
	html_text(html, words);
	fputs("</li>\n", html->file);
}

static void put_stack(const struct html *html, const struct text_frame *frames,
		      unsigned n, const char *same)
{
	bool is_long = *html->bytes > HTML_ENOUGH_BYTES;
	struct stack stack = stack_fold(frames, n, is_long ? LEAST_ROWS : MAX_ROWS);
	char buffer[256];
	struct text words = {.at = buffer, .size = sizeof(buffer)};

	fputs("<ol class=\"stack\">\n", html->file);
	for (unsigned i = 0; i < stack.n_rows; i++) {
		fputs("<li>", html->file);
		put_frame(html, stack.rows[i].frame);
		if (stack.rows[i].times > 1)
			fprintf(html->file, " &times;%u", stack.rows[i].times);
		fputs("</li>\n", html->file);
	}
	if (stack.n_more) {
		text_string(&words, "... ");
		format_put_count(&words, stack.n_more, " more");
		put_folded(html, &words);
		words.used = 0;
	}
	text_put_left_out(&words, &stack);
	put_folded(html, &words);
	words.used = 0;
	text_string(&words, same);
	put_folded(html, &words);
	fputs("</ol>\n", html->file);
}

/* -- the card --------------------------------------------------------------------- */

/* Code keeps its backslashes; a tab is blanks. */
static void put_code(struct text *text, const char *line)
{
	unsigned columns = 0;

	for (uint32_t code; *line && columns < SOURCE_COLUMNS; columns++) {
		unsigned n = text_character(line, &code);
		char one[5] = "";

		memcpy(one, line, n ? n : 1);
		line += n ? n : 1;
		if (n == 1 && code == '\t')
			for (; columns % TAB_COLUMNS < TAB_COLUMNS - 1; columns++)
				text_string(text, " ");
		if (n && (code == '\t' || code == '\\'))
			text_string(text, code == '\t' ? " " : "\\");
		else
			text_escaped(text, one);
	}
	if (*line)
		text_string(text, "...");
}

static void put_source(const struct html *html, const struct findings_place *place)
{
	const struct text_frame *frame = stack_first_own(place->origin, place->n_origin);

	if (!place->n_lines)
		return;
	fputs("<pre class=\"source\">", html->file);
	for (unsigned i = 0; i < place->n_lines; i++) {
		char buffer[8 * SOURCE_COLUMNS];
		struct text code = {.at = buffer, .size = sizeof(buffer)};
		unsigned number = place->first_line + i;

		fprintf(html->file, "<span%s><i>%u</i>",
			number == frame->line ? " class=\"own\"" : "", number);
		put_code(&code, place->lines[i]);
		html_text(html, &code);
		fputs("</span>", html->file);
	}
	fputs("</pre>\n", html->file);
}

static void put_origin(const struct html *html, const struct findings_place *place,
		       const struct text_place *shown)
{
	const char *call = text_call_name(place->call),
		   *reason = text_origin_reason(shown);
	char buffer[64];
	struct text words = {.at = buffer, .size = sizeof(buffer)};

	fputs("<div class=\"origin\">\n", html->file);
	if (call) {
		text_string(&words, text_opened(place->call));
		buffer[0] ^= 'a' ^ 'A';
		fputs("<h3>", html->file);
		html_text(html, &words);
		fprintf(html->file, "<code>%s()</code>%s</h3>\n", call,
			place->n_origin ? " in" : "");
	}
	if (place->n_origin)
		put_stack(html, place->origin, place->n_origin, "");
	if (reason)
		fprintf(html->file, "<p>origin: %s</p>\n", reason);
	fputs("</div>\n", html->file);
}

static void put_eof(const struct html *html, const struct findings_place *place)
{
	unsigned n_common =
		stack_common(place->eof, place->n_eof, place->origin, place->n_origin);

	if (place->eof_call == SL_CALL_NONE)
		return;
	if (n_common == place->n_eof)
		n_common = 0;
	fprintf(html->file, "<div class=\"eof\">\n<h3>%s by <code>%s()</code>%s</h3>\n",
		place->eof_call == SL_CALL_shutdown ? "Shut down" : "Told",
		text_call_name(place->eof_call), place->n_eof ? " in" : "");
	if (place->n_eof)
		put_stack(html, place->eof, place->n_eof - n_common,
			  n_common ? "... from the same callers" : "");
	fputs("</div>\n", html->file);
}

static void put_uses(const struct html *html, const struct findings_place *place)
{
	for (size_t i = 0; i < place->n_uses && i < TEXT_MAX_USES; i++) {
		const struct text_use *use = &place->uses[i];
		unsigned n_common = stack_common(use->frames, use->n_frames,
						 place->origin, place->n_origin);
		char buffer[LINE_BYTES];
		struct text words = {.at = buffer, .size = sizeof(buffer)};

		if (n_common == use->n_frames)
			n_common = 0;
		text_use(&words, use, place->n_sockets);
		if (buffer[0] >= 'a')
			buffer[0] ^= 'a' ^ 'A';
		text_string(&words, use->n_frames ? " in" : "");
		fputs("<div class=\"use\">\n<h3>", html->file);
		html_text(html, &words);
		fputs("</h3>\n", html->file);
		if (use->n_frames)
			put_stack(html, use->frames, use->n_frames - n_common,
				  n_common ? "... from the same callers" : "");
		fputs("</div>\n", html->file);
	}
}

static void put_advice(const struct html *html, const struct findings_place *place)
{
	if (!place->why)
		return;
	fputs("<div class=\"do\">\n", html->file);
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (place->why & 1U << i)
			fprintf(html->file, "<p>%s (%s): %s.</p>\n",
				text_why_words(1U << i), text_why_name(1U << i),
				text_why_advice(1U << i));
	fputs("</div>\n", html->file);
}

/* Other holders, processes and tests, as the text has them. */
static void put_below(const struct html *html, const struct findings_place *place)
{
	static const struct format_text_options plain;
	char *lines = NULL, *rest = NULL;
	size_t bytes;
	struct writing writing = {.findings = html->findings, .options = &plain};

	writing.file = open_memstream(&lines, &bytes);
	if (!writing.file)
		return;
	text_below(&writing, place, "");
	fclose(writing.file);
	for (char *line = strtok_r(lines, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest)) {
		char buffer[LINE_BYTES];
		struct text text = {.at = buffer, .size = sizeof(buffer)};

		text_string(&text, line);
		fputs("<p class=\"dim\">", html->file);
		html_text(html, &text);
		fputs("</p>\n", html->file);
	}
	free(lines);
}

static void put_head(const struct html *html, const struct text_block *block)
{
	char buffer[LINE_BYTES];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	format_put_count(&text, block->shown.n_sockets,
			 block->shown.n_sockets == 1 ? " socket" : " sockets");
	text_put_kind(&text, block);
	text_string(&text, block->shown.why ? ": " : "");
	text_put_whys(&text, &block->shown);
	fputs("<p class=\"kind\">", html->file);
	html_text(html, &text);
	fputs("</p>\n<p class=\"dim\">", html->file);
	text.used = 0;
	text_put_example(&text, &block->shown);
	html_text(html, &text);
	fputs("</p>\n", html->file);
}

static void put_card(const struct html *html, const struct text_block *block)
{
	const struct findings_place *place = block->place;

	fputs("<div class=\"card\">\n", html->file);
	put_head(html, block);
	put_below(html, place);
	put_source(html, place);
	fputs("<div class=\"stacks\">\n", html->file);
	put_origin(html, place, &block->shown);
	fputs("<div>\n", html->file);
	put_eof(html, place);
	put_uses(html, place);
	put_advice(html, place);
	fputs("</div>\n</div>\n<details class=\"sockets\"><summary>", html->file);
	html_count(html, place->n_sockets, "socket", "sockets");
	fputs(", ", html->file);
	html_number(html, (place->kernel_bytes + 1023) / 1024);
	fputs(" KiB of kernel memory</summary></details>\n", html->file);
	if (place->n_origin + place->n_eof)
		fputs("<details class=\"frames\"><summary>All frames</summary></details>"
		      "\n",
		      html->file);
	fprintf(html->file, "<p class=\"dim id\">Place <code>%s</code></p>\n</div>\n",
		place->id);
}

/* -- the row ---------------------------------------------------------------------- */

/* The bar is as long as the place is large beside the largest of its list. */
static void put_size(const struct html *html, const struct text_block *block)
{
	size_t most = text_places_of(html->findings, block->list).at[0].n_sockets;
	unsigned width = (unsigned)(block->place->n_sockets * 1000 / (most ? most : 1));

	fputs("<span class=\"n\">", html->file);
	html_number(html, block->place->n_sockets);
	fprintf(html->file,
		"</span><svg class=\"size\" viewBox=\"0 0 1000 8\" "
		"preserveAspectRatio=\"none\" aria-hidden=\"true\"><rect width=\"%u\" "
		"height=\"8\"/></svg>",
		width < 15     ? 15
		: width > 1000 ? 1000
			       : width);
}

static void put_where(const struct html *html, const struct findings_place *place)
{
	const char *note = text_note_name(place->origin_kind);

	fputs("<span class=\"where\">", html->file);
	if (place->n_origin)
		put_frame(html, text_first_row(place));
	if (place->caller) {
		fputs(" <span class=\"from\">from ", html->file);
		put_frame(html, place->caller);
		fputs("</span>", html->file);
	}
	if (place->n_uses && place->uses[0].n_frames) {
		fputs(" <span class=\"from\">last used in ", html->file);
		put_frame(html, text_first_row_of_use(&place->uses[0]));
		fputs("</span>", html->file);
	}
	if (!place->n_origin)
		fprintf(html->file, "origin %s",
			place->origin_is_pending ? "pending"
			: note                   ? note
						 : "lost");
	fputs("</span>", html->file);
}

static void put_row(const struct html *html, const struct text_block *block)
{
	const char *call = text_call_name(block->place->call);
	char buffer[512];
	struct text words = {.at = buffer, .size = sizeof(buffer)};

	put_size(html, block);
	text_duration(&words, block->place->oldest_ms);
	put_span(html, "age", &words);
	fprintf(html->file, "<code class=\"call\">%s</code>", call ? call : "-");
	put_where(html, block->place);
	words.used = 0;
	text_put_whys(&words, &block->shown);
	put_span(html, "why", &words);
}

static void begin_list(const struct html *html, enum text_list list)
{
	static const struct {
		const char *key, *name, *class;
	} heads[] = {
		{"n", "Sockets", "n"},     {NULL, "", ""},      {"oldest", "Oldest", "n"},
		{"call", "Opened by", ""}, {"where", "In", ""}, {"why", "Why", ""},
	};

	fprintf(html->file,
		"<section class=\"list\" id=\"list-%s\">\n<h2>%s "
		"<span>%s</span></h2>\n<div class=\"head\">",
		lists[list].name, lists[list].title, lists[list].explained);
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (heads[i].key)
			fprintf(html->file,
				"<button type=\"button\" class=\"%s\" data-key=\"%s\">%s"
				"</button>",
				heads[i].class, heads[i].key, heads[i].name);
		else
			fputs("<span aria-hidden=\"true\">&nbsp;</span>", html->file);
	fputs("</div>\n", html->file);
}

static void put_place(const struct html *html, const struct html_place *place, void *of)
{
	struct text_block block = {
		.place = place->place,
		.shown = format_place(html->findings, place->place),
		.list = place->list,
	};
	bool *any = of;

	if (place->is_first) {
		fputs(*any ? "</section>\n" : "", html->file);
		begin_list(html, place->list);
	}
	fprintf(html->file, "<details class=\"place %s\" id=\"place-%zu\"%s><summary>",
		lists[place->list].name, place->number, place->number > 1 ? "" : " open");
	*any = true;
	put_row(html, &block);
	fputs("</summary>\n", html->file);
	put_card(html, &block);
	fputs("</details>\n", html->file);
}

/* Of which there was no room. */
static void put_left_out(const struct html *html)
{
	size_t n_places = 0, n_sockets = 0;

	for (enum text_list list = 0; list < TEXT_N_LISTS; list++) {
		struct text_places places = text_places_of(html->findings, list);

		for (size_t i = html_n_shown(html, list); i < places.n; i++, n_places++)
			n_sockets += places.at[i].n_sockets;
	}
	if (!n_places)
		return;
	fputs("<p id=\"left-out\">", html->file);
	html_count(html, n_places, "more place", "more places");
	fputs(" with ", html->file);
	html_count(html, n_sockets, "socket", "sockets");
	fputs(n_places == 1 ? " is" : " are", html->file);
	fputs(" not in this file; <code>--json</code> has all.</p>\n", html->file);
}

void html_places(const struct html *html)
{
	bool any = false;

	if (html_n_shown(html, TEXT_LEAKS) + html_n_shown(html, TEXT_LATE) +
		    html_n_shown(html, TEXT_PENDING) >
	    1)
		fputs("<div class=\"bar\" hidden><span id=\"found\" class=\"dim\" "
		      "role=\"status\"></span><input id=\"filter\" type=\"search\" "
		      "placeholder=\"Filter by function, file, address\" "
		      "aria-label=\"Filter places\"></div>\n",
		      html->file);
	html_each_place(html, put_place, &any);
	fputs(any ? "</section>\n" : "", html->file);
	put_left_out(html);
}
