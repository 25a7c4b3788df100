/* The calls we stand in for: call, tell, return.
 *
 * Each hook carries the name and the parameters of its manual page.  A hook that makes a
 * descriptor calls first and remembers second; one that ends a descriptor forgets first
 * and calls second: the kernel gives the lowest free number to the next call of any
 * thread, and forgetting afterwards could erase that newcomer's row.  Nothing is held
 * across a real call, and a thread cancelled inside one leaves no trace but, at worst, a
 * lost row that the next look finds again.
 *
 * None of the helpers below touches errno: they make raw system calls only. */
#include "hooks.h"

#include "guard.h"
#include "helper.h"
#include "ledger_writer.h"
#include "origin.h"
#include "probe.h"
#include "real.h"
#include "registry.h"
#include "single.h"
#include "start.h"
#include "watch.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>

#define EXPORT    __attribute__((visibility("default")))
#define UNCHECKED __attribute__((no_sanitize_thread))

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define PROTOCOL_TCP 6
#define MAX_GIFTS    253 /* SCM_MAX_FD: descriptors in one message */

bool hooks_are_on;
bool hooks_await_connection;

/* A plain load: an atomic one, however relaxed, costs every read an instruction more. */
static inline UNCHECKED bool awaits_connection(void)
{
	return hooks_await_connection;
}

/* ---- what hooks tell ---- */

static bool is_refused_for_want_of_numbers(int fd)
{
	return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

static void wake_whoever_looks(void)
{
	if (origin_has_work())
		helper_wake();
	if (helper_hooks_look())
		watch_poll();
}

/* Whether our books are open to this thread; a real child begins its own first. */
static bool may_write(void)
{
	if (!hooks_are_on || guard_inside)
		return false;
	if (guard_is_copy()) {
		if (guard_is_sandboxed)
			return false;
		start_child();
	}
	return true;
}

static bool may_forget(void);

static void opened(int fd, enum sl_call call, enum sl_note note, uint64_t bits,
		   const struct sockaddr *peer)
{
	/* A row that stands was closed unseen, or this is a vfork child: its parent's. */
	if (!may_write() || (registry_knows(fd) && !may_forget()))
		return;
	if (__builtin_expect(!start_has_socket, 0)) {
		start_first_socket();
		if (!start_has_socket)
			return;
	}
	registry_remember(fd, call, note, origin_capture(), bits, peer);
	if ((bits & ROW_CONNECTED) || awaits_connection()) {
		hooks_await(false);
		start_connection();
	}
	wake_whoever_looks();
}

/* Before anything is taken from our books: a vfork child runs in our memory under another
 * pid, and closes descriptors on its way to exec.  Those are its copies: taking them for
 * ours would lose real leaks. */
static bool may_forget(void)
{
	if (guard_inside)
		return false;
	switch (guard_process()) {
	case GUARD_FORKED:
		start_child();
		return true;
	case GUARD_OURS:
		return true;
	default:
		return false;
	}
}

/* A look that holds it for a moment would end it after the host did. */
static void await_return(int fd)
{
	probe_await_return((unsigned)fd, (unsigned)fd);
}

static __attribute__((noinline)) void ending_known(int fd)
{
	if (registry_knows(fd) && may_forget())
		registry_forget(fd, NULL);
	await_return(fd);
}

/* `fd` is about to be closed. */
static inline void ending(int fd)
{
	if (__builtin_expect(registry_knows(fd) || fd == probe_borrowed, 0))
		ending_known(fd);
}

static void ending_range(unsigned first, unsigned last)
{
	/* A call that a filter refuses closes nothing: the empty range asks. */
	if (first <= last && registry_knows_any(first, last) && may_forget() &&
	    guard_sys(SYS_close_range, ~0U, ~0U, 0) != -EPERM)
		registry_forget_range(first, last);
	probe_await_return(first, last);
}

/* A row that stands at `to` was closed unseen. */
static void copied(int from, int to)
{
	bool is_known = registry_knows(from);

	if (to < 0 || from == to || !(is_known || registry_knows(to)) || !may_forget())
		return;
	if (is_known)
		registry_copy(from, to);
	else
		registry_forget_stale(to, atomic_load(&registry_row(to)->word));
}

/* dup2 and dup3 close their target, but only if they succeed. */
static bool begin_replacing(int old_fd, int new_fd, struct row *was)
{
	if (old_fd == new_fd)
		return false;
	bool had = registry_knows(new_fd) && may_forget() && registry_forget(new_fd, was);
	await_return(new_fd);
	return had;
}

static void end_replacing(int old_fd, int new_fd, int result, bool had,
			  const struct row *was)
{
	if (result >= 0)
		copied(old_fd, new_fd);
	else if (had)
		registry_restore(new_fd, was);
}

static bool ends_a_connection(int error)
{
	switch (error) {
	case ECONNRESET:
	case EPIPE:
	case ETIMEDOUT:
	case ECONNABORTED:
	case ENETRESET:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return true;
	default:
		return false;
	}
}

/* Once a reset comes the kernel no longer tells. */
static void keep_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (!guard_is_sandboxed && guard_sys(SYS_getpeername, fd, &peer, &length) == 0)
		registry_set_peer(fd, (struct sockaddr *)&peer, length);
}

