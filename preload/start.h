/* What hooks need of the order of things (start.c). */
#ifndef SOCKLEAK_START_H
#define SOCKLEAK_START_H

#include <stdbool.h>
#include <stdint.h>

/* false until the constructor has finished, and for ever if it failed: then hooks only
 * call the next definition. */
extern bool start_hooks_are_on __attribute__((visibility("hidden")));
/* What a hook does after a call that moved data, or may have; most often nothing. */
enum start_on_use {
	START_HELPER = 1, /* connections were inherited, and no scan covers them yet: the
			   * first use of one starts the helper */
	START_NOTES_USES = 2, /* uses=yes: set by the constructor, for ever */
};
extern uint8_t start_on_use __attribute__((visibility("hidden")));

static inline void start_await_connection(bool is_awaited)
{
	uint8_t kept =
		__atomic_load_n(&start_on_use, __ATOMIC_RELAXED) & START_NOTES_USES;

	__atomic_store_n(&start_on_use, kept | (is_awaited ? START_HELPER : 0),
			 __ATOMIC_RELAXED);
}

/* A real child noticed that it runs on a copy of our memory (fork's handler did not run:
 * _Fork, raw clone): it begins its own tracking state. */
void start_child(void);

/* _exit was called, maybe on top of a signal handler: the report, as at exit.  Returns
 * the status to end with. */
int start_last_words(int status);

/* The status that this thread passed to quick_exit(), which does not pass it to its
 * handlers. */
extern __thread int end_quick_status __attribute__((tls_model("initial-exec")));

/* The fork that this thread makes next is the end of the parent: daemon(3) ends it by a
 * call inside the C library, which no hook can intercept. */
void start_ends_by_fork(bool ends);

/* The helper was stopped for a fork, which is over; starts it again. */
extern _Atomic bool fork_helper_returns;
void fork_return_helper(void);

/* The process has a socket: finds out what only a process with sockets needs to know.
 * Later calls do nothing.  Does nothing either in a child that may not write in our
 * tracking state. */
void start_first_socket(void);
extern bool start_has_socket;
/* The program may have changed its root or what is mounted: where the ledger's directory
 * is not to be found, that is why. */
extern bool start_may_have_moved;
/* The program, or a library that it loads at its start, imports calls that make
 * connections. */
extern bool start_imports_connections;

/* The first connection of the process, or the first one since a fork. */
void start_connection(void);

#endif
