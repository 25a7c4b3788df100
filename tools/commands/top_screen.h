/* sockleak top on a terminal. */
#ifndef SOCKLEAK_TOP_SCREEN_H
#define SOCKLEAK_TOP_SCREEN_H

#include "formats/top.h"

/* Draws `top`, and again after each `look`, one each `interval_ms`, until the user wants
 * no more.  The exit status: 2 after one line on standard error where the terminal cannot
 * be drawn on. */
int top_screen(struct top *top, uint64_t interval_ms,
	       void (*look)(struct top *top, void *of), void *of);

#endif
