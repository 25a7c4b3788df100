/* A backtrace as a reader takes it in at a glance: pure functions over frames.
 *
 * Frames of system libraries and of the C++ library are left out and counted, calls that
 * repeat are one row, and what two backtraces have in common is found, so that it is
 * shown once. */
#ifndef SOCKLEAK_STACK_H
#define SOCKLEAK_STACK_H

#include "common/text.h"

#define STACK_MAX_ROWS      10 /* of a text */
#define STACK_ROOM          64
#define STACK_MAX_LIBRARIES 3
#define STACK_NAME_BYTES    256

struct stack_row {
	const struct text_frame *frame;
	unsigned times; /* how often it was there, with the rows beside it */
};

struct stack {
	struct stack_row rows[STACK_ROOM]; /* innermost first */
	unsigned n_rows, max_rows;
	unsigned n_more;    /* rows for which there was no room */
	unsigned n_library; /* frames that were left out as the libraries' */
	/* Of them, at most STACK_MAX_LIBRARIES, in the order of the frames. */
	char libraries[STACK_MAX_LIBRARIES][32];
	unsigned n_libraries; /* also those that found no room */
};

/* Whether it is code of a library that the program did not bring: by its module, or by
 * the file of a header that the program includes. */
bool stack_is_library(const struct text_frame *frame);

/* The innermost frame that is the program's own; NULL = none. */
const struct text_frame *stack_first_own(const struct text_frame *frames, unsigned n);

/* How many of the outermost frames are the same in both; 0 if none of these is the
 * program's own. */
unsigned stack_common(const struct text_frame *a, unsigned n_a,
		      const struct text_frame *b, unsigned n_b);

/* Where all frames are libraries', none is left out.  At most `max_rows`, which is no
 * more than STACK_ROOM. */
struct stack stack_fold(const struct text_frame *frames, unsigned n, unsigned max_rows);

#endif