/* Opened unseen, but told (or shut) here; files end, too, so only a program with sockets
 * asks. */
static void know(int fd)
{
	if (!registry_knows(fd) && registry_top())
		watch_adopt_one(fd);
}

/* A read returned 0 for a non-zero length, or a call an error that may end a connection.
 * The kernel's state decides: a zero after a local SHUT_RD tells nothing. */
static __attribute__((noinline, cold)) void told(int fd, enum sl_call call, bool by_error)
{
	struct row row;
	struct probe probe;
	bool again = registry_was_told(fd);

	if (guard_is_sandboxed || (again && !by_error) || !may_write())
		return;
	know(fd);
	if (!registry_read(fd, &row))
		return;
	uint64_t word = atomic_load(&row.word);
	if ((word & ROW_NOT_TCP) || guard_process() != GUARD_OURS ||
	    (registry_reading_is_shut(fd) && (!by_error || (word & ROW_MPTCP))) ||
	    probe_socket(fd, word & ROW_MPTCP, 0, &probe) != PROBE_TCP)
		return;
	probe.was_connected |= (word & ROW_ESTABLISHED) != 0;
	if (!probe_peer_is_gone(&probe))
		return;
	/* After an error nothing can be sent: it is the last word to one who went on. */
	if (again && !watch_sent_since_told(fd, &row, &probe))
		return;
	if (!row.family)
		keep_peer(fd);
	if (!(word & ROW_MPTCP))
		registry_identify(fd, probe.cookie);
	registry_tell(fd, call, origin_capture(), by_error);
	wake_whoever_looks();
}

static __attribute__((noinline, cold)) void failed(int fd, enum sl_call call)
{
	int error = errno;

	if (ends_a_connection(error))
		told(fd, call, true);
}

/* A connection that was open before our books were is in use. */
static __attribute__((noinline, cold)) void used(int fd)
{
	struct row row;

	if (registry_read(fd, &row) && (atomic_load(&row.word) & ROW_CONNECTED) &&
	    may_write()) {
		hooks_await(false);
		start_connection();
	}
}

/* After a call that reads: the hot path is two comparisons, or three where nothing was
 * there to be read. */
static inline ssize_t after_read(const volatile int *fd, ssize_t result,
				 const volatile size_t *wanted, enum sl_call call)
{
	if (__builtin_expect(result < 0, 0)) {
		if (guard_error_is(EAGAIN))
			return result;
		failed(*fd, call);
	} else if (__builtin_expect(result == 0, 0) && *wanted) {
		told(*fd, call, false);
	}
	if (__builtin_expect(awaits_connection(), 0))
		used(*fd);
	return result;
}

static inline ssize_t after_send(const volatile int *fd, ssize_t result,
				 enum sl_call call)
{
	if (__builtin_expect(result < 0, 0))
		failed(*fd, call);
	if (__builtin_expect(awaits_connection(), 0))
		used(*fd);
	return result;
}

/* What is only of use where the result is rare waits on the stack meanwhile: in registers
 * that calls preserve it would cost every call six instructions.  `wanted` = asked for
 * more than nothing. */
