/* The program that run is asked to start: where it is, and whether our library can be
 * preloaded into it. */
#ifndef SOCKLEAK_TARGET_H
#define SOCKLEAK_TARGET_H

#include "findings/unwatched.h"

#include <stdbool.h>

/* The file that execvp(3) would run, by PATH if the name has no '/'.  The caller frees
 * it; NULL with errno as execvp would leave it (ENOENT, EACCES). */
char *target_find(const char *program);

struct target {
	char *refusal; /* owned; why nothing can be preloaded into it, as a sentence that
			  begins with a small letter; NULL = it can, as far as we see */
	enum unwatched_reason reason; /* with a refusal */
	char *asan; /* owned; "libasan.so.8" if it depends on it and so must have it
			  first; NULL = it does not */
};

/* Looks at the file, at the interpreter if it is a script, and at what env(1) runs. */
struct target target_inspect(const char *path);
void target_free(struct target *target);
/* The dynamic loader of glibc, by its name: it has none itself, and preloads into the
 * program that it is given. */
bool target_is_loader(const char *path);

#endif
