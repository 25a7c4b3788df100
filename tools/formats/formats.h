/* Plain structs -> one format each.  Every writer writes to an open file and leaves
 * errors to ferror(). */
#ifndef SOCKLEAK_FORMATS_H
#define SOCKLEAK_FORMATS_H

#include "findings.h"

#include <stdbool.h>
#include <stdio.h>

struct format_text_options {
	bool color;
	bool verbose;          /* names rules that were not used, and every process */
	bool gen_suppressions; /* a ready rule under each place */
};

void format_text(const struct findings *findings,
		 const struct format_text_options *options, FILE *file);
void format_json(const struct findings *findings, FILE *file);
void format_junit(const struct findings *findings, FILE *file);
void format_sarif(const struct findings *findings, FILE *file);
void format_tap(const struct findings *findings, FILE *file);
void format_folded(const struct findings *findings, FILE *file);

/* "3 sockets left in CLOSE_WAIT, opened by accept_client (app.c:41)": one line that says
 * what a place is; no control characters. */
void format_headline(const struct findings_place *place, char *line, size_t size);

/* What text_place() and its kind take. */
struct text_place format_place(const struct findings *findings,
			       const struct findings_place *place);

/* What `put` writes, in a buffer in which all of it fits; the caller frees it. */
char *format_block(void (*put)(struct text *text, const void *of), const void *of,
		   size_t *bytes);
/* For it: text_place() and text_pending() of a struct text_place. */
void format_put_place(struct text *text, const void *of);
void format_put_pending(struct text *text, const void *of);

#endif
