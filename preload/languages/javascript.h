/* Stacks of JavaScript as V8 writes them, which a program hands over itself
 * (sockleak_node.js): no walk of ours finds them. */
#ifndef SOCKLEAK_JAVASCRIPT_H
#define SOCKLEAK_JAVASCRIPT_H

#include "languages/languages.h"

/* Frames of one stack that are kept. */
#define JAVASCRIPT_MAX_FRAMES 32

/* A frame for each line "at FUNCTION (FILE:LINE:COLUMN)" or "at FILE:LINE:COLUMN" of the
 * text, in their order; other lines are passed by.  Any thread.  Returns how many, fewer
 * where no more code is kept. */
unsigned javascript_read(const char *stack,
			 struct language_frame frames[JAVASCRIPT_MAX_FRAMES]);

#endif