#define READS(fd, wanted, name, ...)                                                     \
	({                                                                               \
		volatile int kept_fd = (fd);                                             \
		volatile size_t kept_wanted = (wanted);                                  \
		after_read(&kept_fd, real.name(__VA_ARGS__), &kept_wanted,               \
			   SL_CALL_##name);                                              \
	})
#define SENDS(fd, name, ...)                                                             \
	({                                                                               \
		volatile int kept_fd = (fd);                                             \
		after_send(&kept_fd, real.name(__VA_ARGS__), SL_CALL_##name);            \
	})
/* The same where the hook makes the system call itself (single.h): no frame of the C
 * library lies between, and nothing waits on the stack. */
static __attribute__((noinline, cold)) ssize_t
ended_direct(long fd, long result, bool is_end, enum sl_call call)
{
	if (result < 0) {
		guard_set_error((int)-result);
		failed((int)fd, call);
		return -1;
	}
	if (is_end)
		told((int)fd, call, false);
	if (awaits_connection())
		used((int)fd);
	return result;
}

static inline ssize_t after_direct(long fd, long result, bool is_end, enum sl_call call)
{
	if (__builtin_expect(result <= 0, 0)) {
		if (result != -EAGAIN)
			return ended_direct(fd, result, is_end, call);
		guard_set_error(EAGAIN);
		return -1;
	}
	if (__builtin_expect(awaits_connection(), 0))
		return ended_direct(fd, result, false, call);
	return result;
}
/* `fd` is widened once: the compiler need not keep it a second time. */
#define DIRECT(name, number, fd, buffer, count, flags, wanted)                           \
	({                                                                               \
		long direct_fd = (fd);                                                   \
		long direct_result = guard_call(number, direct_fd, (long)(buffer),       \
						(long)(count), flags, 0, 0);             \
		after_direct(direct_fd, direct_result, wanted, SL_CALL_##name);          \
	})
#define DIRECT_READ(name, number, fd, buffer, count, flags)                              \
	DIRECT(name, number, fd, buffer, count, flags, (count) > 0)
#define DIRECT_SEND(name, number, fd, buffer, count, flags)                              \
	DIRECT(name, number, fd, buffer, count, flags, false)

/* Where more is to be done in between. */
#define AFTER_READ(fd, result, wanted, name)                                             \
	after_read(&(volatile int){fd}, result, &(volatile size_t){wanted},              \
		   SL_CALL_##name)
#define AFTER_SEND(fd, result, name)                                                     \
	after_send(&(volatile int){fd}, result, SL_CALL_##name)

static bool wants_some(const struct iovec *vector, size_t count)
{
	for (size_t i = 0; vector && i < count; i++)
		if (vector[i].iov_len)
			return true;
	return false;
}

/* ---- birth ---- */

static bool is_inet_stream(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) &&
	       (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

static int after_socket(int fd, int domain, int type, int protocol)
{
	if (fd >= 0 && is_inet_stream(domain, type, protocol))
		opened(fd, SL_CALL_socket, SL_NOTE_NONE,
		       protocol == IPPROTO_MPTCP ? ROW_MPTCP : 0, NULL);
	else if (is_refused_for_want_of_numbers(fd))
		watch_limit_hit();
	return fd;
}

EXPORT int socket(int domain, int type, int protocol)
{
	return after_socket(real.socket(domain, type, protocol), domain, type, protocol);
}

/* What kind of listener `fd` is: asked of the kernel once, then its row tells. */
static uint64_t listener_bits(int fd)
{
	struct row row;

	if (!registry_read(fd, &row)) {
		int protocol = guard_is_sandboxed ? 0 : probe_protocol(fd);

		registry_adopt(fd, SL_NOTE_UNKNOWN,
			       !protocol                  ? ROW_NOT_TCP
			       : protocol != PROTOCOL_TCP ? ROW_MPTCP
							  : 0);
		if (!registry_read(fd, &row))
			return ROW_NOT_TCP;
	}
	return atomic_load(&row.word) & (ROW_NOT_TCP | ROW_MPTCP);
}

/* What one accept needs: the kind of its listener, and room for the peer's address where
 * the host wants none.  The kernel does not tell it any more once the connection is dead.
 */
struct accepting {
	uint64_t bits;
	struct sockaddr *address;
	socklen_t *length;
	struct sockaddr_storage own;
	socklen_t own_length;
};

static void begin_accept(struct accepting *one, int listener, struct sockaddr *address,
			 socklen_t *length)
{
	one->bits = may_write() ? listener_bits(listener) : ROW_NOT_TCP;
	one->address = address;
	one->length = length;
	/* Of another kind the kernel might not know an address, and would fail the call.
	 */
	if (!address && !(one->bits & ROW_NOT_TCP)) {
		one->own_length = sizeof(one->own);
		one->address = (struct sockaddr *)&one->own;
		one->length = &one->own_length;
	}
}

static int end_accept(const struct accepting *one, int fd, enum sl_call call)
{
	if (is_refused_for_want_of_numbers(fd))
		watch_limit_hit();
	if (fd < 0 || (one->bits & ROW_NOT_TCP))
		return fd;
	bool is_own = one->length == &one->own_length;
	opened(fd, call, SL_NOTE_NONE, one->bits | ROW_CONNECTED | ROW_ESTABLISHED,
	       is_own && one->own_length ? (const struct sockaddr *)&one->own : NULL);
	/* How large the host's buffer was is not known any more: the address in it may be
	 * cut. */
	if (!is_own)
		keep_peer(fd);
	return fd;
}

EXPORT int accept(int sockfd, __SOCKADDR_ARG address, socklen_t *restrict length)
{
	struct accepting one;

	begin_accept(&one, sockfd, address.__sockaddr__, length);
	return end_accept(&one, real.accept(sockfd, one.address, one.length),
			  SL_CALL_accept);
}

EXPORT int accept4(int sockfd, __SOCKADDR_ARG address, socklen_t *restrict length,
		   int flags)
{
	struct accepting one;

	begin_accept(&one, sockfd, address.__sockaddr__, length);
	return end_accept(&one, real.accept4(sockfd, one.address, one.length, flags),
			  SL_CALL_accept4);
}

static int after_connect(int fd, int result, const struct sockaddr *address,
			 socklen_t length)
{
	/* Where the call failed the kernel may not have read the address: it may be
	 * wrong. */
	if (result < 0 && errno != EINPROGRESS && errno != EINTR)
		return result;
	if (!registry_knows(fd) || !may_write() || !address ||
	    length < sizeof(address->sa_family))
		return result;
	if (address->sa_family == AF_UNSPEC && result == 0)
		registry_dissolve(fd);
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return result;
	registry_set_peer(fd, address, length);
	registry_set_bits(fd, ROW_CONNECTED | (result < 0 ? 0 : ROW_ESTABLISHED));
	start_connection();
	return result;
}

EXPORT int connect(int sockfd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
	return after_connect(sockfd, real.connect(sockfd, address, length),
			     address.__sockaddr__, length);
}

EXPORT int __connect(int sockfd, const struct sockaddr *address, socklen_t length)
{
	return after_connect(sockfd, real.__connect(sockfd, address, length), address,
			     length);
}

/* ---- birth by gift ---- */

/* By this process, once: what was given may come back to it. */
static _Atomic bool has_given, has_received;

/* Of one socket that was given and received by this process both descriptors are in the
 * books.  Who comes second, the giver or the taker, finds the other one. */
static void join_gift(int fd, uint64_t cookie, bool is_mptcp, bool is_given)
{
	struct row row;

	for (int other = 0; cookie && other < (int)registry_top(); other++)
		if (other != fd && registry_read(other, &row) &&
		    (is_given ? row.note == SL_NOTE_RECEIVED
			      : (atomic_load(&row.word) & ROW_GIVEN) != 0) &&
		    probe_cookie(other, is_mptcp) == cookie)
			registry_join(is_given ? other : fd, is_given ? fd : other);
}

static void received(int fd, enum sl_call call)
{
	int protocol = may_write() && !guard_is_sandboxed ? probe_protocol(fd) : 0;
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (!protocol)
		return;
	bool has_peer = guard_sys(SYS_getpeername, fd, &peer, &length) == 0;
	bool is_mptcp = protocol != PROTOCOL_TCP;
	opened(fd, call, SL_NOTE_RECEIVED, ROW_CONNECTED | (is_mptcp ? ROW_MPTCP : 0),
	       has_peer ? (const struct sockaddr *)&peer : NULL);
	has_received = true;
	if (has_given)
		join_gift(fd, probe_cookie(fd, is_mptcp), is_mptcp, false);
}

/* Calls `each` for every descriptor in the message, which the kernel (or the host) wrote.
 */
static void for_each_gift(const struct msghdr *message, enum sl_call call,
			  void (*each)(int fd, enum sl_call call))
{
	struct msghdr *all = (struct msghdr *)message; /* CMSG_NXTHDR takes no const */

	for (struct cmsghdr *one = CMSG_FIRSTHDR(all); one; one = CMSG_NXTHDR(all, one)) {
		if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS ||
		    one->cmsg_len < CMSG_LEN(0))
			continue;
		size_t n = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && i < MAX_GIFTS; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(one) + i * sizeof(fd), sizeof(fd));
			each(fd, call);
		}
	}
}

EXPORT ssize_t recvmsg(int sockfd, struct msghdr *message, int flags)
{
	ssize_t n = real.recvmsg(sockfd, message, flags);

	if (__builtin_expect(n >= 0 && message->msg_controllen, 0))
		for_each_gift(message, SL_CALL_recvmsg, received);
	return AFTER_READ(sockfd, n,
			  n == 0 && wants_some(message->msg_iov, message->msg_iovlen),
			  recvmsg);
}

EXPORT int recvmmsg(int sockfd, struct mmsghdr *messages, unsigned count, int flags,
		    struct timespec *timeout)
{
	int n = real.recvmmsg(sockfd, messages, count, flags, timeout);

	for (int i = 0; i < n; i++) {
		struct msghdr *one = &messages[i].msg_hdr;

		if (one->msg_controllen)
			for_each_gift(one, SL_CALL_recvmmsg, received);
		if (!messages[i].msg_len && wants_some(one->msg_iov, one->msg_iovlen))
			told(sockfd, SL_CALL_recvmmsg, false);
	}
	return (int)AFTER_SEND(sockfd, n, recvmmsg);
}

EXPORT int pidfd_getfd(int pidfd, int target_fd, unsigned int flags)
{
	int fd = real.pidfd_getfd(pidfd, target_fd, flags);

	if (fd >= 0)
		received(fd, SL_CALL_pidfd_getfd);
	return fd;
}

/* ---- copies ---- */

EXPORT int dup(int old_fd)
{
	int fd = real.dup(old_fd);

	copied(old_fd, fd);
	if (is_refused_for_want_of_numbers(fd))
		watch_limit_hit();
	return fd;
}

EXPORT int dup2(int old_fd, int new_fd)
{
	struct row was;
	bool had = begin_replacing(old_fd, new_fd, &was);
	int fd = real.dup2(old_fd, new_fd);

	end_replacing(old_fd, new_fd, fd, had, &was);
	return fd;
}

EXPORT int __dup2(int old_fd, int new_fd)
{
	return dup2(old_fd, new_fd);
}

EXPORT int dup3(int old_fd, int new_fd, int flags)
{
	struct row was;
	bool had = begin_replacing(old_fd, new_fd, &was);
	int fd = real.dup3(old_fd, new_fd, flags);

	end_replacing(old_fd, new_fd, fd, had, &was);
	return fd;
}

static int after_fcntl(int fd, int command, int result)
{
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		copied(fd, result);
	return result;
}

/* One long argument is read whatever the command: those without one ignore it. */
#define FCNTL(name)                                                                      \
	EXPORT int name(int fd, int command, ...)                                        \
	{                                                                                \
		va_list arguments;                                                       \
		va_start(arguments, command);                                            \
		long argument = va_arg(arguments, long);                                 \
		va_end(arguments);                                                       \
		return after_fcntl(fd, command, real.name(fd, command, argument));       \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)

/* ---- ends ---- */

EXPORT int close(int fd)
{
	ending(fd);
	return real.close(fd);
}

EXPORT int __close(int fd)
{
	ending(fd);
	return real.__close(fd);
}

/* CLOSE_RANGE_UNSHARE acts on a table that other threads do not see: rows they still hold
 * are found again by the next look.  With CLOSE_RANGE_CLOEXEC nothing is closed, nor with
 * a flag that the kernel may not know. */
static bool closes_a_range(unsigned flags)
{
	return !(flags & ~2U /* CLOSE_RANGE_UNSHARE */);
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	if (closes_a_range((unsigned)flags))
		ending_range(first, last);
	return real.close_range(first, last, flags);
}

EXPORT void closefrom(int low)
{
	ending_range(low < 0 ? 0 : (unsigned)low, ~0U);
	real.closefrom(low);
}

/* Whatever the number says, the real call is made: a memory stream has none. */
static void ending_stream(FILE *stream)
{
	int saved_errno = errno;
	int fd = stream ? fileno_unlocked(stream) : -1;

	errno = saved_errno;
	ending(fd);
}

EXPORT int fclose(FILE *stream)
{
	ending_stream(stream);
	return real.fclose(stream);
}

/* Without a path only the mode changes and the number stays what it was. */
EXPORT FILE *freopen(const char *restrict path, const char *restrict mode,
		     FILE *restrict stream)
{
	if (path)
		ending_stream(stream);
	return real.freopen(path, mode, stream);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode,
		       FILE *restrict stream)
{
	if (path)
		ending_stream(stream);
	return real.freopen64(path, mode, stream);
}

static int after_shutdown(int fd, int how, int result)
{
	struct row row;

	if (result != 0 || !may_write() || !may_forget())
		return result;
	know(fd);
	if (!registry_read(fd, &row))
		return result;
	if (!(atomic_load(&row.word) & ROW_MPTCP))
		registry_identify(fd, probe_cookie(fd, false));
	registry_shut(fd, how);
	return result;
}

EXPORT int shutdown(int sockfd, int how)
{
	return after_shutdown(sockfd, how, real.shutdown(sockfd, how));
}

/* ---- told ---- */

EXPORT ssize_t read(int fd, void *buffer, size_t count)
{
	if (single_is())
		return DIRECT_READ(read, SYS_read, fd, buffer, count, 0);
	return READS(fd, count, read, fd, buffer, count);
}

EXPORT ssize_t __read(int fd, void *buffer, size_t count)
{
	if (single_is())
		return DIRECT_READ(__read, SYS_read, fd, buffer, count, 0);
	return READS(fd, count, __read, fd, buffer, count);
}

EXPORT ssize_t readv(int fd, const struct iovec *vector, int count)
{
	ssize_t n = real.readv(fd, vector, count);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), readv);
}

EXPORT ssize_t recv(int sockfd, void *buffer, size_t count, int flags)
{
	if (single_is())
		return DIRECT_READ(recv, SYS_recvfrom, sockfd, buffer, count, flags);
	return READS(sockfd, count, recv, sockfd, buffer, count, flags);
}

EXPORT ssize_t recvfrom(int sockfd, void *restrict buffer, size_t count, int flags,
			__SOCKADDR_ARG address, socklen_t *restrict length)
{
	return READS(sockfd, count, recvfrom, sockfd, buffer, count, flags, address,
		     length);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *vector, int count, off_t offset,
		       int flags)
{
	ssize_t n = real.preadv2(fd, vector, count, offset, flags);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), preadv2);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *vector, int count, off64_t offset,
			  int flags)
{
	ssize_t n = real.preadv64v2(fd, vector, count, offset, flags);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), preadv64v2);
}

