/* See single_thread.h. */
#include "base/single_thread.h"

#include "base/imports.h"
#include "base/next.h"
#include "base/sections.h"

#include <dlfcn.h>
#include <stdint.h>

static const unsigned not_known;
const unsigned *single_n_threads = &not_known;
unsigned single_n_alone = SINGLE_NEVER; /* atomic */

void single_no_more(void)
{
	__atomic_store_n(&single_n_alone, SINGLE_NEVER, __ATOMIC_SEQ_CST);
}

AT_START void single_start(void)
{
	/* Those that hooks make themselves; another library that stands in for one of
	 * them is not passed by. */
	const void *calls[] = {
		(void *)next.read,   (void *)next.__read,  (void *)next.recv,
		(void *)next.write,  (void *)next.send,    (void *)next.__write,
		(void *)next.__send, (void *)next.close,   (void *)next.__close,
		(void *)next.accept, (void *)next.accept4, (void *)next.connect,
		(void *)next.readv,  (void *)next.writev,  (void *)next.recvfrom,
		(void *)next.sendto, (void *)next.recvmsg, (void *)next.sendmsg};
	const unsigned *found = libc_own.dlsym(RTLD_DEFAULT, "__nptl_nthreads");
	struct imports_extent libc;

	dlerror();
	if (!found || !&imports_extent_of || imports_extent_of((void *)found, &libc) != 0)
		return;
	for (unsigned i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		uint64_t at = (uint64_t)(uintptr_t)calls[i];
		/* If all of them are fallbacks of ours, the process looks definitions up
		 * late; if one is, the C library lacks that call (__send on aarch64). */
		bool is_lacking = i > 0 && imports_is_ours(calls[i]);

		if (!is_lacking && (at < libc.start || at >= libc.end))
			return;
	}
	single_n_threads = found;
	single_n_alone = 1;
}

/* SINGLE_NEVER stays. */
static void change_alone(unsigned from, unsigned to)
{
	__atomic_compare_exchange_n(&single_n_alone, &from, to, false, __ATOMIC_SEQ_CST,
				    __ATOMIC_SEQ_CST);
}

void single_thread_comes(void)
{
	/* In a host of two threads two would be counted, but none of them would be ours
	 * until it is made. */
	if (*single_n_threads == 1)
		change_alone(1, 2);
}

void single_thread_goes(void)
{
	change_alone(2, 1);
}
