/* Plays a hook of the library, for tests of origins. */
#ifndef HOOK_H
#define HOOK_H

#include "unwind/origin.h"

#include <alloca.h>
#include <stddef.h>

/* Keeps a call from being the last thing a function does. */
#define KEEP(value) __asm__ volatile("" : "+r"(value) : : "memory")

/* Has a frame pointer, as all hooks do. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static uint32_t hook(void)
{
	uint32_t origin = origin_capture();

	KEEP(origin);
	return origin;
}

/* Another place each time: `bytes` lie between it and its caller. */
__attribute__((noinline, unused)) static uint32_t farther(size_t bytes)
{
	char *some = alloca(bytes);

	KEEP(some);
	uint32_t origin = hook();
	KEEP(some);
	return origin;
}

#endif