/* An error of these two may be the other end's: told() asks the kernel about the socket.
 */
EXPORT ssize_t splice(int fd_in, off64_t *offset_in, int fd_out, off64_t *offset_out,
		      size_t count, unsigned flags)
{
	ssize_t n = real.splice(fd_in, offset_in, fd_out, offset_out, count, flags);

	if (n < 0)
		failed(fd_out, SL_CALL_splice);
	return AFTER_READ(fd_in, n, count, splice);
}

EXPORT ssize_t sendfile(int fd_out, int fd_in, off_t *offset, size_t count)
{
	ssize_t n = real.sendfile(fd_out, fd_in, offset, count);

	if (n < 0)
		failed(fd_out, SL_CALL_sendfile);
	return AFTER_READ(fd_in, n, count, sendfile);
}

EXPORT ssize_t sendfile64(int fd_out, int fd_in, off64_t *offset, size_t count)
{
	ssize_t n = real.sendfile64(fd_out, fd_in, offset, count);

	if (n < 0)
		failed(fd_out, SL_CALL_sendfile64);
	return AFTER_READ(fd_in, n, count, sendfile64);
}

/* The fortified ones go to the fortified ones, whose check still aborts. */
EXPORT ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size)
{
	return READS(fd, count, __read_chk, fd, buffer, count, size);
}

