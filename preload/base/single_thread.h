/* A host of one thread stays on the C library's short way, although our helper is a
 * second thread.  From the first pthread_create on glibc takes 49 instructions more in
 * each call that may be cancelled, and a return to us after each call costs as much as
 * they do.  In a process where no other thread of the host's is, nobody can cancel such a
 * call but the caller before it, by pthread_cancel(), which we see; so hooks make the
 * system call that glibc would make in a process of one thread. */
#ifndef SOCKLEAK_SINGLE_THREAD_H
#define SOCKLEAK_SINGLE_THREAD_H

#include "base/unchecked.h"

#include <stdbool.h>

/* How many threads glibc counts (it exports that for debuggers), and how many that is for
 * a host of one: 1, or 2 with ours; SINGLE_NEVER, which no count is, where it is not
 * known or does not matter any more. */
extern const unsigned *single_n_threads __attribute__((visibility("hidden")));
extern unsigned single_n_alone __attribute__((visibility("hidden")));
#define SINGLE_NEVER (~0U)

/* Plain loads: a thread that is alone wrote these itself.  "Rare" keeps what a host with
 * threads needs on the stack out of the way of a host of one. */
static inline UNCHECKED bool host_is_single_threaded(void)
{
	return __builtin_expect(*single_n_threads == single_n_alone, 0);
}

/* A thread is to be cancelled: from now on the host does not count as single-threaded.
 * Any thread, any signal. */
void single_no_more(void);

/* By the constructor, after next_start().  Without that count, or where the next
 * definition of one of the calls is not the C library's, no host counts as
 * single-threaded. */
void single_start(void);

/* Before our thread is made; before it ends, and in a child that has none.  Any thread.
 */
void single_thread_comes(void);
void single_thread_goes(void);

#endif
