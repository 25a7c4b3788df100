/* Words in a path that an option gives: what differs from process to process and from
 * host to host. */
#ifndef SOCKLEAK_PATH_PATTERN_H
#define SOCKLEAK_PATH_PATTERN_H

#include "common/text.h"

/* Adds `pattern` to `path`: "%p" becomes the pid, "%e" the program's name, "%h" the
 * host's name.  Asks the kernel only for the words that the pattern has. */
void path_pattern_add(struct text *path, const char *pattern);

#endif
