/* sockleak.h: asks libsockleak.so, for programs and test suites that want to know.
 *
 * Header only, C and C++.  Each function looks for the library's function of its name
 * once, by dlsym, and remembers the answer; afterwards it costs one relaxed load.  Where
 * the library is not preloaded it does nothing and returns 0.  Nothing needs to be
 * linked: dlsym itself is a weak reference, so that static executables build and run too.
 *
 *	#include "sockleak.h"
 *
 *	uint64_t mark = sockleak_mark();
 *	test_the_server();
 *	if (sockleak_check_since(mark, 500) > 0)
 *		fail("sockets were left open");
 *
 * Any thread may call any of them at any time, also while others open and close sockets.
 * None is for signal handlers: the first call of each goes through dlsym, and the checks
 * wait and print.  While a check scans, all signals are blocked in the thread that asks:
 * up to a second where another thread scans; not in the pauses of a drain.  errno is
 * left alone, but for sockleak_expect() and sockleak_note() that return -1. */
#ifndef SOCKLEAK_SOCKLEAK_H
#define SOCKLEAK_SOCKLEAK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef SOCKLEAK_LIBRARY /* only the library itself, which implements them */
#define SOCKLEAK_CALL(type, name, parameters)                                            \
	__attribute__((visibility("default"))) type name parameters;
#else
static void *sockleak_dlsym(void *handle, const char *name)
	__attribute__((weakref("dlsym")));

/* What is not there is remembered as the address of `found` itself. */
static inline void *sockleak_look(void **found, const char *name)
{
	void *at = sockleak_dlsym ? sockleak_dlsym(NULL /* RTLD_DEFAULT */, name) : NULL;

	if (!at)
		at = found;
	__atomic_store_n(found, at, __ATOMIC_RELAXED);
	return at;
}

/* Defines name_found(): the library's function, or NULL. */
#define SOCKLEAK_CALL(type, name, parameters)                                            \
	typedef type name##_function parameters;                                         \
	static inline name##_function *name##_found(void)                                \
	{                                                                                \
		static void *found;                                                      \
		void *at = __atomic_load_n(&found, __ATOMIC_RELAXED);                    \
		name##_function *function = NULL;                                        \
                                                                                         \
		if (!at)                                                                 \
			at = sockleak_look(&found, #name);                               \
		if (at != &found)                                                        \
			__builtin_memcpy(&function, &at, sizeof function);               \
		return function;                                                         \
	}
#endif

/* The library exports what the next lines name: the Makefile reads them. */
SOCKLEAK_CALL(int, sockleak_check, (void))
SOCKLEAK_CALL(uint64_t, sockleak_mark, (void))
SOCKLEAK_CALL(int, sockleak_check_since, (uint64_t mark, unsigned drain_ms))
SOCKLEAK_CALL(void, sockleak_name, (const char *text))
SOCKLEAK_CALL(int, sockleak_expect, (int fd))
SOCKLEAK_CALL(int, sockleak_note, (int fd, const char *text))
SOCKLEAK_CALL(size_t, sockleak_text, (char *buffer, size_t size))

#ifndef SOCKLEAK_LIBRARY
/* The number of sockets that are leaks now, or whose end of stream this program has read
 * and that it still holds.  Prints their places. */
static inline int sockleak_check(void)
{
	sockleak_check_function *check = sockleak_check_found();

	return check ? check() : 0;
}

/* A point in time for sockleak_check_since(); never 0 where the library is there. */
static inline uint64_t sockleak_mark(void)
{
	sockleak_mark_function *mark = sockleak_mark_found();

	return mark ? mark() : 0;
}

/* The number of sockets opened since `mark`, whether the program was told or not, whose
 * peer is gone and that are still held when `drain_ms` are over.  Scans again and again
 * until there are none: returns at once where nothing is left, at the latest after
 * `drain_ms`.  Prints their places. */
static inline int sockleak_check_since(uint64_t mark, unsigned drain_ms)
{
	sockleak_check_since_function *check = sockleak_check_since_found();

	return check ? check(mark, drain_ms) : 0;
}

/* The name of the running test, kept with every socket opened from now on by any thread.
 * The text is copied; NULL or "" ends the name.  The first 4,096 different names of a
 * process are kept; what is opened under a later one has no name. */
static inline void sockleak_name(const char *text)
{
	sockleak_name_function *name = sockleak_name_found();

	if (name)
		name(text);
}

/* This socket is meant to stay: it is never a leak, nor are its duplicates.  0, or -1
 * with errno ENOENT: not a socket the library tracks. */
static inline int sockleak_expect(int fd)
{
	sockleak_expect_function *expect = sockleak_expect_found();

	return expect ? expect(fd) : 0;
}

/* Where this socket comes from, in the program's own words: for runtimes whose stack the
 * library cannot read, and for what no stack tells (whose request, which pool).  Each
 * line of the text, of at most 32, is shown like a frame, before those of the call that
 * opened the socket; sockets with different notes are of different places, and
 * suppressions match it.  The text is copied.  A later note takes the place of the
 * earlier one; NULL or "" takes it away.  The first 4,096 different lines of a process
 * are kept; with others a note is none.  0, or -1 with errno ENOENT: not a socket the
 * library tracks. */
static inline int sockleak_note(int fd, const char *text)
{
	sockleak_note_function *note = sockleak_note_found();

	return note ? note(fd, text) : 0;
}

/* The places that the last check of this process printed, as it printed them: for the
 * message of a test that fails.  Copies as much as fits into `buffer` of `size` bytes,
 * terminated, and returns the length of the whole, at most 65,536 bytes; what a check
 * prints beyond is left out.  "" and 0 where the last check found nothing.  `buffer` may
 * be NULL where `size` is 0. */
static inline size_t sockleak_text(char *buffer, size_t size)
{
	sockleak_text_function *text = sockleak_text_found();

	if (!text && size)
		buffer[0] = 0;
	return text ? text(buffer, size) : 0;
}
#endif

#ifdef __cplusplus
}
#endif
#endif
