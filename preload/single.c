/* See single.h. */
#include "single.h"

#include "arena.h"
#include "real.h"

#include <dlfcn.h>
#include <stdint.h>

bool single_may_be;
const unsigned *single_n_threads;
unsigned single_n_alone = 1;

/* Of glibc 2.35; what it finds has no more than 128 bytes. */
struct found {
	uint64_t flags, start, end, others[13];
};
extern int find_object(void *address, struct found *found) __asm__("_dl_find_object")
	__attribute__((weak));

void single_no_more(void)
{
	__atomic_store_n(&single_may_be, false, __ATOMIC_SEQ_CST);
}

AT_START void single_start(void)
{
	/* Those that hooks make themselves; another library that stands in for one of
	 * them is not passed by. */
	const void *calls[] = {(void *)real.read,  (void *)real.__read,
			       (void *)real.recv,  (void *)real.write,
			       (void *)real.send,  (void *)real.__write,
			       (void *)real.__send};
	const unsigned *found = dlsym(RTLD_DEFAULT, "__nptl_nthreads");
	struct found libc;

	dlerror();
	if (!found || !&find_object || find_object((void *)found, &libc) != 0)
		return;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		if ((uint64_t)(uintptr_t)calls[i] < libc.start ||
		    (uint64_t)(uintptr_t)calls[i] >= libc.end)
			return;
	single_n_threads = found;
	single_may_be = true;
}

void single_thread_comes(void)
{
	/* Two, before ours is counted, are two of the host's. */
	if (single_may_be && *single_n_threads != 1)
		single_no_more();
	__atomic_store_n(&single_n_alone, 2, __ATOMIC_SEQ_CST);
}

void single_thread_goes(void)
{
	__atomic_store_n(&single_n_alone, 1, __ATOMIC_SEQ_CST);
}
