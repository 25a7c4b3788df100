/* Processes whose sockets were not recorded, and why: a report must not say that they
 * have no leaks. */
#ifndef SOCKLEAK_UNWATCHED_H
#define SOCKLEAK_UNWATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum unwatched_reason {
	UNWATCHED_STATIC,       /* no loader that could preload */
	UNWATCHED_GO,           /* makes its system calls itself */
	UNWATCHED_RIGHTS,       /* setuid and the like: the loader ignores LD_PRELOAD */
	UNWATCHED_ARCHITECTURE, /* the library is for another processor or word size */
	UNWATCHED_LIBC,         /* another C library than glibc */
	UNWATCHED_ENVIRONMENT,  /* it was started without our LD_PRELOAD */
	UNWATCHED_ELSEWHERE,    /* the library is there, and not with our options */
	UNWATCHED_NOT_LOADED,   /* its loader did not find the library */
	UNWATCHED_NO_LEDGER,    /* the library is there and could keep no ledger */
	UNWATCHED_ENDED_FIRST,  /* ended while its ledger was made */
	UNWATCHED_FILTER,       /* laid a seccomp filter upon itself */
	UNWATCHED_LEFT_OUT,     /* the user wanted it so; not a program, but a remark */
	UNWATCHED_RUNNING,      /* still runs at the end of the report */
	UNWATCHED_N_REASONS
};

/* One word with hyphens, for machines: "static". */
const char *unwatched_name(enum unwatched_reason reason);
/* The reason of that name; false = there is none. */
bool unwatched_find(const char *name, enum unwatched_reason *reason);
/* The end of a sentence that begins with the program: "is statically linked, so ...". */
const char *unwatched_sentence(enum unwatched_reason reason);

struct unwatched {
	uint32_t pid;    /* the first; 0 = not known */
	const char *exe; /* NULL = not known */
	enum unwatched_reason reason;
	size_t n; /* processes of that program and reason */
};

#endif