EXPORT ssize_t __recv_chk(int sockfd, void *buffer, size_t count, size_t size, int flags)
{
	return READS(sockfd, count, __recv_chk, sockfd, buffer, count, size, flags);
}

EXPORT ssize_t __recvfrom_chk(int sockfd, void *buffer, size_t count, size_t size,
			      int flags, struct sockaddr *address, socklen_t *length)
{
	return READS(sockfd, count, __recvfrom_chk, sockfd, buffer, count, size, flags,
		     address, length);
}

EXPORT ssize_t send(int sockfd, const void *buffer, size_t count, int flags)
{
	if (single_is())
		return DIRECT_SEND(send, SYS_sendto, sockfd, buffer, count, flags);
	return SENDS(sockfd, send, sockfd, buffer, count, flags);
}

EXPORT ssize_t __send(int sockfd, const void *buffer, size_t count, int flags)
{
	if (single_is())
		return DIRECT_SEND(__send, SYS_sendto, sockfd, buffer, count, flags);
	return SENDS(sockfd, __send, sockfd, buffer, count, flags);
}

EXPORT ssize_t sendto(int sockfd, const void *buffer, size_t count, int flags,
		      __CONST_SOCKADDR_ARG address, socklen_t length)
{
	ssize_t n = real.sendto(sockfd, buffer, count, flags, address, length);

	if (__builtin_expect(flags & MSG_FASTOPEN, 0))
		after_connect(sockfd, n < 0 ? -1 : 0, address.__sockaddr__, length);
	return AFTER_SEND(sockfd, n, sendto);
}

