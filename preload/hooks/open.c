/* Calls that open: socket, accept, connect. */
#include "hooks/hooks.h"

#include "scan/scan.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/syscall.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

static bool is_inet_stream(int domain, int type, int protocol)
{
	return (domain == AF_INET || domain == AF_INET6) &&
	       (type & ~(SOCK_NONBLOCK | SOCK_CLOEXEC)) == SOCK_STREAM &&
	       (protocol == 0 || protocol == IPPROTO_TCP || protocol == IPPROTO_MPTCP);
}

int after_socket(int fd, int domain, int type, int protocol)
{
	if (fd >= 0 && is_inet_stream(domain, type, protocol))
		opened(fd, SL_CALL_socket, SL_ORIGIN_KIND_NONE,
		       protocol == IPPROTO_MPTCP ? ENTRY_MPTCP : 0, NULL);
	else if (is_refused_for_want_of_numbers(fd))
		scan_limit_hit();
	return fd;
}

EXPORT int socket(int domain, int type, int protocol)
{
	return after_socket(next.socket(domain, type, protocol), domain, type, protocol);
}

/* What kind of listener `fd` is: asked of the kernel once, then its entry tells. */
static uint64_t listener_bits(int fd)
{
	struct fd_entry entry;

	if (!fd_table_read(fd, &entry)) {
		if (!may_drop())
			return ENTRY_NOT_TCP;
		int protocol = guard_is_sandboxed ? 0 : probe_protocol(fd);

		fd_table_adopt(fd, SL_ORIGIN_UNKNOWN,
			       !protocol                  ? ENTRY_NOT_TCP
			       : protocol != PROTOCOL_TCP ? ENTRY_MPTCP
							  : 0);
		if (!fd_table_read(fd, &entry))
			return ENTRY_NOT_TCP;
	}
	return atomic_load(&entry.word) & (ENTRY_NOT_TCP | ENTRY_MPTCP);
}

void begin_accept(struct accepting *one, int listener, struct sockaddr *address,
		  socklen_t *length)
{
	one->bits = may_record() ? listener_bits(listener) : ENTRY_NOT_TCP;
	one->address = address;
	one->length = length;
	one->room = 0;
	/* The kernel may have no address for a listener of another kind, and would fail
	 * the call. */
	if (one->bits & ENTRY_NOT_TCP)
		return;
	if (!address) {
		one->own_length = one->room = sizeof(one->own);
		one->address = (struct sockaddr *)&one->own;
		one->length = &one->own_length;
	} else if (is_on_own_stack(length, sizeof(*length)) &&
		   is_on_own_stack(address, sizeof(one->own))) {
		one->room = *length;
	} /* else it may not be read in place: the next scan asks for the address */
}

int end_accept(const struct accepting *one, int fd, enum sl_call call)
{
	if (is_refused_for_want_of_numbers(fd))
		scan_limit_hit();
	if (fd < 0 || (one->bits & ENTRY_NOT_TCP))
		return fd;
	/* The kernel says how long the address is, also where it had to cut it. */
	bool has_peer = one->room && *one->length >= sizeof(struct sockaddr_in) &&
			*one->length <= one->room;
	opened(fd, call, SL_ORIGIN_KIND_NONE,
	       one->bits | ENTRY_CONNECTED | ENTRY_ESTABLISHED,
	       has_peer ? one->address : NULL);
	return fd;
}

EXPORT int accept(int sockfd, __SOCKADDR_ARG address, socklen_t *restrict length)
{
	struct accepting one;

	begin_accept(&one, sockfd, address.__sockaddr__, length);
	return end_accept(&one, (int)HOST_CALL(accept, sockfd, one.address, one.length),
			  SL_CALL_accept);
}

EXPORT int accept4(int sockfd, __SOCKADDR_ARG address, socklen_t *restrict length,
		   int flags)
{
	struct accepting one;

	begin_accept(&one, sockfd, address.__sockaddr__, length);
	return end_accept(&one,
			  (int)HOST_CALL(accept4, sockfd, one.address, one.length, flags),
			  SL_CALL_accept4);
}

/* Whether the call was an attempt to connect that failed.  With one of the other errors
 * an attempt goes on, there is a connection already, or none was tried. */
static bool is_refused(void)
{
	static const int others[] = {EINPROGRESS, EINTR,  EALREADY,     EISCONN,
				     EBADF,       EFAULT, EAFNOSUPPORT, EINVAL};

	for (unsigned i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (errno == others[i])
			return false;
	return true;
}

/* The attempt before this one failed: the socket is in use, and its age begins anew.
 * EINPROGRESS is said only of an attempt that begins. */
static bool begins_anew(int fd, int result)
{
	struct fd_entry entry;

	if (!fd_table_read(fd, &entry))
		return false;
	uint64_t word = atomic_load(&entry.word);
	bool was_tried = (word & (ENTRY_TRIED | ENTRY_ESTABLISHED)) == ENTRY_TRIED;
	return (word & ENTRY_REFUSED) || (was_tried && result < 0);
}

int after_connect(int fd, int result, const struct sockaddr *address, socklen_t length)
{
	bool refused = result < 0 && is_refused();

	if (result < 0 && !refused && errno != EINPROGRESS && errno != EINTR)
		return result;
	if (!fd_table_knows(fd) || !may_record() || !address ||
	    length < sizeof(address->sa_family) || !may_drop())
		return result;
	if (begins_anew(fd, result))
		fd_table_dissolve(fd);
	if (address->sa_family == AF_UNSPEC && result == 0)
		fd_table_dissolve(fd);
	if (address->sa_family != AF_INET && address->sa_family != AF_INET6)
		return result;
	fd_table_set_peer(fd, address, length);
	if (refused)
		notice_refused(fd);
	else
		fd_table_set_bits(fd, ENTRY_TRIED | ENTRY_CONNECTED |
					      (result < 0 ? 0 : ENTRY_ESTABLISHED));
	start_connection();
	return result;
}

EXPORT int connect(int sockfd, __CONST_SOCKADDR_ARG address, socklen_t length)
{
	const struct sockaddr *to = address.__sockaddr__;

	return after_connect(sockfd, (int)HOST_CALL(connect, sockfd, to, length), to,
			     length);
}

EXPORT int __connect(int sockfd, const struct sockaddr *address, socklen_t length)
{
	return after_connect(sockfd, next.__connect(sockfd, address, length), address,
			     length);
}
