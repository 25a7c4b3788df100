/* Raw system calls: no cancellation points, errno untouched, -errno on failure.  Any
 * thread, any signal handler. */
#ifndef SOCKLEAK_SYSTEM_CALL_H
#define SOCKLEAK_SYSTEM_CALL_H

#include <stdbool.h>

#if defined __ILP32__ || defined __AARCH64EB__
#error "sockleak knows x86_64 and aarch64, with pointers of 64 bits, little endian"
#endif

/* The host installed a seccomp filter of its own after the start (seen by the prctl and
 * syscall hooks): from then on no call is made that the host did not ask for. */
extern _Atomic bool guard_is_sandboxed;
/* A raw system call: not a cancellation point, errno untouched; -errno on failure. */
static inline long guard_call(long number, long a, long b, long c, long d, long e, long f)
{
#if defined __x86_64__
	long result;
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
#elif defined __aarch64__
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	register long x4 __asm__("x4") = e;
	register long x5 __asm__("x5") = f;
	__asm__ volatile("svc 0"
			 : "+r"(x0)
			 : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
			 : "memory");
	return x0;
#else
#error "sockleak knows x86_64 and aarch64"
#endif
}
/* For the library's own calls: in a sandbox no call is made. */
static inline long guard_own_call(long number, long a, long b, long c, long d, long e,
				  long f)
{
	return __builtin_expect(guard_is_sandboxed, 0)
		       ? -38 /* ENOSYS */
		       : guard_call(number, a, b, c, d, e, f);
}
#define GUARD_CALL_7(n, a, b, c, d, e, f, ...)                                           \
	guard_own_call((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), \
		       (long)(f))
#define guard_sys(...) GUARD_CALL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

#endif