/* The taker's record is joined with ours by the cookie. */
static void given(int fd, enum sl_call call)
{
	struct row row;

	(void)call;
	if (!registry_read(fd, &row) || !may_write() ||
	    (atomic_load(&row.word) & (ROW_NOT_TCP | ROW_GIVEN)))
		return;
	registry_set_bits(fd, ROW_GIVEN);
	has_given = true;
	bool is_mptcp = atomic_load(&row.word) & ROW_MPTCP;
	uint64_t cookie =
		has_received || ledger_is_kept() ? probe_cookie(fd, is_mptcp) : 0;
	if (has_received)
		join_gift(fd, cookie, is_mptcp, true);
	if (ledger_is_kept())
		ledger_give(cookie, atomic_load(&row.origin), row.call, fd);
}

EXPORT ssize_t sendmsg(int sockfd, const struct msghdr *message, int flags)
{
	ssize_t n = real.sendmsg(sockfd, message, flags);

	if (__builtin_expect(n >= 0 && message->msg_controllen, 0))
		for_each_gift(message, SL_CALL_sendmsg, given);
	return AFTER_SEND(sockfd, n, sendmsg);
}

EXPORT int sendmmsg(int sockfd, struct mmsghdr *messages, unsigned count, int flags)
{
	int n = real.sendmmsg(sockfd, messages, count, flags);

	for (int i = 0; i < n; i++)
		if (messages[i].msg_hdr.msg_controllen)
			for_each_gift(&messages[i].msg_hdr, SL_CALL_sendmmsg, given);
	return (int)AFTER_SEND(sockfd, n, sendmmsg);
}

