/* The HTML report: one file that fetches nothing, for a browser.
 *
 * Theory of operation.  report_page.html is the page with {{parts}} in it; each part is
 * written by a function of the table below.  It, the style and the script are files
 * beside this one and become strings of the command when it is built.  All that is to be
 * read stands in the page as it is; the script adds what moves, from data in JSON.  The
 * policy in the page's head allows the style and the script that carry this report's
 * random nonce, and nothing else: no address is ever asked, and markup that got in would
 * do nothing. */
#include "formats/html_internal.h"

#include "formats/values.h"
#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

/* The file at `path`, as the Makefile's directory sees it, becomes a string. */
#define STRING_OF_FILE(name, path)                                                       \
	__asm__(".pushsection .rodata\n"                                                 \
		".globl " name "\n"                                                      \
		".hidden " name "\n" name ":\n"                                          \
		".incbin \"" path "\"\n"                                                 \
		".byte 0\n"                                                              \
		".popsection\n")

STRING_OF_FILE("html_page_file", "tools/formats/report_page.html");
STRING_OF_FILE("html_style_file", "tools/formats/report_page.css");
STRING_OF_FILE("html_script_file", "tools/formats/report_page.js");
#define HIDDEN __attribute__((visibility("hidden")))
extern HIDDEN const char html_page_file[], html_style_file[], html_script_file[];

/* -- words ------------------------------------------------------------------------ */

void html_text(const struct html *html, const struct text *text)
{
	static const char *const entities[256] = {
		['&'] = "&amp;",  ['<'] = "&lt;",   ['>'] = "&gt;",
		['"'] = "&quot;", ['\''] = "&#39;",
	};

	for (size_t i = 0; i < text->used; i++) {
		const char *entity = entities[(unsigned char)text->at[i]];
		size_t n = entity ? strlen(entity) : 1;

		fwrite(entity ? entity : &text->at[i], 1, n, html->file);
		*html->bytes += n;
	}
}

/* Nothing in it ends the element that it stands in. */
static int write_json(const char *bytes, size_t n, void *of)
{
	for (size_t i = 0; i < n; i++)
		if (bytes[i] == '<')
			fputs("\\u003c", of);
		else
			fputc(bytes[i], of);
	return 0;
}

void html_json(const struct html *html, json_t *value)
{
	if (json_dump_callback(values_checked(value), write_json, html->file,
			       JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) < 0)
		say_die(say_memory_status, "out of memory");
	json_decref(value);
}

static void put_escaped(struct text *text, const void *of)
{
	text_escaped(text, of);
}

void html_name(const struct html *html, const char *name)
{
	size_t bytes;
	char *at = format_block(put_escaped, name, &bytes);

	html_text(html, &(struct text){.at = at, .size = bytes, .used = bytes});
	free(at);
}

void html_number(const struct html *html, uint64_t number)
{
	if (number >= 1000) {
		html_number(html, number / 1000);
		fprintf(html->file, ",%03u", (unsigned)(number % 1000));
	} else {
		fprintf(html->file, "%u", (unsigned)number);
	}
}

void html_count(const struct html *html, uint64_t n, const char *one, const char *many)
{
	html_number(html, n);
	fprintf(html->file, " %s", n == 1 ? one : many);
}

/* -- which places ----------------------------------------------------------------- */

size_t html_n_shown(const struct html *html, enum text_list list)
{
	size_t room = HTML_MAX_PLACES;

	for (enum text_list before = 0; before < list; before++)
		room -= html_n_shown(html, before);
	size_t n = text_places_of(html->findings, list).n;
	return n < room ? n : room;
}

void html_each_place(const struct html *html,
		     void (*write)(const struct html *html,
				   const struct html_place *place, void *of),
		     void *of)
{
	size_t number = 0;

	for (enum text_list list = 0; list < TEXT_N_LISTS; list++) {
		const struct findings_place *places =
			text_places_of(html->findings, list).at;

		for (size_t i = 0; i < html_n_shown(html, list); i++) {
			struct html_place place = {&places[i], list, ++number, i == 0};

			write(html, &place, of);
		}
	}
}

