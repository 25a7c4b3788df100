/* For libraries that stand in for calls and capture there the frames of a language, by
 * the parts of sockleak that do so: python_preload.c and java_preload.c.
 *
 * In the environment: SHIFT=FIELD:BYTES moves a field of the layout, as a build unknown
 * to us may have it, SHIFT=fields prints "FIELD name" for each that this version has;
 * with FILTERED the kernel may not be asked. */
#ifndef SOCKLEAK_CAPTURES_H
#define SOCKLEAK_CAPTURES_H

#include "base/guard.h"
#include "base/imports.h"
#include "languages/languages.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))

/* The next definition of a call, in `next`. */
#define NEXT(name)                                                                       \
	static __typeof__(name) *next;                                                   \
	if (!next)                                                                       \
	next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

/* Of a layout; what this version does not have is negative. */
struct field {
	const char *name;
	int *at;
};

static inline void shift_field(const struct field fields[], size_t n)
{
	const char *wanted = getenv("SHIFT");
	size_t bytes = wanted ? strcspn(wanted, ":") : 0;

	for (size_t i = 0; wanted && i < n; i++) {
		if (*fields[i].at < 0)
			continue;
		if (!wanted[bytes])
			fprintf(stderr, "FIELD %s\n", fields[i].name);
		else if (strlen(fields[i].name) == bytes &&
			 memcmp(fields[i].name, wanted, bytes) == 0)
			*fields[i].at += atoi(wanted + bytes + 1);
	}
}

/* Nanoseconds of a capture, of `n` captures. */
static inline double time_captures(struct language_frame frames[], unsigned size, int n)
{
	struct timespec from, to;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
	for (int i = 0; i < n; i++)
		language_capture(frames, size);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
	return ((double)(to.tv_sec - from.tv_sec) * 1e9 +
		(double)(to.tv_nsec - from.tv_nsec)) /
	       n;
}

static inline void start_captures(bool with_java)
{
	guard_start();
	guard_watch_copies();
	guard_ask_filter();
	guard_has_filter = guard_has_filter || getenv("FILTERED");
	imports_read();
	languages_look_for_runtime(with_java);
}

#endif
