/* The runtime of a language that a program loads while it runs: a server its plugin, a
 * program of C its scripts. */
#ifndef SOCKLEAK_LATE_RUNTIME_H
#define SOCKLEAK_LATE_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

/* Once, by the constructor: whether a hook may allocate, now. */
void late_runtime_start(bool (*may_allocate)(void));

/* Searches for one, if anything was loaded since the last search, and keeps it loaded.
 * Allocates where it finds one. */
void late_runtime_search(void);
/* In a hook that returns to this address: calls `search` if a runtime that is not known
 * yet has called the hook, and the hook may do that now.  Any thread, any signal
 * handler. */
void late_runtime_meet(uint64_t returns_to, void (*search)(void *nothing));

#endif
