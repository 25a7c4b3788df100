/* Room on the stack for work that takes more than a hook may: starting the helper, a scan
 * by a hook, the final report.  A coroutine's or a signal's stack may have a page in all,
 * and nothing that tells where it ends. */
#ifndef SOCKLEAK_ROOM_H
#define SOCKLEAK_ROOM_H

#include <stdbool.h>

/* Runs work(argument) in this thread: where it stands, if that is certainly the thread's
 * own stack with ROOM_BYTES left, else on a stack of ours.  One system call, or three.
 * Any thread, any signal handler.  false = no memory; nothing was done. */
bool room_run(void (*work)(void *argument), void *argument);

/* This thread is on a stack of ours: what stands on its own is not seen from here. */
extern __thread bool room_is_elsewhere __attribute__((tls_model("initial-exec")));

#endif
