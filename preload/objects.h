/* What the loaded objects import and export, read from their own tables: dlsym() takes
 * 850 instructions for each of fifty names, and a lock that a hook may not wait for. */
#ifndef SOCKLEAK_OBJECTS_H
#define SOCKLEAK_OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct objects_name {
	const char *name;
	void *found;   /* the definition dlsym(RTLD_NEXT) would give; NULL = ask that */
	uint32_t hash; /* private, as is what follows */
	bool is_doubtful;
};

/* By the constructor: one walk through the loader's list, which notes the objects that
 * stand behind us.  Returns whether some object other than ours imports a call that makes
 * connections. */
bool objects_read(void);

/* Whether all that stand behind us were noted: then objects_find() takes no lock, makes
 * no call, and serves any thread at any time (what was there at the start is never
 * unloaded). Else it walks the loader's list again, and is for the constructor alone. */
bool objects_are_noted(void);
/* Fills in `found` for each of `names`. */
void objects_find(struct objects_name *names, size_t n_names);

/* Of glibc 2.35, without a lock: where the object lies that an address is in; 0 = found.
 * What it fills in has no more than 128 bytes. */
struct objects_extent {
	uint64_t flags, start, end, others[13];
};
extern int objects_extent_of(void *address,
			     struct objects_extent *found) __asm__("_dl_find_object")
	__attribute__((weak));

/* Whether an address lies in our own object. */
bool objects_is_ours(const void *address);

#endif
