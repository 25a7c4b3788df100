/* The call that tells a place from others whose sockets the same line opened: a pool's
 * or a helper's, which many call. */
#ifndef SOCKLEAK_CALLERS_H
#define SOCKLEAK_CALLERS_H

#include "findings/findings.h"

/* Fills in `caller` of all places.  After frames have their names. */
void callers_find(struct findings *findings);

#endif
