/* The fingerprint by which a tool with a history recognises a place, also after a
 * rebuild. */
#ifndef SOCKLEAK_FINGERPRINT_H
#define SOCKLEAK_FINGERPRINT_H

#include "findings/findings.h"

/* Fills in `fingerprint` of all leaks, late ones too: from the kind, and the functions
 * and source files of the program's own frames, without their lines.  Places that agree
 * in these are numbered in the order of their lines.  After frames have their names. */
void fingerprint_places(struct findings *findings);

#endif