/* -- parts of the page ------------------------------------------------------------ */

static void put_nonce(const struct html *html)
{
	fputs(html->nonce, html->file);
}

static void put_style(const struct html *html)
{
	fputs(html_style_file, html->file);
}

static void put_script(const struct html *html)
{
	fputs(html_script_file, html->file);
}

/* "500 sockets" and the rest of the sentence. */
static void put_leaked(const struct html *html, const char *begin, const char *end)
{
	uint64_t n = findings_n_leaked(html->findings);

	if (!n) {
		fputs(findings_is_partial(html->findings)
			      ? "No socket leaked, as far as processes were watched"
			      : "No socket leaked",
		      html->file);
		return;
	}
	fputs(begin, html->file);
	html_count(html, n, "socket", "sockets");
	fprintf(html->file, "%s leaked at ", end);
	html_count(html, html->findings->n_leaks, "place", "places");
}

static void put_title(const struct html *html)
{
	put_leaked(html, "", "");
	fputs(" - sockleak", html->file);
}

static void put_heading(const struct html *html)
{
	put_leaked(html, "<b>", "</b>");
}

static void put_programs(const struct html *html)
{
	const struct findings *findings = html->findings;

	if (!findings->n_processes) {
		fputs("No process kept a ledger", html->file);
		return;
	}
	const struct findings_process *first = &findings->processes[0];
	if (findings->n_processes > 1) {
		html_number(html, findings->n_processes);
		fputs(" processes, the first ", html->file);
	}
	html_name(html, first->exe + paths_below_working_directory(first->exe));
	fprintf(html->file, " (process %u)", first->pid);
	if (*first->host) {
		fputs(" on ", html->file);
		html_name(html, first->host);
	}
}

static void put_verdict(const struct html *html)
{
	char line[2048];
	struct text text = {.at = line, .size = sizeof(line) - 1};
	size_t n = text_n_would_count(html->findings);

	text_put_summary(&text, html->findings, true);
	line[text.used] = 0;
	text.at = strstr(line, "sockleak: ") + strlen("sockleak: ");
	text.used = strlen(text.at);
	html_text(html, &text);
	if (n && !html->findings->n_leaks) {
		fputs(". ", html->file);
		html_count(html, n, "socket", "sockets");
		fputs(" would count with --at-exit=all", html->file);
	}
}

static void put_fact(const struct html *html, uint64_t n, const char *words, bool is_leak)
{
	fprintf(html->file, "<li%s><b>", is_leak ? " class=\"leak\"" : "");
	html_number(html, n);
	fprintf(html->file, "</b> %s</li>\n", words);
}

static void put_facts(const struct html *html)
{
	struct text_summary sums = text_sums(html->findings);
	char words[64], late[24];
	struct text duration = {.at = late, .size = sizeof(late) - 1};

	text_duration(&duration, sums.closed_late_max_ms);
	late[duration.used] = 0;
	snprintf(words, sizeof(words), "closed late%s%s",
		 sums.closed_late ? ", after up to " : "", sums.closed_late ? late : "");
	fputs("<ul class=\"facts\">\n", html->file);
	put_fact(html, sums.n_leaked, "leaked", sums.n_leaked);
	put_fact(html, sums.n_places, "places", false);
	put_fact(html, sums.pending, "pending", false);
	put_fact(html, sums.closed_late, words, false);
	put_fact(html, sums.opened, "opened", false);
	put_fact(html, sums.closed, "closed", false);
	put_fact(html, findings_n_unwatched(html->findings), "processes not watched",
		 false);
	if (sums.suppressed)
		put_fact(html, sums.suppressed, "suppressed", false);
	if (sums.missed || sums.dropped)
		put_fact(html, sums.missed + sums.dropped, "missed or dropped", false);
	fputs("</ul>", html->file);
}

