/* Which modules share a part of their range of addresses with others, that were loaded
 * there at other times.  By the thread that reads the loader's list. */
#ifndef SOCKLEAK_MODULE_RANGES_H
#define SOCKLEAK_MODULE_RANGES_H

#include "unwind/module_headers.h"

/* A new module was found: it, and those that had a part of its range before, say as
 * little for certain (`shares_range`).  One seen in this very reading has its range
 * still, and holes in it: on aarch64 the kernel puts the vdso between the loader's
 * segments. */
void module_ranges_take(struct module *module);

#endif
