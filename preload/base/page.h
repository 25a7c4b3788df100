/* Pages, as the processors that we run on have them: the kernel's may be larger. */
#ifndef SOCKLEAK_PAGE_H
#define SOCKLEAK_PAGE_H

#include <stdint.h>

#define PAGE_BYTES 4096u
static inline uint64_t page_of(uint64_t address)
{
	return address & ~(uint64_t)(PAGE_BYTES - 1);
}

#endif