static void put_rules(const struct html *html)
{
	const struct findings *findings = html->findings;

	if (!findings->n_suppressed)
		return;
	fputs("<section id=\"rules\">\n<h2>Suppressed <span>sockets that a rule took "
	      "out</span></h2>\n<table>\n",
	      html->file);
	for (size_t i = 0; i < findings->n_suppressed; i++) {
		fputs("<tr><td class=\"n\">", html->file);
		html_number(html, findings->suppressed[i].count);
		fputs("</td><td><code>", html->file);
		html_name(html, findings->suppressed[i].rule);
		fputs("</code></td></tr>\n", html->file);
	}
	fputs("</table>\n</section>", html->file);
}

static void put_footer(const struct html *html)
{
	fputs("sockleak " SL_VERSION ". The page fetches nothing. It holds at most ",
	      html->file);
	html_count(html, HTML_MAX_PLACES, "", "places, ");
	html_count(html, HTML_MAX_SOCKETS, "", "sockets and ");
	html_count(html, HTML_MAX_PROCESSES, "",
		   "processes; <code>--json</code> has all.");
}

/* Why the absence of leaks tells nothing. */
static void put_unwatched(const struct html *html)
{
	const struct findings *findings = html->findings;

	if (!findings->n_unwatched)
		return;
	fputs("<section id=\"unwatched\" class=\"warn\">\n<strong>Not watched</strong>\n"
	      "<ul>\n",
	      html->file);
	for (size_t i = 0; i < findings->n_unwatched && i < HTML_MAX_PROCESSES; i++) {
		char line[4096];
		struct text text = {.at = line, .size = sizeof(line)};

		text_put_unwatched(&text, &findings->unwatched[i]);
		fputs("<li>", html->file);
		html_text(html, &text);
		fputs(".</li>\n", html->file);
	}
	fputs("</ul>\n", html->file);
	if (findings->n_unwatched > HTML_MAX_PROCESSES) {
		fputs("<p>and ", html->file);
		html_number(html, findings->n_unwatched - HTML_MAX_PROCESSES);
		fputs(" more</p>\n", html->file);
	}
	fputs("</section>", html->file);
}

static const struct part {
	const char *name;
	void (*put)(const struct html *html);
} parts[] = {
	{"nonce", put_nonce},       {"title", put_title},
	{"style", put_style},       {"heading", put_heading},
	{"programs", put_programs}, {"verdict", put_verdict},
	{"facts", put_facts},       {"unwatched", put_unwatched},
	{"places", html_places},    {"processes", html_processes},
	{"rules", put_rules},       {"footer", put_footer},
	{"data", html_data},        {"script", put_script},
};

/* The part whose name stands at `at`; behind it `*end`. */
static const struct part *part_at(const char *at, const char **end)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		size_t n = strlen(parts[i].name);

		*end = at + n + 2;
		if (strncmp(at, parts[i].name, n) == 0 && strncmp(at + n, "}}", 2) == 0)
			return &parts[i];
	}
	abort(); /* the page names a part that is not there */
}

/* The value cannot be known to those whose names and paths the page shows. */
static void make_nonce(char nonce[33])
{
	uint8_t random[16];

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		say_die(SAY_USAGE, "cannot get random bytes:");
	for (size_t i = 0; i < sizeof(random); i++)
		snprintf(nonce + 2 * i, 3, "%02x", random[i]);
}

void format_html(const struct findings *findings, FILE *file)
{
	size_t bytes = 0;
	struct html html = {.findings = findings, .file = file, .bytes = &bytes};
	const char *at = html_page_file, *part;

	make_nonce(html.nonce);
	while ((part = strstr(at, "{{"))) {
		fwrite(at, 1, (size_t)(part - at), file);
		part_at(part + 2, &at)->put(&html);
	}
	fputs(at, file);
}
