/* Lines of source files for places. */
#ifndef SOCKLEAK_SOURCES_H
#define SOCKLEAK_SOURCES_H

#include "findings/findings.h"

/* Puts into each place the line of its innermost frame in the program's own code, and
 * those beside it, where the file is there and is the one that was built, as far as their
 * ages tell: it is not newer than the module. */
void sources_read(struct findings *findings);

#endif
