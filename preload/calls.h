/* The one list of calls the library stands in for.  From it come the typed pointers and
 * their resolution (real.h, real.c), the numbers kept in records and the names printed in
 * reports (enum sl_call below), the export list and the completeness test.
 *
 * Ledgers keep the numbers: what moves one raises SL_LEDGER_VERSION, and new rows stand
 * at the end.
 *
 * A row: CALL(name, need).  REQUIRED: the C library must have it, or the library switches
 * itself off.  OPTIONAL: newer or older C libraries may lack it. */
#ifndef SOCKLEAK_CALLS_H
#define SOCKLEAK_CALLS_H

#define CALLS(CALL)                                                                      \
	/* birth */                                                                      \
	CALL(socket, REQUIRED)                                                           \
	CALL(accept, REQUIRED)                                                           \
	CALL(accept4, REQUIRED)                                                          \
	CALL(connect, REQUIRED)                                                          \
	CALL(__connect, OPTIONAL)                                                        \
	/* birth by gift */                                                              \
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
	/* libunwind's own: answered, not made, while it is we who unwind */             \
	CALL(pipe2, REQUIRED)                                                            \
	CALL(mincore, REQUIRED)                                                          \
	/* the C library makes the calls from now on (single.h) */                       \
	CALL(pthread_cancel, OPTIONAL)                                                   \
	/* a thread that does not take part would be in the way (hooks.c) */             \
	CALL(capset, OPTIONAL)                                                           \
	CALL(unshare, REQUIRED)                                                          \
	CALL(setns, REQUIRED)

#define SL_CALL_NUMBER(name, need) SL_CALL_##name,
enum sl_call {
	SL_CALL_NONE, /* adopted: nobody saw the call */
	CALLS(SL_CALL_NUMBER) SL_N_CALLS
};
#undef SL_CALL_NUMBER

#endif
