/* Calls that make the process another program.  What is executed is looked at first
 * (base/program.h): if the library will not be in it, a short process would not be
 * noticed by `sockleak run`.  So a file is left for it (ledger/unwatched.c), which is
 * removed again if the call returns.  Without a ledger nothing is done.
 *
 * In the C library execl() and its like, execv(), system() and popen() call what no
 * library can stand in for; so those that return only when they fail are made of the
 * others here.  Of posix_spawn(), system() and popen() the parent tells, after the call:
 * the first returns 0 only if the program was executed.
 *
 * A child of vfork() does not write into its parent's tracking state: what is kept is on
 * its stack, or in a file. */
#include "hooks/hooks.h"

#include "base/own_memory.h"
#include "base/program.h"
#include "base/system_call.h"
#include "common/text.h"
#include "ledger/ledger_writer.h"

#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#define FD_PATH_BYTES 32

/* What is left by an exec in a child of vfork() stays in the parent's stack: no marks of
 * the address sanitizer. */
#define IS_LEFT __attribute__((no_sanitize_address))

static bool is_recording(void)
{
	return start_hooks_are_on && !guard_is_sandboxed && ledger_directory();
}

static __attribute__((noinline)) bool note(struct ledger_unwatched *made,
					   struct program *program,
					   char *const environment[], bool has_shell,
					   enum ledger_whose whose, pid_t child)
{
	const char *reason = program_refuses(program, environment, has_shell);
	bool is_noted = reason && ledger_note_unwatched(made, reason, (int)program->fd,
							whose, child);

	program_close(program);
	return is_noted;
}

/* `searches`: a path without a slash is looked for in PATH. */
static __attribute__((noinline)) bool note_path(struct ledger_unwatched *made,
						int directory, const char *path,
						bool searches, char *const environment[],
						enum ledger_whose whose, pid_t child)
{
	struct program program;
	bool is_open = searches && !strchr(path, '/')
			       ? program_search(&program, path)
			       : program_open(&program, directory, path);

	return is_open && note(made, &program, environment, searches, whose, child);
}

static __attribute__((noinline)) bool note_fd(struct ledger_unwatched *made, int fd,
					      char *const environment[])
{
	char path[FD_PATH_BYTES];
	struct text text = {path, sizeof(path) - 1, 0, false};

	if (fd < 0)
		return false;
	text_string(&text, "/proc/self/fd/");
	text_unsigned(&text, (uint64_t)fd);
	path[text.used] = '\0';
	return note_path(made, AT_FDCWD, path, false, environment, LEDGER_OWN, 0);
}

/* ---- in place of this program ---- */

/* What is to be taken back where the call returns. */
struct executing {
	struct ledger_unwatched made;
	bool is_noted, is_marked;
};

IS_LEFT static void end_executing(const struct executing *executing)
{
	if (executing->is_noted)
		ledger_withdraw_unwatched(&executing->made);
	if (executing->is_marked)
		ledger_end_executing();
}

/* Whether a file says so; `flags` of execveat(2). */
static bool note_program(struct ledger_unwatched *made, int directory, const char *path,
			 bool searches, char *const environment[], int flags)
{
	/* The path may be no address; the kernel reads the others. */
	if ((flags & AT_EMPTY_PATH) && own_memory_is_there((uint64_t)(uintptr_t)path) &&
	    !*path)
		return note_fd(made, directory, environment);
	return note_path(made, directory, path, searches, environment, LEDGER_OWN, 0);
}

IS_LEFT static void begin_executing(struct executing *executing, int directory,
				    const char *path, bool searches,
				    char *const environment[], int flags)
{
	if (!is_recording())
		return;
	executing->is_noted = note_program(&executing->made, directory, path, searches,
					   environment, flags);
	executing->is_marked = ledger_begin_executing();
}

IS_LEFT static int execute_path(const char *path, char *const argv[], char *const envp[])
{
	struct executing executing = {.is_noted = false};

	begin_executing(&executing, AT_FDCWD, path, false, envp, 0);
	int result = next.execve(path, argv, envp);
	end_executing(&executing);
	return result;
}

