/* Memory that is not the host's malloc: taken from the kernel in large pieces, handed out
 * by compare-and-swap, never given back. */
#ifndef SOCKLEAK_ARENA_H
#define SOCKLEAK_ARENA_H

#include <stddef.h>

/* For static tables and buffers that a start does not touch.  They stand together, behind
 * everything else, so that a start, which touches a little of every file's, touches few
 * pages: a microsecond each. */
#define ARENA_TABLE __attribute__((section(".bss.tables")))

/* For the functions that every start and every end runs: they stand together, for the
 * same reason (order.ld). */
#define AT_START __attribute__((section(".text.startup")))

/* Zeroed, aligned to 16 bytes; NULL when the kernel gives no more.  errno is not touched.
 */
void *arena_take(size_t bytes);

/* Whole zeroed pages by mmap, and back; for what is large or comes and goes. */
void *arena_map(size_t bytes);
void arena_unmap(void *at, size_t bytes);

#endif
