/* What a capture costs: recognised at 20 frames, in a thread that never captured before,
 * as a copy of 8 KiB of stack, and what unwinding a copy takes the unwinding thread. */
#include "base/guard.h"
#include "unwind/origin.h"

#include <alloca.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define N_HITS    20000
#define N_MISSES  220
#define N_THREADS 400
#define N_ROUNDS  15

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
	double one = *(const double *)a, other = *(const double *)b;

	return one < other ? -1 : one > other;
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

/* Plays the hook. */
__attribute__((noinline, optimize("no-omit-frame-pointer"))) static uint32_t hook(void)
{
	uint32_t origin = origin_capture();

	__asm__ volatile("" : "+r"(origin));
	return origin;
}

static double ns_a_capture; /* of the last measure() */
static bool was_recognised;

__attribute__((noinline)) static void measure(unsigned n)
{
	uint32_t origin = 0;
	uint64_t start = now_ns();

	for (unsigned i = 0; i < n; i++)
		origin = hook();
	ns_a_capture = (double)(now_ns() - start) / n;
	was_recognised = origin && !(origin & ORIGIN_PENDING_BIT);
}

__attribute__((noinline)) static void at_depth(unsigned depth, unsigned n)
{
	if (depth == 0)
		measure(n);
	else
		at_depth(depth - 1, n);
	__asm__ volatile("" ::: "memory");
}

/* With main and the C library's start above and hook and measure below: 20 frames. */
#define DEPTH 14

static void report(const char *what, double value, const char *unit)
{
	printf("%-44s %8.2f %s\n", what, value, unit);
}

static void recognised(void)
{
	double rounds[N_ROUNDS];
	volatile unsigned n = 1;

	for (unsigned i = 0; i < N_ROUNDS; i++) {
		at_depth(DEPTH, n);
		n = N_HITS;
		rounds[i] = ns_a_capture;
		origin_work();
		origin_end_sweep();
	}
	if (!was_recognised)
		printf("not recognised\n");
	report("recognised, 20 frames", median(rounds, N_ROUNDS), "ns");
}

static void *in_thread(void *argument)
{
	(void)argument;
	at_depth(DEPTH, 1);
	return NULL;
}

static void new_thread(void)
{
	static double threads[N_THREADS];
	pthread_t thread;

	for (unsigned i = 0; i < N_THREADS; i++) {
		pthread_create(&thread, NULL, in_thread, NULL);
		pthread_join(thread, NULL);
		threads[i] = ns_a_capture;
		origin_work();
		origin_end_sweep();
	}
	if (!was_recognised)
		printf("not recognised\n");
	report("recognised, first in a new thread", median(threads, N_THREADS), "ns");
}

#define ABOVE(name)                                                                      \
	__attribute__((noinline)) static void name(size_t bytes)                         \
	{                                                                                \
		char *some = memset(alloca(bytes), 1, bytes);                            \
                                                                                         \
		__asm__ volatile("" ::"r"(some) : "memory");                             \
		uint64_t start = now_ns();                                               \
		was_recognised = !(hook() & ORIGIN_PENDING_BIT);                         \
		ns_a_capture = (double)(now_ns() - start);                               \
		__asm__ volatile("" ::"r"(some) : "memory");                             \
	}
ABOVE(above_first)
ABOVE(above_then)

/* Each at another distance: none is recognised.  The second time the buffers are not new
 * any more, as they are in a host that has been running for a while. */
static void *copied(void *what)
{
	static double first[N_MISSES], then[N_MISSES];
	double work_us = 0;

	for (unsigned half = 0; half < 2; half++) {
		for (unsigned i = 0; i < N_MISSES; i++) {
			(half ? above_then : above_first)(5000 + i * 16);
			(half ? then : first)[i] = ns_a_capture;
		}
		uint64_t start = now_ns();
		unsigned n = origin_work();
		work_us = (double)(now_ns() - start) / n / 1000;
		origin_end_sweep();
	}
	printf("%s\n", (const char *)what);
	report("  copied, 8 KiB, into fresh memory", median(first, N_MISSES), "ns");
	report("  copied, 8 KiB", median(then, N_MISSES), "ns");
	report("  unwound by the unwinding thread", work_us, "us");
	return NULL;
}

int main(void)
{
	pthread_t thread;

	guard_start();
	guard_has_filter = false;
	origin_start(32, true);
	origin_allocate();
	recognised();
	new_thread();
	copied("main thread:");
	pthread_create(&thread, NULL, copied, "another thread:");
	pthread_join(thread, NULL);
	return 0;
}
