#ifndef COROUTINE_H
#define COROUTINE_H

#include "peer.h"

#include <ucontext.h>

/* The coroutine that runs, and who started it. */
static ucontext_t outside, inside;

/* Runs the body as a coroutine on that stack, until it returns or swaps back. */
static inline void on_stack(void *stack, size_t size, void (*body)(void))
{
	must(!getcontext(&inside));
	inside.uc_stack.ss_sp = stack;
	inside.uc_stack.ss_size = size;
	inside.uc_link = &outside;
	makecontext(&inside, body, 0);
	must(!swapcontext(&outside, &inside));
}

#endif