EXPORT ssize_t write(int fd, const void *buffer, size_t count)
{
	if (single_is())
		return DIRECT_SEND(write, SYS_write, fd, buffer, count, 0);
	return SENDS(fd, write, fd, buffer, count);
}

EXPORT ssize_t __write(int fd, const void *buffer, size_t count)
{
	if (single_is())
		return DIRECT_SEND(__write, SYS_write, fd, buffer, count, 0);
	return SENDS(fd, __write, fd, buffer, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *vector, int count)
{
	return SENDS(fd, writev, fd, vector, count);
}

/* ---- what ends the short way ---- */

EXPORT int pthread_cancel(pthread_t thread)
{
	single_no_more();
	return real.pthread_cancel(thread);
}

/* ---- end of life ---- */

/* On top of a look that a handler interrupted, too, there is something to say; not in a
 * handler of the helper's own. */
static bool may_speak(void)
{
	return guard_inside ? guard_process() == GUARD_OURS && !helper_is_me()
			    : may_forget();
}

static int last_words(int status)
{
	if (!hooks_are_on)
		return status;
	origin_load_no_more();
	return may_speak() ? start_last_words(status) : status;
}

EXPORT __attribute__((noreturn)) void _exit(int status)
{
	real._exit(last_words(status));
	__builtin_unreachable();
}

EXPORT __attribute__((noreturn)) void _Exit(int status)
{
	real._Exit(last_words(status));
	__builtin_unreachable();
}

/* ---- rights and namespaces ---- */

/* What capset() gives up the calling thread alone gives up: at the next setuid() the
 * C library would be refused by one thread and not by the other, and end the host.  And
 * into some namespaces goes only a process of one thread.  The helper leaves first; the
 * next use of a connection starts one with the rights and namespaces of that moment. */
static void go_alone(void)
{
	if (hooks_are_on && !guard_is_sandboxed && may_forget() && helper_is_looking() &&
	    helper_leave(1000)) {
		helper_return();
		hooks_await(registry_has_connection());
	}
}

EXPORT int capset(void *header, const void *rights)
{
	go_alone();
	return real.capset(header, rights);
}

EXPORT int unshare(int flags)
{
	if (flags & CLONE_NEWUSER)
		go_alone();
	return real.unshare(flags);
}

EXPORT int setns(int fd, int type)
{
	go_alone();
	return real.setns(fd, type);
}

/* The same of system calls. */
static bool changes_rights(long number, long first)
{
	return number == SYS_capset || number == SYS_setns ||
	       (number == SYS_unshare && (first & CLONE_NEWUSER)) ||
	       (number == SYS_prctl && first == PR_SET_SECUREBITS);
}

/* ---- a sandbox ---- */

/* From the moment a filter of the host's own stands, a call that the host does not make
 * may end it.  The helper leaves first: a filter may be laid upon all threads.  false =
 * nothing was changed. */
static bool entering_sandbox(void)
{
	if (!hooks_are_on || guard_is_sandboxed || !may_forget())
		return false;
	helper_leave(1000);
	guard_is_sandboxed = true;
	return true;
}

/* The filter was refused: all is as it was.  (Refused to one of the threads that it was
 * to be laid upon, the call returns that thread's number.) */
static long after_entering(bool has_entered, long result)
{
	if (has_entered && result != 0) {
		guard_is_sandboxed = false;
		helper_return();
		hooks_await(registry_has_connection());
	}
	return result;
}

/* A filter of NULL is how a program asks whether filters are to be had. */
static bool installs_filter(unsigned long mode, unsigned long filter)
{
	return mode != SECCOMP_MODE_FILTER || filter;
}

EXPORT int prctl(int option, ...)
{
	unsigned long words[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECUREBITS)
		go_alone();
	bool has_entered = option == PR_SET_SECCOMP &&
			   installs_filter(words[0], words[1]) && entering_sandbox();
	return (int)after_entering(
		has_entered, real.prctl(option, words[0], words[1], words[2], words[3]));
}

/* ---- libunwind's own ---- */

/* libunwind keeps a pipe and asks mincore to test addresses when it is initialised.  We
 * give it no chance to test any, so it needs neither: no pipe can be had, and mincore
 * works. */
EXPORT int pipe2(int fds[2], int flags)
{
	if (__builtin_expect(guard_inside, 0)) {
		fds[0] = fds[1] = -1;
		errno = ENOSYS;
		return -1;
	}
	return real.pipe2(fds, flags);
}

EXPORT int mincore(void *address, size_t length, unsigned char *vector)
{
	if (__builtin_expect(guard_inside, 0))
		return 0;
	return real.mincore(address, length, vector);
}

/* ---- any of them by number ---- */

/* libuv closes by number, since close() is a cancellation point: so may no call be that
 * is made here. */
long hooks_syscall(long number, long a, long b, long c, long d, long e, long f);
long hooks_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	struct row was;
	bool had = false;
	struct accepting one;
	bool has_entered = false;
	long result;

	switch (number) {
	case SYS_accept:
	case SYS_accept4:
		begin_accept(&one, (int)a, (struct sockaddr *)b, (socklen_t *)c);
		b = (long)one.address;
		c = (long)one.length;
		break;
	case SYS_close:
		ending((int)a);
		break;
	case SYS_close_range:
		if (closes_a_range((unsigned)c))
			ending_range((unsigned)a, (unsigned)b);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		had = begin_replacing((int)a, (int)b, &was);
		break;
	case SYS_exit_group:
		a = last_words((int)a);
		break;
	case SYS_exit:
		/* Of main(): the process goes on without a leader, and without us. */
		if (guard_sys(SYS_gettid) == guard_pid)
			helper_retire();
		break;
	case SYS_seccomp:
		if (a != SECCOMP_SET_MODE_STRICT && a != SECCOMP_SET_MODE_FILTER)
			break;
		if (installs_filter(a == SECCOMP_SET_MODE_FILTER ? SECCOMP_MODE_FILTER
								 : SECCOMP_MODE_STRICT,
				    (unsigned long)c))
			has_entered = entering_sandbox();
		break;
	case SYS_prctl:
		if (a == PR_SET_SECCOMP &&
		    installs_filter((unsigned long)b, (unsigned long)c))
			has_entered = entering_sandbox();
		break;
	default:
		break;
	}
	if (changes_rights(number, a))
		go_alone();
	result = after_entering(has_entered, real.syscall(number, a, b, c, d, e, f));
	switch (number) {
	case SYS_socket:
		after_socket((int)result, (int)a, (int)b, (int)c);
		break;
	case SYS_accept:
	case SYS_accept4:
		end_accept(&one, (int)result,
			   number == SYS_accept ? SL_CALL_accept : SL_CALL_accept4);
		break;
	case SYS_connect:
		after_connect((int)a, (int)result, (const struct sockaddr *)b,
			      (socklen_t)c);
		break;
	case SYS_shutdown:
		after_shutdown((int)a, (int)b, (int)result);
		break;
	case SYS_dup:
		copied((int)a, (int)result);
		break;
#ifdef SYS_dup2
	case SYS_dup2:
#endif
	case SYS_dup3:
		end_replacing((int)a, (int)b, (int)result, had, &was);
		break;
	case SYS_fcntl:
		after_fcntl((int)a, (int)b, (int)result);
		break;
	case SYS_pidfd_getfd:
		if (result >= 0)
			received((int)result, SL_CALL_pidfd_getfd);
		break;
	default:
		break;
	}
	return result;
}

