/* Calls that make a child: from then on what is open here may have another holder, and a
 * child that runs in our memory must be told from us.  Children of fork() are told by its
 * handlers (fork.c); of an instruction of the host's own nobody tells us. */
#include "hooks/hooks.h"

#include <errno.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

/* Before the child is made, for what other threads close meanwhile, and after it, for
 * what they opened meanwhile. */
static void note_child(void)
{
	if (start_hooks_are_on && !guard_is_vfork_child)
		fd_table_fork_prepare();
}

static bool is_in_our_memory(unsigned long flags)
{
	return (flags & (CLONE_VM | CLONE_THREAD)) == CLONE_VM;
}

/* The caller waits until the child has gone to a memory of its own, and the child finds
 * the caller's thread-local words.  What it does to descriptors is its own affair. */
static bool is_as_vfork(unsigned long flags)
{
	return (flags & (CLONE_VFORK | CLONE_SETTLS | CLONE_FILES)) == CLONE_VFORK;
}

static void note_memory_is_shared(bool with_files)
{
	if (!with_files)
		guard_has_other_files = true;
	guard_shares_memory = true;
}

/* ---- vfork ---- */

/* The child returns to our caller first and runs on the same stack; so the call cannot be
 * made from within a function.  We make it as glibc does: the address to return to waits
 * in a register.  These two run before it, and after it in the child and in the parent;
 * `was` is what the first one returned. */
bool children_vfork_begins(void);
long children_vfork_returns(long result, bool was);

__attribute__((used)) bool children_vfork_begins(void)
{
	note_child();
	return guard_is_vfork_child;
}

__attribute__((used)) long children_vfork_returns(long result, bool was)
{
	guard_is_vfork_child = result == 0 || was;
	if (result > 0)
		note_child();
	if (result >= 0)
		return result;
	errno = (int)-result;
	return -1;
}

#define STRING(text)  STRING_(text)
#define STRING_(text) #text
/* clang-format off */
#if defined __x86_64__
/* The child leaves by a jump: its caller's shadow stack, where there is one, is the
 * parent's, who is to find the address to return to. */
__asm__(".text\n\t"
	".globl vfork, __vfork\n\t"
	".type vfork, @function\n\t"
	".type __vfork, @function\n"
	"vfork:\n"
	"__vfork:\n\t"
	".cfi_startproc\n\t"
	"endbr64\n\t"
	"subq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	"call children_vfork_begins\n\t"
	"addq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	"movzbl %al, %esi\n\t"
	"popq %rdi\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	".cfi_register %rip, %rdi\n\t"
	"movl $" STRING(SYS_vfork) ", %eax\n\t"
	"syscall\n\t"
	"pushq %rdi\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	".cfi_offset %rip, -8\n\t"
	"movq %rax, %rdi\n\t"
	"subq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset 8\n\t"
	"call children_vfork_returns\n\t"
	"addq $8, %rsp\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	"testl %eax, %eax\n\t"
	"jz 1f\n\t"
	"ret\n"
	"1:\tpopq %rdi\n\t"
	".cfi_adjust_cfa_offset -8\n\t"
	".cfi_register %rip, %rdi\n\t"
	"jmp *%rdi\n\t"
	".cfi_endproc\n\t"
	".size vfork, .-vfork\n\t"
	".size __vfork, .-__vfork\n");
#else
#define VFORK_FLAGS 0x4111 /* CLONE_VFORK | CLONE_VM | SIGCHLD */
__asm__(".text\n\t"
	".p2align 2\n\t"
	".globl vfork, __vfork\n\t"
	".type vfork, %function\n\t"
	".type __vfork, %function\n"
	"vfork:\n"
	"__vfork:\n\t"
	".cfi_startproc\n\t"
	"hint 34\n\t" /* bti c */
	"stp x29, x30, [sp, #-16]!\n\t"
	"mov x29, sp\n\t"
	"bl children_vfork_begins\n\t"
	"ldp x29, x30, [sp], #16\n\t"
	"and w9, w0, #1\n\t"
	"mov x0, #" STRING(VFORK_FLAGS) "\n\t"
	"mov x1, #0\n\t" /* the same stack */
	"mov x8, #" STRING(SYS_clone) "\n\t"
	"svc #0\n\t"
	"mov w1, w9\n\t"
	"stp x29, x30, [sp, #-16]!\n\t"
	"mov x29, sp\n\t"
	"bl children_vfork_returns\n\t"
	"ldp x29, x30, [sp], #16\n\t"
	"ret\n\t"
	".cfi_endproc\n\t"
	".size vfork, .-vfork\n\t"
	".size __vfork, .-__vfork\n");
