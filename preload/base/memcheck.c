/* Instructions that do nothing, in an order no compiler writes: valgrind takes them for a
 * request.  They and the numbers are valgrind.h's and memcheck.h's, which promise never
 * to change them; those headers need not be there when this is built. */
#include "base/memcheck.h"

#include "base/sections.h"

#define RUNNING_ON_VALGRIND 0x1001u
#define MAKE_MEM_DEFINED    (('M' << 24 | 'C' << 16) + 2u)

bool memcheck_is_there;

/* 0 where valgrind does not run the program. */
AT_START static uint64_t request(uint64_t number, uint64_t a, uint64_t b)
{
	const volatile uint64_t arguments[6] = {number, a, b};
	uint64_t result;

#if defined __x86_64__
	__asm__ volatile("rolq $3, %%rdi\n\trolq $13, %%rdi\n\t"
			 "rolq $61, %%rdi\n\trolq $51, %%rdi\n\t"
			 "xchgq %%rbx, %%rbx"
			 : "=d"(result)
			 : "a"(arguments), "0"(UINT64_C(0))
			 : "cc", "memory");
#else
	register uint64_t x3 __asm__("x3") = 0;
	register const volatile uint64_t *x4 __asm__("x4") = arguments;
	__asm__ volatile("ror x12, x12, #3\n\tror x12, x12, #13\n\t"
			 "ror x12, x12, #51\n\tror x12, x12, #61\n\t"
			 "orr x10, x10, x10"
			 : "+r"(x3)
			 : "r"(x4)
			 : "cc", "memory");
	result = x3;
#endif
	return result;
}

AT_START void memcheck_start(void)
{
	if (request(RUNNING_ON_VALGRIND, 0, 0) != 0)
		memcheck_is_there = true;
}

void memcheck_request_defined(const void *at, size_t bytes)
{
	request(MAKE_MEM_DEFINED, (uint64_t)(uintptr_t)at, bytes);
}
