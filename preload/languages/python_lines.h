/* The line tables of CPython's code objects, in their three forms. */
#ifndef SOCKLEAK_PYTHON_LINES_H
#define SOCKLEAK_PYTHON_LINES_H

#include <stdbool.h>
#include <stdint.h>

struct python_lines {
	int minor; /* of the version */
	int first_line;
	const unsigned char *table;
	uint32_t bytes;
};

/* The table covers just so many bytes of code. */
bool python_lines_cover(const struct python_lines *lines, uint32_t code_bytes);
/* The line of the instruction at this offset in bytes (-1: before the first); 0 = it has
 * none. */
uint32_t python_lines_find(const struct python_lines *lines, int offset);

#endif
