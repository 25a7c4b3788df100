/* What the files of the HTML report share: html.c puts the page together, html_place.c
 * writes the places, html_process.c the processes, html_data.c and html_series.c what the
 * page's script reads.
 *
 * Names, paths and tests come from outside and may be markup.  Two functions take words
 * into the page, html_text() as text and html_json() as data; everything else that is
 * written is a literal of these files or a number. */
#ifndef SOCKLEAK_HTML_INTERNAL_H
#define SOCKLEAK_HTML_INTERNAL_H

#include "formats/text_internal.h"

#include <jansson.h>

/* What a page holds at most, so that a browser opens it at once.  The largest places, and
 * of these the oldest sockets, are the ones that stay; the page says what it leaves out.
 */
#define HTML_MAX_PLACES    1000
#define HTML_MAX_SOCKETS   20000
#define HTML_MAX_FRAMES    10000 /* different ones */
#define HTML_MAX_PROCESSES 500
/* Of one frame, and of all names of the page before
 * backtraces are cut and frames left out. */
#define HTML_NAME_COLUMNS  120
#define HTML_WHERE_COLUMNS 100
#define HTML_ENOUGH_BYTES  (4 << 20)

struct html {
	const struct findings *findings;
	FILE *file;
	size_t *bytes;  /* of words so far */
	char nonce[33]; /* of the page's own style and script */
};

void html_text(const struct html *html, const struct text *text);
void html_json(const struct html *html, json_t *value); /* gives it up */
/* A name from outside, with its control characters escaped, too. */
void html_name(const struct html *html, const char *name);
/* "1,234" */
void html_number(const struct html *html, uint64_t number);
/* "1,234 sockets" */
void html_count(const struct html *html, uint64_t n, const char *one, const char *many);

/* Calls `write` for each place that the page shows, the leaks first. */
struct html_place {
	const struct findings_place *place;
	enum text_list list;
	size_t number; /* as in the text */
	bool is_first; /* of its list */
};
void html_each_place(const struct html *html,
		     void (*write)(const struct html *html,
				   const struct html_place *place, void *of),
		     void *of);
/* Of one list that the page shows. */
size_t html_n_shown(const struct html *html, enum text_list list);

void html_places(const struct html *html);
void html_processes(const struct html *html);
void html_data(const struct html *html);
void html_series(const struct html *html); /* of html_data() */

#endif
