/* Plain structs -> one format each.  Every writer writes to an open file and leaves
 * errors to ferror().
 *
 * Theory of operation.  A writer is given all that it prints; it reads neither /proc nor
 * the clock, and does not ask the kernel.  Words that the library prints, too, come from
 * common/text*.  Bytes of other people (paths, names) are escaped where they are printed,
 * by the rules of the format: control characters for text, XML, TAP, JSON.  JSON is made
 * of the same parts in all commands (values.c); tests/lib/report.schema.json says of
 * what.  list.h and scan.h have the structs and the writers of these two commands. */
#ifndef SOCKLEAK_FORMATS_H
#define SOCKLEAK_FORMATS_H

#include "findings/findings.h"

#include <stdbool.h>
#include <stdio.h>

struct format_text_options {
	bool color;
	bool verbose; /* all frames in full, processes, rules that were not used */
	bool gen_suppressions; /* a ready rule under each place */
};

void format_text(const struct findings *findings,
		 const struct format_text_options *options, FILE *file);
void format_json(const struct findings *findings, FILE *file);
void format_junit(const struct findings *findings, FILE *file);
void format_sarif(const struct findings *findings, FILE *file);
void format_gitlab(const struct findings *findings, FILE *file);
void format_tap(const struct findings *findings, FILE *file);
void format_html(const struct findings *findings, FILE *file);
void format_folded(const struct findings *findings, FILE *file);

/* "3 sockets left in CLOSE_WAIT, opened by accept_client (app.c:41)": one line that says
 * what a place is; no control characters. */
void format_headline(const struct findings_place *place, char *line, size_t size);

/* "accept_client (app.c:41)", or why there is no origin: where it was opened. */
void format_where(const struct findings_place *place, char *line, size_t size);

/* The frame with the line of the program's own source that stands for a place: where it
 * was opened, else where the program was told; NULL = no such line is known. */
const struct text_frame *format_source_line(const struct findings_place *place);
/* Of the leaks, late ones too. */
size_t format_n_without_line(const struct findings *findings);

/* What text_place() and its kind take. */
struct text_place format_place(const struct findings *findings,
			       const struct findings_place *place);

/* The tests, by sockleak_name(), in which the sockets of a place were opened: of the
 * first FORMAT_MAX_TESTS of them, how many.  Returns how many tests. */
#define FORMAT_MAX_TESTS 16
struct format_test {
	const char *name;
	size_t n_sockets;
};
size_t format_tests(const struct findings_place *place,
		    struct format_test tests[FORMAT_MAX_TESTS]);
/* The headline, and ", in tests: login (2), logout (1)" where there are some; the caller
 * frees it. */
char *format_headline_with_tests(const struct findings_place *place);
/* "login (2), logout (1)", of a struct findings_place; for format_block(). */
void format_put_tests(struct text *text, const void *of);

/* A place in some ten lines, without what it has in common with others; of this, for
 * format_block(). */
struct format_short {
	const struct findings *findings;
	const struct findings_place *place;
	bool is_late;
};
void format_put_short(struct text *text, const void *of);

/* What `put` writes, in a buffer in which all of it fits; the caller frees it. */
char *format_block(void (*put)(struct text *text, const void *of), const void *of,
		   size_t *bytes);
/* Writes what stands there, and begins anew. */
void format_flush(struct text *text, FILE *file);
void format_put_count(struct text *text, uint64_t n, const char *word);
/* For format_block(): text_place(), text_pending() and text_closed_late() of a struct
 * text_place. */
void format_put_place(struct text *text, const void *of);
void format_put_pending(struct text *text, const void *of);
void format_put_late(struct text *text, const void *of);

#endif
