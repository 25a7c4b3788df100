/* The frames of CPython. */
#ifndef SOCKLEAK_PYTHON_H
#define SOCKLEAK_PYTHON_H

#include "languages/languages.h"

/* Of the library that dlopen() gave this handle for; NULL = it was there at the start,
 * and this is the main thread.  false = it is no Python that is known here. */
bool python_start(void *library);
bool python_is_library(const char *file_name);
bool python_is_module(const char *path);
/* See languages_walk(). */
unsigned python_walk(struct language_frame frames[], unsigned size);
/* Captures left that are compared with what the interpreter says: for tests. */
uint32_t python_trials_left(void);

#endif
