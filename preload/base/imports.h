/* What the loaded objects import and export, read from their own tables: dlsym() takes
 * 850 instructions for each of fifty names, and a lock that a hook may not wait for. */
#ifndef SOCKLEAK_IMPORTS_H
#define SOCKLEAK_IMPORTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dl_phdr_info;

struct imports_name {
	const char *name;
	void *found;   /* the definition dlsym(RTLD_NEXT) would give; NULL = ask that */
	uint32_t hash; /* private, as is what follows */
	bool is_doubtful;
};

/* By the constructor: one walk through the loader's list, which notes the objects that
 * stand behind us.  Returns whether some object other than ours imports a call that makes
 * connections. */
bool imports_read(void);

/* Whether it found another copy of this library before us: it is the one that works. */
bool imports_we_are_second(void);

/* Whether liburing was loaded at the start: connections may come that no call shows. */
bool imports_has_rings(void);

/* Whether some object that was loaded at the start is CPython, or CRuby. */
bool imports_has_python(void);
bool imports_has_ruby(void);

/* Whether all that stand behind us were noted: then imports_find() takes no lock, makes
 * no call, and serves any thread at any time (what was there at the start is never
 * unloaded). Else it walks the loader's list again, and is for the constructor alone. */
bool imports_are_noted(void);
/* Fills in `found` for each of `names`. */
void imports_find(struct imports_name *names, size_t n_names);

/* The C library's own definition of one of its calls, after imports_read(); NULL = not
 * found.  A program may have a function of that name, which is none of the C library's
 * (on_exit(), for a button), and export it (-rdynamic); then what we import is bound to
 * that.  Takes no lock. */
void *imports_of_libc(const char *name);

/* The C library's own pthread_create(), but where it is a sanitizer's, whose runtime has
 * to see each thread.  That of a garbage collector would enter the thread among the
 * host's: it sends them signals, which ours has blocked, and waits for the answer. */
int imports_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			   void *(*run)(void *), void *argument);

/* Those by which programs, and libraries that are preloaded, stand in for the loader: they
 * answer for the caller that they know, keep a list of their own, or refuse what they do
 * not know. */
struct libc_own {
	void *(*dlsym)(void *handle, const char *name);
	void *(*dlopen)(const char *file, int mode);
	int (*dl_iterate_phdr)(int (*each)(struct dl_phdr_info *object, size_t bytes,
					   void *argument),
			       void *argument);
};
extern struct libc_own libc_own __attribute__((visibility("hidden")));

/* Of glibc 2.35, without a lock: where the object lies that an address is in; 0 = found.
 * What it fills in has no more than 128 bytes. */
struct imports_extent {
	uint64_t flags, start, end, others[13];
};
extern int imports_extent_of(void *address,
			     struct imports_extent *found) __asm__("_dl_find_object")
	__attribute__((weak));

/* Whether an address lies in our own object. */
bool imports_is_ours(const void *address);

#endif
