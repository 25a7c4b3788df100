/* memcpy and its kind, for the library alone: hidden, and bound to when it is linked.
 *
 * The C library's may not be the ones that are called: the runtime of a sanitizer stands
 * before them, and the thread sanitizer of a host would see our threads copy, would not
 * see what orders these copies, and would report a race.  A build of the library with a
 * sanitizer wants these reports, and leaves these functions out.
 *
 * The empty asm in each loop keeps the compiler from replacing the loop by a call of the
 * very function that it is in. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__

#define HIDDEN __attribute__((visibility("hidden")))

typedef uint64_t __attribute__((may_alias, aligned(1))) word;

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t n)
{
	char *t = to;
	const char *f = from;

	for (; n >= 8; n -= 8, t += 8, f += 8) {
		*(word *)t = *(const word *)f;
		__asm__("");
	}
	for (; n; n--) {
		*t++ = *f++;
		__asm__("");
	}
	return to;
}

HIDDEN void *memmove(void *to, const void *from, size_t n)
{
	char *t = to;
	const char *f = from;

	if (t <= f || t >= f + n)
		return memcpy(to, from, n);
	while (n--) {
		t[n] = f[n];
		__asm__("");
	}
	return to;
}

HIDDEN void *memset(void *to, int byte, size_t n)
{
	char *t = to;
	uint64_t bytes = (unsigned char)byte * UINT64_C(0x0101010101010101);

	for (; n >= 8; n -= 8, t += 8) {
		*(word *)t = bytes;
		__asm__("");
	}
	for (; n; n--) {
		*t++ = (char)byte;
		__asm__("");
	}
	return to;
}

HIDDEN int memcmp(const void *one, const void *other, size_t n)
{
	const unsigned char *a = one, *b = other;

	for (; n >= 8 && *(const word *)a == *(const word *)b; n -= 8, a += 8, b += 8)
		__asm__("");
	for (; n; n--, a++, b++) {
		if (*a != *b)
			return *a - *b;
		__asm__("");
	}
	return 0;
}

#endif
