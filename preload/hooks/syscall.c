/* The calls of the other files, made by number through syscall(2). */
#include "hooks/hooks.h"

#include "base/clock.h"

#include "base/single_thread.h"
#include "scan/helper.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/syscall.h>

/* SYS_exit of main(): the process goes on without a leader, and without us; or it was the
 * last thread. */
static int leaving_thread(int status)
{
	if (guard_sys(SYS_gettid) != guard_pid)
		return status;
	if (host_is_single_threaded())
		status = report_before_exit(status);
	helper_retire();
	return status;
}

/* One call by number. */
struct numbered {
	long number, a, b, c, d, e;
	struct fd_entry *was; /* not zeroed: most calls need neither */
	struct accepting *one;
	bool had, has_entered, leaves;
};

/* Of seccomp(2) and prctl(2). */
static bool enters_sandbox(const struct numbered *call)
{
	unsigned long filter = (unsigned long)call->c;

	if (call->number == SYS_prctl)
		return call->a == PR_SET_SECCOMP &&
		       installs_filter((unsigned long)call->b, filter);
	return (call->a == SECCOMP_SET_MODE_FILTER &&
		installs_filter(SECCOMP_MODE_FILTER, filter)) ||
	       (call->a == SECCOMP_SET_MODE_STRICT &&
		installs_filter(SECCOMP_MODE_STRICT, filter));
}

static void before_numbered(struct numbered *call)
{
	switch (call->number) {
	case SYS_accept:
	case SYS_accept4:
		begin_accept(call->one, (int)call->a, (struct sockaddr *)call->b,
			     (socklen_t *)call->c);
		call->b = (long)call->one->address;
		call->c = (long)call->one->length;
		break;
	case SYS_shutdown:
		before_shutdown((int)call->a, (int)call->b);
		break;
	case SYS_close:
		ending((int)call->a);
		break;
	case SYS_close_range:
		call->leaves = begin_close_range((unsigned)call->a, (unsigned)call->b,
						 (unsigned)call->c);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		call->had = begin_replacing((int)call->a, (int)call->b, call->was);
		break;
	case SYS_exit_group:
		call->a = report_before_exit((int)call->a);
		break;
	case SYS_exit:
		call->a = leaving_thread((int)call->a);
		break;
	case SYS_seccomp:
	case SYS_prctl:
		if (call->number == SYS_prctl && call->a == PR_SET_TSC)
			clock_before_counter_is_denied();
		if (enters_sandbox(call))
			call->has_entered = entering_sandbox();
		break;
	case SYS_chroot:
	case SYS_pivot_root:
	case SYS_landlock_restrict_self:
	case SYS_setns:
		make_ledger_while_it_can();
		break;
	case SYS_unshare:
		if (call->a & CLONE_NEWNS)
			make_ledger_while_it_can();
		call->leaves = (call->a & CLONE_FILES) && leaving_files();
		break;
	default:
		break;
	}
}

static void after_numbered(struct numbered *call, long result)
{
	switch (call->number) {
	case SYS_socket:
		after_socket((int)result, (int)call->a, (int)call->b, (int)call->c);
		break;
	case SYS_accept:
	case SYS_accept4:
		end_accept(call->one, (int)result,
			   call->number == SYS_accept ? SL_CALL_accept : SL_CALL_accept4);
		break;
	case SYS_connect:
		after_connect((int)call->a, (int)result, (const struct sockaddr *)call->b,
			      (socklen_t)call->c);
		break;
	case SYS_shutdown:
		after_shutdown((int)call->a, (int)call->b, (int)result);
		break;
	case SYS_getsockopt:
		after_getsockopt((int)call->a, (int)result, (int)call->b, (int)call->c,
				 (const void *)call->d, (const socklen_t *)call->e);
		break;
	case SYS_dup:
		copied((int)call->a, (int)result);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		end_replacing((int)call->a, (int)call->b, (int)result, call->had,
			      call->was);
		break;
	case SYS_fcntl:
		after_fcntl((int)call->a, (int)call->b, (int)result);
		break;
	case SYS_pidfd_getfd:
		if (result >= 0)
			received((int)result, SL_CALL_pidfd_getfd);
		break;
	default:
		break;
	}
}

static __attribute__((noinline)) long make_numbered(long number, long a, long b, long c,
						    long d, long e, long f)
{
	struct fd_entry was;
	struct accepting one;
	struct numbered call = {
		number, a, b, c, d, e, &was, &one, false, false, false,
	};

	before_numbered(&call);
	if (changes_rights(number, a))
		stop_helper_for_credentials();
	long result = after_entering(
		call.has_entered, next.syscall(number, call.a, call.b, call.c, d, e, f));
	after_leaving_files(call.leaves, result);
	after_numbered(&call, result);
	return result;
}

/* libuv closes by number, since close() is a cancellation point: so may no call be that
 * is made here. */
long hooks_syscall(long number, long a, long b, long c, long d, long e, long f);
long hooks_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	return number == SYS_execve || number == SYS_execveat
		       ? execute_by_number(number, a, b, c, d, e, f)
		       : make_numbered(number, a, b, c, d, e, f);
}

/* A tail jump for all other numbers, so that no frame of ours stands below calls that
 * return twice or on another stack.  `next` and the functions are hidden: no PLT. */
__attribute__((used)) static void name_offset(void)
{
	__asm__ volatile(
		".set next_syscall_at, %c0" ::"i"(offsetof(struct next_calls, syscall)));
}

