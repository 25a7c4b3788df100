/* The one list of calls the library stands in for.  From it come the typed pointers and
 * their resolution (next.h, next.c), the numbers kept in records and the names printed in
 * reports (enum sl_call below), the export list and the completeness test.
 *
 * Ledgers keep the numbers: what moves one raises SL_LEDGER_VERSION, and new rows stand
 * at the end, whatever they do.
 *
 * hooks/hooks.h lists all that a new call touches.
 *
 * A row: CALL(name, need).  REQUIRED: the C library must have it, or the library switches
 * itself off.  OPTIONAL: newer or older C libraries may lack it. */
#ifndef SOCKLEAK_CALLS_H
#define SOCKLEAK_CALLS_H

#include <stdbool.h>

#define CALLS(CALL)                                                                      \
	/* birth */                                                                      \
	CALL(socket, REQUIRED)                                                           \
	CALL(accept, REQUIRED)                                                           \
	CALL(accept4, REQUIRED)                                                          \
	CALL(connect, REQUIRED)                                                          \
	CALL(__connect, OPTIONAL)                                                        \
	/* birth by passed descriptor */                                                 \
	CALL(recvmsg, REQUIRED)                                                          \
	CALL(recvmmsg, REQUIRED)                                                         \
	CALL(pidfd_getfd, OPTIONAL)                                                      \
	/* copies */                                                                     \
	CALL(dup, REQUIRED)                                                              \
	CALL(dup2, REQUIRED)                                                             \
	CALL(__dup2, OPTIONAL)                                                           \
	CALL(dup3, REQUIRED)                                                             \
	CALL(fcntl, REQUIRED)                                                            \
	CALL(fcntl64, OPTIONAL)                                                          \
	CALL(__fcntl, OPTIONAL)                                                          \
	/* ends */                                                                       \
	CALL(close, REQUIRED)                                                            \
	CALL(__close, OPTIONAL)                                                          \
	CALL(close_range, OPTIONAL)                                                      \
	CALL(closefrom, OPTIONAL)                                                        \
	CALL(fclose, REQUIRED)                                                           \
	CALL(freopen, REQUIRED)                                                          \
	CALL(freopen64, OPTIONAL)                                                        \
	CALL(shutdown, REQUIRED)                                                         \
	/* any of them by number */                                                      \
	CALL(syscall, REQUIRED)                                                          \
	/* told: calls that return the end of stream */                                  \
	CALL(read, REQUIRED)                                                             \
	CALL(__read, OPTIONAL)                                                           \
	CALL(readv, REQUIRED)                                                            \
	CALL(recv, REQUIRED)                                                             \
	CALL(recvfrom, REQUIRED)                                                         \
	CALL(preadv2, OPTIONAL)                                                          \
	CALL(preadv64v2, OPTIONAL)                                                       \
	CALL(splice, REQUIRED)                                                           \
	CALL(sendfile, REQUIRED)                                                         \
	CALL(sendfile64, OPTIONAL)                                                       \
	CALL(__read_chk, OPTIONAL)                                                       \
	CALL(__recv_chk, OPTIONAL)                                                       \
	CALL(__recvfrom_chk, OPTIONAL)                                                   \
	/* told: calls that return an error which ends a connection */                   \
	CALL(send, REQUIRED)                                                             \
	CALL(__send, OPTIONAL)                                                           \
	CALL(sendto, REQUIRED)                                                           \
	CALL(sendmsg, REQUIRED)                                                          \
	CALL(sendmmsg, REQUIRED)                                                         \
	CALL(write, REQUIRED)                                                            \
	CALL(__write, OPTIONAL)                                                          \
	CALL(writev, REQUIRED)                                                           \
	/* end of life */                                                                \
	CALL(_exit, REQUIRED)                                                            \
	CALL(_Exit, REQUIRED)                                                            \
	/* a sandbox is about to be entered */                                           \
	CALL(prctl, REQUIRED)                                                            \
	/* by libunwind, while we run it: answered without a system call */              \
	CALL(pipe2, REQUIRED)                                                            \
	CALL(mincore, REQUIRED)                                                          \
	/* the C library makes the calls from now on (single_thread.h) */                \
	CALL(pthread_cancel, OPTIONAL)                                                   \
	/* the helper thread must stop for them (hooks/rights.c) */                      \
	CALL(capset, OPTIONAL)                                                           \
	CALL(unshare, REQUIRED)                                                          \
	CALL(setns, REQUIRED)                                                            \
	/* make a child, which may inherit sockets (vfork is not forwarded) */           \
	CALL(vfork, OPTIONAL)                                                            \
	CALL(__vfork, OPTIONAL)                                                          \
	CALL(_Fork, OPTIONAL)                                                            \
	CALL(clone, REQUIRED)                                                            \
	CALL(__clone, OPTIONAL)                                                          \
	CALL(posix_spawn, REQUIRED)                                                      \
	CALL(posix_spawnp, REQUIRED)                                                     \
	CALL(popen, REQUIRED)                                                            \
	CALL(system, REQUIRED)                                                           \
	/* end of life, with handlers of its own */                                      \
	CALL(quick_exit, OPTIONAL)                                                       \
	/* told: SO_ERROR */                                                             \
	CALL(getsockopt, REQUIRED)                                                       \
	/* ends the parent of the child that it makes */                                 \
	CALL(daemon, OPTIONAL)                                                           \
	/* make the process another program (others of the family call these) */         \
	CALL(execve, REQUIRED)                                                           \
	CALL(execv, OPTIONAL)                                                            \
	CALL(execvp, OPTIONAL)                                                           \
	CALL(execvpe, REQUIRED)                                                          \
	CALL(execl, OPTIONAL)                                                            \
	CALL(execle, OPTIONAL)                                                           \
	CALL(execlp, OPTIONAL)                                                           \
	CALL(fexecve, REQUIRED)                                                          \
	CALL(execveat, OPTIONAL)                                                         \
	/* after it no ledger can be made (hooks/rights.c) */                            \
	CALL(chroot, REQUIRED)

#define SL_CALL_NUMBER(name, need) SL_CALL_##name,
enum sl_call {
	SL_CALL_NONE, /* adopted: the call was not seen */
	CALLS(SL_CALL_NUMBER) SL_N_CALLS
};
#undef SL_CALL_NUMBER

/* A new call of one of these kinds is named here, too. */
static inline bool sl_call_accepts(unsigned call)
{
	return call == SL_CALL_accept || call == SL_CALL_accept4;
}
static inline bool sl_call_reads(unsigned call)
{
	return call >= SL_CALL_read && call <= SL_CALL___recvfrom_chk;
}

#endif
