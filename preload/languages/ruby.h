/* The frames of Ruby, as its own C implementation (CRuby) keeps them. */
#ifndef SOCKLEAK_RUBY_H
#define SOCKLEAK_RUBY_H

#include "languages/languages.h"

/* Of the Ruby that was there at the start.  false = it is none that is known here. */
bool ruby_start(void);
/* See languages_walk(). */
unsigned ruby_walk(struct language_frame frames[], unsigned size);
/* Captures left that are compared with what Ruby says: for tests. */
uint32_t ruby_trials_left(void);

#endif
