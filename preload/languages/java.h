/* The frames of HotSpot, the virtual machine of OpenJDK. */
#ifndef SOCKLEAK_JAVA_H
#define SOCKLEAK_JAVA_H

#include "languages/languages.h"

/* Of the library that dlopen() gave this handle for, which is never unloaded.  false = it
 * is no HotSpot that is known here. */
bool java_start(void *library);
bool java_is_library(const char *file_name);
/* One of its own by which programs open sockets. */
bool java_is_module(const char *file_name);
/* See languages_walk(). */
unsigned java_walk(struct language_frame frames[], unsigned size);
/* See languages_lost(). */
uint64_t java_lost(void);

/* Walks left in which nothing is read in place. */
#define JAVA_TRIALS 16
/* For tests. */
uint32_t java_trials_left(void);

#endif
