/* Memory that is not the host's malloc: taken from the kernel in large pieces, handed out
 * by compare-and-swap, never given back. */
#ifndef SOCKLEAK_ARENA_H
#define SOCKLEAK_ARENA_H

#include <stddef.h>

/* Zeroed, aligned to 16 bytes; NULL when the kernel gives no more.  errno is not touched.
 */
void *arena_take(size_t bytes);

/* Whole zeroed pages by mmap, and back; for what is large or comes and goes. */
void *arena_map(size_t bytes);
void arena_unmap(void *at, size_t bytes);
/* Pages for a slot that any thread and any signal may fill: what stands there, or pages
 * of its own; of two that come first at once one gives its pages back.  NULL = no memory.
 */
void *arena_map_once(void *_Atomic *slot, size_t bytes);

#endif
