/* What stands in the pages of loaded files: headers, unwind tables, code.  Each page is
 * copied once, without a fault, and kept until the list of modules changes: a file may be
 * cut, and a page protected, at any moment.  Used by the unwinding thread (origin.h). */
#ifndef SOCKLEAK_PAGES_H
#define SOCKLEAK_PAGES_H

#include <stdbool.h>
#include <stdint.h>

/* false: not all of it is there. */
bool pages_read(uint64_t from, void *to, uint32_t bytes);
void pages_forget(void);

#endif
