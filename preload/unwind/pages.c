/* See pages.h.  A page has one place where its copy may lie. */
#include "unwind/pages.h"

#include "base/arena.h"
#include "base/guard.h"
#include "base/own_memory.h"
#include "base/page.h"
#include "base/sections.h"
#include "base/unchecked.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define PAGES_BITS 7
#define N_PAGES    (1u << PAGES_BITS)

static char (*copies)[PAGE_BYTES];
ARENA_TABLE static uint64_t
	addresses[N_PAGES]; /* of the page each is a copy of; 0 = none */

/* Where the kernel may not copy for us: at once when it has found the page readable.  That
 * leaves the microsecond between the two.  To avoid it a file would have to be opened, and
 * hosts that expect their next descriptor's number are more common than a file that is
 * truncated in that microsecond. */
UNCHECKED_MEMORY static bool copy_proven(uint64_t page, char *to)
{
	if (!own_memory_is_readable(page))
		return false;
	for (unsigned at = 0; at < PAGE_BYTES; at += 8)
		*(volatile uint64_t *)(to + at) = *(const volatile uint64_t *)(page + at);
	return true;
}

static bool copy_page(uint64_t page, char *to)
{
	long n = own_memory_may_ask() ? own_memory_read(page, to, PAGE_BYTES) : -ENOSYS;

	if (n == -ENOSYS || n == -EPERM)
		return copy_proven(page, to);
	return n == PAGE_BYTES;
}

/* Where the copy of this page lies; NULL = it cannot be read. */
static const char *copy_of(uint64_t page)
{
	uint64_t hash = (page / PAGE_BYTES) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t at = (uint32_t)(hash >> (64 - PAGES_BITS));

	if (addresses[at] == page)
		return copies[at];
	if (!copies)
		copies = arena_map(N_PAGES * sizeof(*copies));
	if (!copies)
		return NULL;
	addresses[at] = 0;
	if (!copy_page(page, copies[at]))
		return NULL;
	addresses[at] = page;
	return copies[at];
}

bool pages_read(uint64_t from, void *to, uint32_t bytes)
{
	for (uint32_t done = 0, part; done < bytes; done += part) {
		uint64_t at = from + done, page = page_of(at);
		const char *copy = copy_of(page);

		if (!copy)
			return false;
		part = PAGE_BYTES - (uint32_t)(at - page);
		if (part > bytes - done)
			part = bytes - done;
		memcpy((char *)to + done, copy + (at - page), part);
	}
	return true;
}

void pages_forget(void)
{
	memset(addresses, 0, sizeof(addresses));
}
