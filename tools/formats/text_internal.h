/* What the files of the text report share: text.c writes it, text_below.c what stands
 * below a place, text_short.c the places at a glance, text_calls.c their backtraces,
 * text_end.c what follows the places. */
#ifndef SOCKLEAK_TEXT_INTERNAL_H
#define SOCKLEAK_TEXT_INTERNAL_H

#include "findings/stack.h"
#include "formats/formats.h"

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define GREY   "\033[90m"
#define PLAIN  "\033[0m"

struct writing {
	const struct findings *findings;
	const struct format_text_options *options;
	FILE *file;
	const char *color; /* of the first line of what is printed now */
};

/* The words in the color, where colors are wanted. */
void text_colored(struct text *text, const struct writing *writing, const char *color,
		  const char *words);
void text_print_escaped(const struct writing *writing, const char *string);
/* Processes, tests, other holders and, where it is asked for, the rule of a place; each a
 * line that begins with `indent`, but for the rule. */
void text_below(const struct writing *writing, const struct findings_place *place,
		const char *indent);

/* Kinds of places, in the order in which they are listed and numbered. */
enum text_list { TEXT_LEAKS, TEXT_LATE, TEXT_PENDING, TEXT_N_LISTS };
struct text_places {
	const struct findings_place *at;
	size_t n;
	const char *color; /* of their counts */
};
struct text_places text_places_of(const struct findings *findings, enum text_list list);

/* A place at a glance. */
struct text_block {
	const struct writing *writing;
	const struct findings_place *place;
	struct text_place shown;
	enum text_list list;
	const char *color; /* of the count */
	size_t number;     /* 0 = none is shown */
	size_t same_as;    /* number of the place with the same callers; 0 = none */
	unsigned n_common; /* frames that are the same there */
};

/* No line is wider. */
#define TEXT_MAX_COLUMNS 100

/* The calls that opened it, and the call that told. */
void text_put_origin(struct text *text, const struct text_block *block);
void text_put_told(struct text *text, const struct text_block *block);
/* Where its sockets were last used; nothing without uses=yes. */
void text_put_uses(struct text *text, const struct text_block *block);
/* The last `columns` of it, where it is longer with dots at their beginning. */
void text_put_end_of(struct text *text, struct text *whole, size_t columns);

/* Words that other formats for people say, too: "left in CLOSE_WAIT, oldest 2.1s"; why;
 * one of its sockets; "... 41 of libstdc++ and libc" ("" where nothing was left out). */
void text_put_kind(struct text *text, const struct text_block *block);
void text_put_whys(struct text *text, const struct text_place *shown);
void text_put_example(struct text *text, const struct text_place *shown);
void text_put_left_out(struct text *text, const struct stack *stack);

/* Each place in some ten lines. */
void text_short(const struct writing *writing);
/* What to do, and a line for each place. */
void text_advice(const struct writing *writing);
void text_table(const struct writing *writing);
/* "told", in words, and what to do about it: of a single bit of enum sl_why. */
const char *text_why_words(unsigned one);
const char *text_why_advice(unsigned one);
/* "SUMMARY: sockleak: 3 sockets leaked ...", in one line. */
void text_put_summary(struct text *text, const struct findings *findings, bool is_short);
struct text_summary text_sums(const struct findings *findings);
/* "process 4711 (/srv/app): it is statically linked, ..." */
void text_put_unwatched(struct text *text, const struct unwatched *one);
/* Pending ones that would be leaks by at_exit=all. */
size_t text_n_would_count(const struct findings *findings);
/* The frame that stands for a place: the innermost of the program's own, else the
 * innermost; NULL = it has none. */
const struct text_frame *text_first_row(const struct findings_place *place);
const struct text_frame *text_first_row_of_use(const struct text_use *use);
/* "big.cc:22", or "app+0x1234" where no line is known; at most `columns` wide. */
void text_where(struct text *text, const struct text_frame *frame, size_t columns);
/* The function's name in short, at most `columns` wide. */
void text_function(struct text *text, const struct text_frame *frame, size_t columns);
/* Fills up to `column`, counted from `begin` of the text. */
void text_pad(struct text *text, size_t begin, size_t column);
size_t text_columns(const struct text *text, size_t begin); /* of what stands there */

#endif