#endif
/* clang-format on */

/* ---- clone, and vfork and clone by number ---- */

/* Where the child does not run as one of vfork() does there is no telling when it ends,
 * and whose thread-local words it finds. */
static void before_clone(unsigned long flags)
{
	if (flags & CLONE_THREAD)
		return;
	note_child();
	if (is_in_our_memory(flags) && !is_as_vfork(flags))
		note_memory_is_shared(flags & CLONE_FILES);
}

/* The last three are read as the C library's clone() reads them, whether they were given
 * or not: what is no argument is a word of the caller's frame. */
#define CLONE(name)                                                                      \
	__attribute__((no_sanitize_address)) EXPORT int name(                            \
		int (*function)(void *), void *stack, int flags, void *argument, ...)    \
	{                                                                                \
		unsigned long bits = (unsigned)flags;                                    \
		bool was = guard_is_vfork_child;                                         \
		void *words[3];                                                          \
		va_list arguments;                                                       \
                                                                                         \
		va_start(arguments, argument);                                           \
		for (int i = 0; i < 3; i++)                                              \
			words[i] = va_arg(arguments, void *);                            \
		va_end(arguments);                                                       \
		before_clone(bits);                                                      \
		if (is_in_our_memory(bits) && is_as_vfork(bits))                         \
			guard_is_vfork_child = true;                                     \
		int pid = next.name(function, stack, flags, argument, words[0],          \
				    words[1], words[2]);                                 \
		guard_is_vfork_child = was;                                              \
		if (!(bits & CLONE_THREAD))                                              \
			note_child();                                                    \
		return pid;                                                              \
	}
CLONE(clone)
CLONE(__clone)

/* The arguments of clone3 are in the host's memory, which may not be there. */
void before_child_by_number(long number, unsigned long flags)
{
	bool is_clone = number == SYS_clone;

	if (is_clone && (flags & CLONE_THREAD))
		return;
	note_child();
	if (is_clone ? (flags & CLONE_VM) != 0 : number == SYS_clone3)
		note_memory_is_shared(is_clone && (flags & CLONE_FILES));
#ifdef SYS_vfork
	if (number == SYS_vfork)
		note_memory_is_shared(false);
#endif
}

/* ---- by the C library's means ---- */

EXPORT pid_t _Fork(void)
{
	note_child();
	pid_t pid = next._Fork();
	if (pid > 0)
		note_child();
	return pid;
}

#define NOTED(call)                                                                      \
	({                                                                               \
		note_child();                                                            \
		__typeof__(call) noted_result = (call);                                  \
		note_child();                                                            \
		noted_result;                                                            \
	})

EXPORT int posix_spawn(pid_t *restrict pid, const char *restrict path,
		       const posix_spawn_file_actions_t *restrict actions,
		       const posix_spawnattr_t *restrict attributes, char *const argv[],
		       char *const envp[])
{
	pid_t child = 0, *at = pid ? pid : &child;
	int error = NOTED(next.posix_spawn(at, path, actions, attributes, argv, envp));

	if (error == 0)
		after_spawning(path, false, envp, *at);
	return error;
}

EXPORT int posix_spawnp(pid_t *restrict pid, const char *restrict file,
			const posix_spawn_file_actions_t *restrict actions,
			const posix_spawnattr_t *restrict attributes, char *const argv[],
			char *const envp[])
{
	pid_t child = 0, *at = pid ? pid : &child;
	int error = NOTED(next.posix_spawnp(at, file, actions, attributes, argv, envp));

	if (error == 0)
		after_spawning(file, true, envp, *at);
	return error;
}

EXPORT FILE *popen(const char *command, const char *type)
{
	FILE *stream = NOTED(next.popen(command, type));

	if (stream)
		after_shell();
	return stream;
}

EXPORT int system(const char *command)
{
	int status = NOTED(next.system(command));

	if (command && status != -1)
		after_shell();
	return status;
}

EXPORT int daemon(int nochdir, int noclose)
{
	start_ends_by_fork(start_hooks_are_on && !reentrancy_depth);
	int result = next.daemon(nochdir, noclose);
	start_ends_by_fork(false);
	return result;
}