#define STRING(text)  STRING_(text)
#define STRING_(text) #text
/* clang-format off */
#define ALL_WATCHED                                                                      \
	WATCHED(SYS_close)                                                               \
	WATCHED(SYS_accept4)                                                             \
	WATCHED(SYS_accept)                                                              \
	WATCHED(SYS_socket)                                                              \
	WATCHED(SYS_connect)                                                             \
	WATCHED(SYS_shutdown)                                                            \
	WATCHED(SYS_getsockopt)                                                          \
	WATCHED(SYS_dup)                                                                 \
	WATCHED(SYS_dup3)                                                                \
	WATCHED(SYS_fcntl)                                                               \
	WATCHED(SYS_close_range)                                                         \
	WATCHED(SYS_pidfd_getfd)                                                         \
	WATCHED(SYS_exit)                                                                \
	WATCHED(SYS_exit_group)                                                          \
	WATCHED(SYS_seccomp)                                                             \
	WATCHED(SYS_prctl)                                                               \
	WATCHED(SYS_capset)                                                              \
	WATCHED(SYS_unshare)                                                             \
	WATCHED(SYS_setns)                                                               \
	WATCHED(SYS_setuid)                                                              \
	WATCHED(SYS_setgid)                                                              \
	WATCHED(SYS_setreuid)                                                            \
	WATCHED(SYS_setregid)                                                            \
	WATCHED(SYS_setresuid)                                                           \
	WATCHED(SYS_setresgid)                                                           \
	WATCHED(SYS_setfsuid)                                                            \
	WATCHED(SYS_setfsgid)                                                            \
	WATCHED(SYS_setgroups)                                                           \
	WATCHED(SYS_execve)                                                              \
	WATCHED(SYS_execveat)                                                            \
	WATCHED(SYS_chroot)                                                              \
	WATCHED(SYS_pivot_root)                                                          \
	WATCHED(446) /* landlock_restrict_self */
/* Their children may run in our memory, and on our stack. */
#define ALL_MAKING_CHILDREN                                                              \
	MAKES_CHILD(SYS_clone)                                                           \
	MAKES_CHILD(SYS_clone3)
#if defined __x86_64__
#define WATCHED(number) "cmpq $" STRING(number) ", %rdi\n\tje 1f\n\t"
#define MAKES_CHILD(number) "cmpq $" STRING(number) ", %rdi\n\tje 2f\n\t"
__asm__(".text\n\t"
	".globl syscall\n\t"
	".type syscall, @function\n"
	"syscall:\n\t"
	".cfi_startproc\n\t"
	"endbr64\n\t"
	ALL_WATCHED
	WATCHED(SYS_dup2)
	ALL_MAKING_CHILDREN
	MAKES_CHILD(SYS_fork)
	MAKES_CHILD(SYS_vfork)
	"jmp *next+next_syscall_at(%rip)\n"
	/* The seventh word of a system call stands on the caller's stack.  Captures find
	 * the hook's caller by frame pointers: all of ours have one. */
	"1:\tpushq %rbp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	".cfi_rel_offset %rbp, 0\n\t"
	"movq %rsp, %rbp\n\t"
	".cfi_def_cfa_register %rbp\n\t"
	"subq $8, %rsp\n\t"
	"pushq 16(%rbp)\n\t"
	"call hooks_syscall\n\t"
	"leave\n\t"
	".cfi_def_cfa %rsp, 8\n\t"
	".cfi_restore %rbp\n\t"
	"ret\n\t"
	".cfi_def_cfa %rsp, 8\n"
	"2:\tpushq %rdi\n\t"
	"pushq %rsi\n\t"
	"pushq %rdx\n\t"
	"pushq %rcx\n\t"
	"pushq %r8\n\t"
	"pushq %r9\n\t"
	"subq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset 56\n\t"
	"call before_child_by_number\n\t"
	"addq $8, %rsp\n\t"
	"popq %r9\n\t"
	"popq %r8\n\t"
	"popq %rcx\n\t"
	"popq %rdx\n\t"
	"popq %rsi\n\t"
	"popq %rdi\n\t"
	".cfi_adjust_cfa_offset -56\n\t"
	"jmp *next+next_syscall_at(%rip)\n\t"
	".cfi_endproc\n\t"
	".size syscall, .-syscall\n");
#else
/* All seven words are in registers, as hooks_syscall() takes them. */
#define WATCHED(number) "cmp x0, #" STRING(number) "\n\tb.eq hooks_syscall\n\t"
#define MAKES_CHILD(number) "cmp x0, #" STRING(number) "\n\tb.eq 2f\n\t"
__asm__(".text\n\t"
	".p2align 2\n\t"
	".globl syscall\n\t"
	".type syscall, %function\n"
	"syscall:\n\t"
	".cfi_startproc\n\t"
	"hint 34\n\t" /* bti c */
	ALL_WATCHED
	ALL_MAKING_CHILDREN
	"1:\tadrp x16, next+next_syscall_at\n\t"
	"ldr x16, [x16, :lo12:next+next_syscall_at]\n\t"
	"br x16\n"
	"2:\tstp x29, x30, [sp, #-80]!\n\t"
	".cfi_def_cfa_offset 80\n\t"
	"mov x29, sp\n\t"
	"stp x0, x1, [sp, #16]\n\t"
	"stp x2, x3, [sp, #32]\n\t"
	"stp x4, x5, [sp, #48]\n\t"
	"str x6, [sp, #64]\n\t"
	"bl before_child_by_number\n\t"
	"ldp x0, x1, [sp, #16]\n\t"
	"ldp x2, x3, [sp, #32]\n\t"
	"ldp x4, x5, [sp, #48]\n\t"
	"ldr x6, [sp, #64]\n\t"
	"ldp x29, x30, [sp], #80\n\t"
	".cfi_def_cfa_offset 0\n\t"
	"b 1b\n\t"
	".cfi_endproc\n\t"
	".size syscall, .-syscall\n");
#endif
/* clang-format on */
