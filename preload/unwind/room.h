/* Room on the stack for work that takes more than a hook may: starting the helper, a scan
 * by a hook, the final report.  A coroutine's or a signal's stack may have a page in all,
 * and nothing that tells where it ends. */
#ifndef SOCKLEAK_ROOM_H
#define SOCKLEAK_ROOM_H

#include <stdbool.h>

/* Runs work(argument) in this thread, on a stack of ours: the stacks of other coroutines
 * may lie below, also within a thread's own stack.  Where there is no memory for it, it
 * runs in place if the thread's own stack has ROOM_BYTES left.  The caller has blocked
 * all signals: a garbage collector's handler reads from the stack pointer to the end of
 * the thread's own stack.  false = nothing was done. */
bool room_run(void (*work)(void *argument), void *argument);
/* The same where signals are not blocked and no coroutine runs any more: in place, if the
 * thread's own stack has ROOM_BYTES left. */
bool room_run_at_end(void (*work)(void *argument), void *argument);

/* This thread is on a stack of ours: what stands on its own is not seen from here. */
extern __thread bool room_is_elsewhere __attribute__((tls_model("initial-exec")));

#endif
