/* See next.h.  A hook may never call dlsym, which may allocate and takes the loader's
 * lock.  So everything is resolved at the start, but for a process whose objects import
 * no call that makes connections: looking fifty names up would be a third of what we cost
 * /bin/true.  There a name is looked up when it is first called, in the tables that the
 * start noted, with no lock. */
#include "base/next.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* The fallbacks.  Each takes six words whatever the call takes: the words beyond the
 * call's own are registers that the kernel ignores. */
static long result_of(long result)
{
	if ((unsigned long)result > -4096UL) {
		errno = (int)-result;
		return -1;
	}
	return result;
}

#define STAND_IN(name)                                                                   \
	static long early_##name(long a, long b, long c, long d, long e, long f)         \
	{                                                                                \
		return result_of(guard_call(SYS_##name, a, b, c, d, e, f));              \
	}
STAND_IN(socket)
STAND_IN(accept)
STAND_IN(accept4)
STAND_IN(connect)
STAND_IN(recvmsg)
STAND_IN(recvmmsg)
STAND_IN(pidfd_getfd)
STAND_IN(dup)
STAND_IN(dup3)
STAND_IN(fcntl)
STAND_IN(close)
STAND_IN(close_range)
STAND_IN(shutdown)
STAND_IN(read)
STAND_IN(readv)
STAND_IN(recvfrom)
STAND_IN(splice)
STAND_IN(sendfile)
STAND_IN(sendto)
STAND_IN(sendmsg)
STAND_IN(sendmmsg)
STAND_IN(write)
STAND_IN(writev)
STAND_IN(exit_group)
STAND_IN(prctl)
STAND_IN(capset)
STAND_IN(unshare)
STAND_IN(setns)
STAND_IN(pipe2)
STAND_IN(mincore)
STAND_IN(getsockopt)
STAND_IN(execve)
STAND_IN(execveat)

static int early_dup2(int old_fd, int new_fd)
{
	if (old_fd == new_fd)
		return early_fcntl(old_fd, F_GETFD, 0, 0, 0, 0) < 0 ? -1 : new_fd;
	return (int)early_dup3(old_fd, new_fd, 0, 0, 0, 0);
}

static void early_closefrom(int low)
{
	early_close_range(low, ~0U, 0, 0, 0, 0);
}

static ssize_t early_recv(int fd, void *buffer, size_t count, int flags)
{
	return early_recvfrom(fd, (long)buffer, (long)count, flags, 0, 0);
}

static ssize_t early_send(int fd, const void *buffer, size_t count, int flags)
{
	return early_sendto(fd, (long)buffer, (long)count, flags, 0, 0);
}

static ssize_t early_preadv2(int fd, const struct iovec *vector, int count, off_t offset,
			     int flags)
{
	return result_of(
		guard_call(SYS_preadv2, fd, (long)vector, count, offset, 0, flags));
}

/* A buffer that is smaller than the size asked for is a bug of the host, for which the C
 * library's function aborts; this fallback reads what fits. */
static ssize_t early_read_chk(int fd, void *buffer, size_t count, size_t size)
{
	return early_read(fd, (long)buffer, (long)(count < size ? count : size), 0, 0, 0);
}

static ssize_t early_recv_chk(int fd, void *buffer, size_t count, size_t size, int flags)
{
	return early_recv(fd, buffer, count < size ? count : size, flags);
}

static ssize_t early_recvfrom_chk(int fd, void *buffer, size_t count, size_t size,
				  int flags, struct sockaddr *address, socklen_t *length)
{
	return early_recvfrom(fd, (long)buffer, (long)(count < size ? count : size),
			      flags, (long)address, (long)length);
}

static long early_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	return result_of(guard_call(number, a, b, c, d, e, f));
}

static bool resolve_all(void);

/* Stand-ins for late and early calls take the words of the longest call, as the
 * fallbacks take six: syscall's last lies
 * on the stack, where each caller has something. */
typedef long seven_words(long, long, long, long, long, long, long);

/* No system call closes a stream: if the constructor of another library closes one before
 * ours has run, the definitions are resolved then. */
static int early_fclose(FILE *stream)
{
	return resolve_all() ? next.fclose(stream) : EOF;
}

static FILE *early_freopen(const char *path, const char *mode, FILE *stream)
{
	return resolve_all() ? next.freopen(path, mode, stream) : NULL;
}

static int early_pthread_cancel(pthread_t thread)
{
	return resolve_all() && next.pthread_cancel != early_pthread_cancel
		       ? next.pthread_cancel(thread)
		       : ENOSYS;
}

/* What makes a child by the C library's own means, before our constructor has run, or
 * where it switched the library off. */
static void *definition_of(size_t at, const void *fallback, const char *name)
{
	void *function = NULL;

	if (resolve_all())
		memcpy(&function, (const char *)&next + at, sizeof(function));
	return function && function != fallback ? function
						: libc_own.dlsym(RTLD_NEXT, name);
}

#define BY_LIBRARY(name)                                                                 \
	static long early_##name(long a, long b, long c, long d, long e, long f, long g) \
	{                                                                                \
		seven_words *function = (seven_words *)definition_of(                    \
			offsetof(struct next_calls, name), (void *)early_##name, #name); \
		return function ? function(a, b, c, d, e, f, g) : result_of(-ENOSYS);    \
	}
BY_LIBRARY(clone)
BY_LIBRARY(posix_spawn)
BY_LIBRARY(posix_spawnp)
BY_LIBRARY(system)
BY_LIBRARY(quick_exit)
BY_LIBRARY(daemon)
BY_LIBRARY(execvpe)
BY_LIBRARY(fexecve)

static FILE *early_popen(const char *command, const char *mode)
{
	__typeof__(&popen) function = (__typeof__(&popen))definition_of(
		offsetof(struct next_calls, popen), (void *)early_popen, "popen");

	return function ? function(command, mode) : NULL;
}

static pid_t early_fork(void)
{
	return (pid_t)result_of(guard_call(SYS_clone, SIGCHLD, 0, 0, 0, 0, 0));
}

/* By way of a pointer without a type: the fallbacks' six words differ from every
 * prototype on purpose. */
#define EARLY(name, stand_in) .name = (__typeof__(next.name))(void *)(stand_in)
#define EARLY_TABLE                                                                      \
	EARLY(socket, early_socket), EARLY(accept, early_accept),                        \
		EARLY(accept4, early_accept4), EARLY(connect, early_connect),            \
		EARLY(__connect, early_connect), EARLY(recvmsg, early_recvmsg),          \
		EARLY(recvmmsg, early_recvmmsg), EARLY(pidfd_getfd, early_pidfd_getfd),  \
		EARLY(dup, early_dup), EARLY(dup2, early_dup2),                          \
		EARLY(__dup2, early_dup2), EARLY(dup3, early_dup3),                      \
		EARLY(fcntl, early_fcntl), EARLY(fcntl64, early_fcntl),                  \
		EARLY(__fcntl, early_fcntl), EARLY(close, early_close),                  \
		EARLY(__close, early_close), EARLY(close_range, early_close_range),      \
		EARLY(closefrom, early_closefrom), EARLY(fclose, early_fclose),          \
		EARLY(freopen, early_freopen), EARLY(freopen64, early_freopen),          \
		EARLY(shutdown, early_shutdown), EARLY(syscall, early_syscall),          \
		EARLY(read, early_read), EARLY(__read, early_read),                      \
		EARLY(readv, early_readv), EARLY(recv, early_recv),                      \
		EARLY(recvfrom, early_recvfrom), EARLY(preadv2, early_preadv2),          \
		EARLY(preadv64v2, early_preadv2), EARLY(splice, early_splice),           \
		EARLY(sendfile, early_sendfile), EARLY(sendfile64, early_sendfile),      \
		EARLY(__read_chk, early_read_chk), EARLY(__recv_chk, early_recv_chk),    \
		EARLY(__recvfrom_chk, early_recvfrom_chk), EARLY(send, early_send),      \
		EARLY(__send, early_send), EARLY(sendto, early_sendto),                  \
		EARLY(sendmsg, early_sendmsg), EARLY(sendmmsg, early_sendmmsg),          \
		EARLY(write, early_write), EARLY(__write, early_write),                  \
		EARLY(writev, early_writev), EARLY(_exit, early_exit_group),             \
		EARLY(_Exit, early_exit_group), EARLY(prctl, early_prctl),               \
		EARLY(pipe2, early_pipe2), EARLY(mincore, early_mincore),                \
		EARLY(pthread_cancel, early_pthread_cancel),                             \
		EARLY(capset, early_capset), EARLY(unshare, early_unshare),              \
		EARLY(setns, early_setns), EARLY(_Fork, early_fork),                     \
		EARLY(clone, early_clone), EARLY(__clone, early_clone),                  \
		EARLY(posix_spawn, early_posix_spawn),                                   \
		EARLY(posix_spawnp, early_posix_spawnp), EARLY(popen, early_popen),      \
		EARLY(system, early_system), EARLY(quick_exit, early_quick_exit),        \
		EARLY(getsockopt, early_getsockopt), EARLY(daemon, early_daemon),        \
		EARLY(execve, early_execve), EARLY(execvpe, early_execvpe),              \
		EARLY(fexecve, early_fexecve), EARLY(execveat, early_execveat)

static const struct next_calls early = {EARLY_TABLE};
struct next_calls next = {EARLY_TABLE};

enum need { REQUIRED, OPTIONAL };

/* Without pointers, which the loader would have to relocate at every start. */
#define NAME_ROOM(name, need) char name[sizeof(#name)];
#define NAME(name, need)      #name,
static const struct names {
	CALLS(NAME_ROOM)
} names = {CALLS(NAME)};
#undef NAME_ROOM
#undef NAME

#define CALL_ROW(name, need)                                                             \
	{offsetof(struct names, name), offsetof(struct next_calls, name), need},
static const struct {
	uint16_t name_at, at;
	uint8_t need; /* enum need */
} rows[] = {CALLS(CALL_ROW)};
#undef CALL_ROW

#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

AT_START static const char *name_of(size_t row)
{
	return (const char *)&names + rows[row].name_at;
}

AT_START static void set(size_t row, void *function)
{
	__atomic_store_n((void **)((char *)&next + rows[row].at), function,
			 __ATOMIC_RELAXED);
}

/* What a call made late in a process without connections forwards to; what is in doubt is
 * left to the fallback. */
static void *find_now(enum sl_call call)
{
	size_t row = (size_t)call - 1;
	struct imports_name wanted = {.name = name_of(row)};
	void *function;

	imports_find(&wanted, 1);
	function = wanted.found;
	if (!function || imports_is_ours(function))
		function = *(void *const *)((const char *)&early + rows[row].at);
	set(row, function);
	return function;
}

#define LATE(name, need)                                                                 \
	static long late_##name(long a, long b, long c, long d, long e, long f, long g)  \
	{                                                                                \
		return ((seven_words *)find_now(SL_CALL_##name))(a, b, c, d, e, f, g);   \
	}
CALLS(LATE)
#undef LATE

AT_START static void resolve_late(void)
{
#define SET_LATE(name, need) set(SL_CALL_##name - 1, (void *)late_##name);
	CALLS(SET_LATE)
#undef SET_LATE
}

/* Two copies of the library in one process would forward to each other for ever: a
 * definition in this library is refused. */
AT_START static bool resolve_all(void)
{
	struct imports_name wanted[N_ROWS];
	struct next_calls found = next;

	for (size_t i = 0; i < N_ROWS; i++)
		wanted[i].name = name_of(i);
	imports_find(wanted, N_ROWS);
	for (size_t i = 0; i < N_ROWS; i++) {
		void *function = wanted[i].is_doubtful
					 ? libc_own.dlsym(RTLD_NEXT, wanted[i].name)
					 : wanted[i].found;

		if (function && imports_is_ours(function))
			return false;
		if (function)
			memcpy((char *)&found + rows[i].at, &function, sizeof(function));
		else if (rows[i].need == REQUIRED)
			return false;
	}
	dlerror(); /* the host finds no error of ours pending */
	next = found;
	return true;
}

AT_START bool next_start(bool *imports_connections)
{
	*imports_connections = imports_read();
	if (*imports_connections || !imports_are_noted())
		return resolve_all();
	resolve_late();
	return true;
}