/* A tail jump for all other numbers, so that no frame of ours stands below calls that
 * return twice or on another stack.  `real` and the functions are hidden: no PLT. */
__attribute__((used)) static void name_offset(void)
{
	__asm__ volatile(
		".set real_syscall_at, %c0" ::"i"(offsetof(struct real, syscall)));
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
	WATCHED(SYS_setns)
#if defined __x86_64__
#define WATCHED(number) "cmpq $" STRING(number) ", %rdi\n\tje 1f\n\t"
__asm__(".text\n\t"
	".globl syscall\n\t"
	".type syscall, @function\n"
	"syscall:\n\t"
	".cfi_startproc\n\t"
	"endbr64\n\t"
	ALL_WATCHED
	WATCHED(SYS_dup2)
	"jmp *real+real_syscall_at(%rip)\n"
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
	".cfi_endproc\n\t"
	".size syscall, .-syscall\n");
#else
/* All seven words are in registers, as hooks_syscall() takes them. */
#define WATCHED(number) "cmp x0, #" STRING(number) "\n\tb.eq hooks_syscall\n\t"
__asm__(".text\n\t"
	".p2align 2\n\t"
	".globl syscall\n\t"
	".type syscall, %function\n"
	"syscall:\n\t"
	".cfi_startproc\n\t"
	"hint 34\n\t" /* bti c */
	ALL_WATCHED
	"adrp x16, real+real_syscall_at\n\t"
	"ldr x16, [x16, :lo12:real+real_syscall_at]\n\t"
	"br x16\n\t"
	".cfi_endproc\n\t"
	".size syscall, .-syscall\n");
#endif
/* clang-format on */