IS_LEFT static int execute_name(const char *file, char *const argv[], char *const envp[])
{
	struct executing executing = {.is_noted = false};

	begin_executing(&executing, AT_FDCWD, file, true, envp, 0);
	int result = next.execvpe(file, argv, envp);
	end_executing(&executing);
	return result;
}

EXPORT int execve(const char *path, char *const argv[], char *const envp[])
{
	return execute_path(path, argv, envp);
}

EXPORT int execv(const char *path, char *const argv[])
{
	return execute_path(path, argv, environ);
}

IS_LEFT EXPORT int execveat(int dirfd, const char *path, char *const argv[],
			    char *const envp[], int flags)
{
	struct executing executing = {.is_noted = false};

	begin_executing(&executing, dirfd, path, false, envp, flags);
	int result = next.execveat(dirfd, path, argv, envp, flags);
	end_executing(&executing);
	return result;
}

IS_LEFT __attribute__((noinline)) long execute_by_number(long number, long a, long b,
							 long c, long d, long e, long f)
{
	struct executing executing = {.is_noted = false};

	if (number == SYS_execve)
		begin_executing(&executing, AT_FDCWD, (const char *)a, false,
				(char *const *)c, 0);
	else
		begin_executing(&executing, (int)a, (const char *)b, false,
				(char *const *)d, (int)e);
	long result = next.syscall(number, a, b, c, d, e, f);
	end_executing(&executing);
	return result;
}

IS_LEFT EXPORT int fexecve(int fd, char *const argv[], char *const envp[])
{
	struct executing executing = {.is_noted = false};

	begin_executing(&executing, fd, "", false, envp, AT_EMPTY_PATH);
	int result = next.fexecve(fd, argv, envp);
	end_executing(&executing);
	return result;
}

EXPORT int execvpe(const char *file, char *const argv[], char *const envp[])
{
	return execute_name(file, argv, envp);
}

EXPORT int execvp(const char *file, char *const argv[])
{
	return execute_name(file, argv, environ);
}

/* The arguments become a list on the stack, as in the C library.  `list` is behind the
 * first of them; it is left at what follows the NULL. */
#define LISTED(first, list)                                                              \
	({                                                                               \
		va_list counted;                                                         \
		size_t n = 1;                                                            \
                                                                                         \
		va_copy(counted, list);                                                  \
		while (va_arg(counted, char *))                                          \
			n++;                                                             \
		va_end(counted);                                                         \
		char **listed = __builtin_alloca((n + 1) * sizeof(*listed));             \
		listed[0] = (char *)(uintptr_t)(first);                                  \
		for (size_t i = 1; i <= n; i++)                                          \
			listed[i] = va_arg(list, char *);                                \
		listed;                                                                  \
	})

IS_LEFT EXPORT int execl(const char *path, const char *argument, ...)
{
	va_list list;

	va_start(list, argument);
	char **arguments = LISTED(argument, list);
	va_end(list);
	return execute_path(path, arguments, environ);
}

IS_LEFT EXPORT int execlp(const char *file, const char *argument, ...)
{
	va_list list;

	va_start(list, argument);
	char **arguments = LISTED(argument, list);
	va_end(list);
	return execute_name(file, arguments, environ);
}

IS_LEFT EXPORT int execle(const char *path, const char *argument, ...)
{
	va_list list;

	va_start(list, argument);
	char **arguments = LISTED(argument, list);
	char **environment = va_arg(list, char **);
	va_end(list);
	return execute_path(path, arguments, environment);
}

/* ---- by a child ---- */

void after_spawning(const char *file, bool searches, char *const environment[],
		    pid_t child)
{
	struct ledger_unwatched made;
	/* A handler of SIGCHLD may have taken the number away. */
	enum ledger_whose whose = child > 0 ? LEDGER_CHILD : LEDGER_A_CHILDS;

	if (is_recording())
		note_path(&made, AT_FDCWD, file, searches, environment, whose, child);
}

void after_shell(void)
{
	struct ledger_unwatched made;

	if (is_recording())
		note_path(&made, AT_FDCWD, "/bin/sh", false, environ, LEDGER_A_CHILDS, 0);
}
