/* The frames of the language that an interpreter in this process runs: the C stack shows
 * the interpreter's own functions, and these frames show the program's.
 *
 * What a frame is (its code and its line) is taken in the hook: the frames that stand
 * there keep their code alive only until the hook returns.  The text of each code object
 * is copied when it is first met, and stays for ever.  A wrong guess yields no frames. */
#ifndef SOCKLEAK_LANGUAGES_H
#define SOCKLEAK_LANGUAGES_H

#include <stdbool.h>
#include <stdint.h>

/* As in ledger.h; 2 is a note there. */
enum language {
	LANGUAGE_NONE,
	LANGUAGE_PYTHON,
	LANGUAGE_JAVA = 3,
	LANGUAGE_JAVASCRIPT,
	LANGUAGE_RUBY
};

struct language_frame {
	uint8_t language; /* enum language */
	uint8_t reserved[3];
	uint32_t line;     /* 0 = the runtime knows none */
	uint32_t identity; /* of its code: see language_code() */
};

/* With the NUL.  What is longer loses the end of a function, the beginning of a path;
 * three dots stand there. */
#define LANGUAGE_FUNCTION_BYTES 256
#define LANGUAGE_FILE_BYTES     512

struct language_code {
	uint8_t language;
	/* As the language names them.  UTF-8, but for bytes of a path that were none. */
	const char *function, *file;
};

/* NULL = there is no such identity; they run from 1.  Equal identities have equal texts;
 * different ones may. */
const struct language_code *language_code(uint32_t identity);

/* A runtime was found, and is not distrusted.  Atomic. */
extern bool languages_has_runtime __attribute__((visibility("hidden")));

static inline bool languages_may_walk(void)
{
	return __builtin_expect(__atomic_load_n(&languages_has_runtime, __ATOMIC_RELAXED),
				0);
}

unsigned languages_walk(struct language_frame frames[], unsigned size);
/* In a hook: the frames of the calling thread, innermost first, `size` at most.  Returns
 * how many; 0 = there are none, or anything looks wrong.  Calls of the runtime only what
 * reads.  Never blocks, allocates from malloc, or touches errno; needs less than 1 KiB of
 * stack.  Any thread, any signal handler. */
static inline unsigned language_capture(struct language_frame frames[], unsigned size)
{
	return languages_may_walk() ? languages_walk(frames, size) : 0;
}

/* Looks for a runtime that it knows, among what was loaded at the start.  Once, by the
 * constructor, after imports_read().  `with_java`: HotSpot is one, too. */
void languages_look_for_runtime(bool with_java);
/* None was found then, and languages are wanted. */
bool languages_may_come(void);
/* By its name, the library at this path is one. */
bool languages_is_runtime(const char *path);
/* A runtime's library, or a module of C that it loads for programs. */
bool languages_is_part_of_runtime(const char *path);
/* The runtime is in a library that is not unloaded any more, given by dlopen()'s handle.
 * One thread at a time. */
void languages_take_runtime(void *library);

/* A runtime that was loaded at the start warns its user at a fork if the process has more
 * than one thread, and asks /proc for that: CPython from 3.12 on. */
extern bool languages_minds_threads __attribute__((visibility("hidden")));
/* Finds that out: by the constructor, after imports_read(). */
void languages_ask_about_threads(void);

/* Captures that gave no frames for want of memory. */
uint64_t languages_lost(void);

#endif
