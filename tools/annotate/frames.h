/* Names for the frames of findings. */
#ifndef SOCKLEAK_FRAMES_H
#define SOCKLEAK_FRAMES_H

#include "findings/findings.h"
#include "symbols/symbols.h"

/* Puts function, file and line into every place, and the inlined frames between the
 * physical ones.  Where symbols are not to be had the frames stay as they are.  `folds`:
 * as text_fold().  Names are found in findings->symbols, which may be the caller's; if it
 * is NULL, they are opened here and closed with the findings. */
void frames_name(struct findings *findings, bool folds);

/* The innermost frame at one physical frame; its module's path is looked for below `root`
 * ("" or "/proc/PID/root"). */
struct text_frame frames_name_innermost(struct symbols *symbols, const char *root,
					const struct text_frame *physical);

/* The first frame of the program itself, as far as a path tells it from the system's
 * libraries: what to show where there is room for one.  NULL = no frames. */
const struct text_frame *frames_first_of_user(const struct text_frame *frames,
					      unsigned n);

#endif
