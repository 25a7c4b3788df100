/* What the loaded objects import and export, read from their own tables: a start asks for
 * fifty names, and dlsym() takes 850 instructions for each.  Constructor only. */
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

/* Fills in `found` for each of `names`.  Returns whether some object other than ours
 * imports a call that makes connections. */
bool objects_read(struct objects_name *names, size_t n_names);

/* Whether an address lies in our own object. */
bool objects_is_ours(const void *address);

#endif
