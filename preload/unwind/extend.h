/* An origin with frames of a language added to it becomes a backtrace.  By the unwinding
 * thread (origin.h). */
#ifndef SOCKLEAK_EXTEND_H
#define SOCKLEAK_EXTEND_H

#include "unwind/capture.h"

#include <stdint.h>

/* The id of the backtrace; 0 = no memory.  `origin`: what that of the extension has
 * become, an id or 0.  `max_frames`: of the language. */
uint32_t extend(const struct extension *extension, uint32_t origin, unsigned max_frames);

#endif
