/* The rules of a suppressions file: places that do not count as leaks.
 *
 * Read by the constructor; afterwards used by the owner of the scan lock alone. */
#ifndef SOCKLEAK_SUPPRESSIONS_H
#define SOCKLEAK_SUPPRESSIONS_H

#include <stdint.h>

struct suppression {
	const char *pattern; /* terminated, as text_matches() takes it */
	uint64_t max;        /* sockets of a place that are expected; 0 = all */
	uint64_t n_used;
};

/* Reads the file; warns of each malformed line, of a file that cannot be read, and of
 * one over 16 MiB, of which the rest is ignored from its last whole line on. */
void suppressions_read(const char *path);

extern struct suppression *suppressions;
extern unsigned n_suppressions;

#endif
