/* See room.h. */
#include "unwind/room.h"

#include "base/arena.h"
#include "base/guard.h"
#include "base/memcheck.h"
#include "base/own_memory.h"
#include "base/page.h"
#include "unwind/stack.h"

#include <stdint.h>

#define ROOM_BYTES  (16u << 10)  /* libunwind takes 10 KiB; the C library's malloc, 3 */
#define STACK_BYTES (256u << 10) /* ours: a handler of the host's may run on top */

__thread bool room_is_elsewhere;

/* Calls work(argument) with the stack pointer at `top`, a multiple of 16.  The frame
 * pointer leads back to the caller, so that the stack can be unwound. */
void room_switch(void (*work)(void *argument), void *argument, char *top);
#if defined __x86_64__
__asm__(".text\n\t"
	".type room_switch, @function\n"
	"room_switch:\n\t"
	".cfi_startproc\n\t"
	"endbr64\n\t"
	"pushq %rbp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	".cfi_rel_offset %rbp, 0\n\t"
	"movq %rsp, %rbp\n\t"
	".cfi_def_cfa_register %rbp\n\t"
	"movq %rdx, %rsp\n\t"
	"movq %rdi, %rax\n\t"
	"movq %rsi, %rdi\n\t"
	"call *%rax\n\t"
	"leave\n\t"
	".cfi_def_cfa %rsp, 8\n\t"
	".cfi_restore %rbp\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size room_switch, .-room_switch\n");
#else
__asm__(".text\n\t"
	".p2align 2\n\t"
	".type room_switch, %function\n"
	"room_switch:\n\t"
	".cfi_startproc\n\t"
	"hint 34\n\t" /* bti c */
	"stp x29, x30, [sp, #-16]!\n\t"
	".cfi_def_cfa_offset 16\n\t"
	".cfi_offset x29, -16\n\t"
	".cfi_offset x30, -8\n\t"
	"mov x29, sp\n\t"
	".cfi_def_cfa_register x29\n\t"
	"mov sp, x2\n\t"
	"mov x9, x0\n\t"
	"mov x0, x1\n\t"
	"blr x9\n\t"
	"mov sp, x29\n\t"
	"ldp x29, x30, [sp], #16\n\t"
	".cfi_def_cfa sp, 0\n\t"
	".cfi_restore x29\n\t"
	".cfi_restore x30\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size room_switch, .-room_switch\n");
#endif

static bool has_room(void)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);

	if (!stack_is_own(here, ROOM_BYTES))
		return false;
	for (uint64_t at = here - ROOM_BYTES; at < here; at += PAGE_BYTES)
		if (!own_memory_is_there(at))
			return false;
	return true;
}

static bool run_here(void (*work)(void *argument), void *argument)
{
	if (!has_room())
		return false;
	work(argument);
	return true;
}

static bool run_elsewhere(void (*work)(void *argument), void *argument)
{
	char *stack = arena_map(STACK_BYTES);

	if (!stack)
		return false;
	bool was_elsewhere = room_is_elsewhere;
	room_is_elsewhere = true;
	room_switch(work, argument, stack + STACK_BYTES);
	room_is_elsewhere = was_elsewhere;
	arena_unmap(stack, STACK_BYTES);
	return true;
}

/* ThreadSanitizer does not see that a stack which is mapped anew is another one. */
#if defined __SANITIZE_THREAD__
#define STACKS_ARE_TOLD_APART false
#else
#define STACKS_ARE_TOLD_APART true
#endif

/* memcheck warns the user of a thread that changes its stack. */
bool room_run(void (*work)(void *argument), void *argument)
{
	return ((memcheck_is_there || !STACKS_ARE_TOLD_APART) &&
		run_here(work, argument)) ||
	       run_elsewhere(work, argument) || run_here(work, argument);
}

bool room_run_at_end(void (*work)(void *argument), void *argument)
{
	return run_here(work, argument) || run_elsewhere(work, argument);
}
