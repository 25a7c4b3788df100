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

#endif
