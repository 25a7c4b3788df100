/* FNV-1a, 64 bits: a hash that is the same in each run and on each machine. */
#ifndef SOCKLEAK_FNV_H
#define SOCKLEAK_FNV_H

#include <stddef.h>
#include <stdint.h>

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)

/* The sum of all bytes so far; FNV_BASIS before the first. */
static inline uint64_t fnv_add(uint64_t sum, const void *at, size_t n)
{
	for (const unsigned char *byte = at; n > 0; n--)
		sum = (sum ^ *byte++) * UINT64_C(0x100000001b3);
	return sum;
}

#endif
