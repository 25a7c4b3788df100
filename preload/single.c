/* See single.h. */
#include "single.h"

#include "arena.h"
#include "objects.h"
#include "real.h"

#include <dlfcn.h>
#include <stdint.h>

bool single_may_be;
const unsigned *single_n_threads;
unsigned single_n_alone = 1;

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
	struct objects_extent libc;

	dlerror();
	if (!found || !&objects_extent_of || objects_extent_of((void *)found, &libc) != 0)
		return;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		uint64_t at = (uint64_t)(uintptr_t)calls[i];
		/* Stand-ins for all are of a process that looks them up late; for one, of
		 * a C library that lacks it (__send on aarch64). */
		bool is_lacking = i > 0 && objects_is_ours(calls[i]);

		if (!is_lacking && (at < libc.start || at >= libc.end))
			return;
	}
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
