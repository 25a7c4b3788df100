/* The registers a call preserves, read in one go: with the stack above the stack pointer
 * they are all that is needed to find the callers. */
#ifndef SOCKLEAK_REGISTERS_H
#define SOCKLEAK_REGISTERS_H

#include <stdint.h>

/* The first three are the same on every machine. */
#define REGISTERS_IP 0
#define REGISTERS_SP 1
#define REGISTERS_FP 2

#if defined __x86_64__
#define REGISTERS_N 8 /* rip rsp rbp rbx r12 r13 r14 r15 */
#define registers_read(words)                                                            \
	__asm__ volatile("leaq 0f(%%rip), %%rax\n0:\n\t"                                 \
			 "movq %%rax, 0(%0)\n\t"                                         \
			 "movq %%rsp, 8(%0)\n\t"                                         \
			 "movq %%rbp, 16(%0)\n\t"                                        \
			 "movq %%rbx, 24(%0)\n\t"                                        \
			 "movq %%r12, 32(%0)\n\t"                                        \
			 "movq %%r13, 40(%0)\n\t"                                        \
			 "movq %%r14, 48(%0)\n\t"                                        \
			 "movq %%r15, 56(%0)"                                            \
			 :                                                               \
			 : "r"(words)                                                    \
			 : "rax", "memory")
#elif defined __aarch64__
#define REGISTERS_N 14 /* pc sp x29 x19..x28 x30 */
#define registers_read(words)                                                            \
	__asm__ volatile("adr x9, 0f\n0:\n\t"                                            \
			 "mov x10, sp\n\t"                                               \
			 "stp x9, x10, [%0]\n\t"                                         \
			 "stp x29, x19, [%0, 16]\n\t"                                    \
			 "stp x20, x21, [%0, 32]\n\t"                                    \
			 "stp x22, x23, [%0, 48]\n\t"                                    \
			 "stp x24, x25, [%0, 64]\n\t"                                    \
			 "stp x26, x27, [%0, 80]\n\t"                                    \
			 "stp x28, x30, [%0, 96]"                                        \
			 :                                                               \
			 : "r"(words)                                                    \
			 : "x9", "x10", "memory")
#else
#error "sockleak knows x86_64 and aarch64"
#endif

/* An address as the machine calls it: without a signature in its upper bits. */
static inline uint64_t registers_plain(uint64_t address)
{
#if defined __aarch64__
	register uint64_t x30 __asm__("x30") = address;
	__asm__("hint 7" : "+r"(x30)); /* xpaclri */
	return x30;
#else
	return address;
#endif
}

#endif
