/* Under valgrind's memcheck: what was copied off a stack counts as defined, though the
 * program may not have written all of it.  Any thread, any signal handler. */
#ifndef SOCKLEAK_MEMCHECK_H
#define SOCKLEAK_MEMCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

extern bool memcheck_is_there;

/* Once. */
void memcheck_start(void);

void memcheck_request_defined(const void *at, size_t bytes);

static inline void memcheck_define(const void *at, size_t bytes)
{
	if (__builtin_expect(memcheck_is_there, false))
		memcheck_request_defined(at, bytes);
}

static inline uint64_t memcheck_defined(uint64_t value)
{
	if (__builtin_expect(memcheck_is_there, false)) {
		uint64_t copy = value;
		memcheck_request_defined(&copy, sizeof(copy));
		return *(volatile uint64_t *)&copy;
	}
	return value;
}

#endif
