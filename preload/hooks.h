/* The exported functions; what the rest must know of them. */
#ifndef SOCKLEAK_HOOKS_H
#define SOCKLEAK_HOOKS_H

#include <stdbool.h>

/* Until the constructor is through, or when it failed, hooks pass straight through. */
extern bool hooks_are_on __attribute__((visibility("hidden")));
/* Connections were inherited, and nobody looks at them yet: the first use of one starts
 * the helper. */
extern bool hooks_await_connection __attribute__((visibility("hidden")));

static inline void hooks_await(bool connection)
{
	__atomic_store_n(&hooks_await_connection, connection, __ATOMIC_RELAXED);
}

#endif
