/* Both ends of a connection in one program: a fixture is its own peer, on loopback, on a
 * port the kernel picks.  Every wait is for a state the kernel shows, with a deadline; a
 * fixture that cannot reach the state it claims says so and ends with 99. */
#ifndef PEER_H
#define PEER_H

#include "expect.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <sys/ioctl.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define PEER_WAIT_MS 30000
#define PORT_WAIT_MS 75000 /* TIME_WAIT lasts 60 s */

enum peer_net { NET_IPV4, NET_IPV6, NET_MPTCP, NET_MAPPED /* IPv4 in IPv6 sockets */ };
int peer_net; /* what sockets are made of from now on */

#define peer_fail(what) peer_fail_at(__FILE__, __LINE__, what)
__attribute__((noreturn)) static inline void peer_fail_at(const char *file, int line,
							  const char *what)
{
	fprintf(stderr, "fixture: %s:%d: %s: %s\n", file, line, what, strerror(errno));
	_exit(99);
}

/* Ends the program with 99 unless the condition holds. */
#define must(condition)                                                                  \
	do {                                                                             \
		if (!(condition))                                                        \
			peer_fail(#condition);                                           \
	} while (0)

static inline int peer_family(void)
{
	return peer_net == NET_IPV6 || peer_net == NET_MAPPED ? AF_INET6 : AF_INET;
}

static inline int peer_protocol(void)
{
	return peer_net == NET_MPTCP ? IPPROTO_MPTCP : 0;
}

/* The loopback address of the family with this port, in host byte order. */
static inline socklen_t peer_address(struct sockaddr_storage *address, int family,
				     uint16_t port)
{
	struct sockaddr_in *four = (struct sockaddr_in *)address;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)address;

	memset(address, 0, sizeof(*address));
	address->ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		six->sin6_addr = in6addr_loopback;
		if (peer_net == NET_MAPPED)
			inet_pton(AF_INET6, "::ffff:127.0.0.1", &six->sin6_addr);
		six->sin6_port = htons(port);
		return sizeof(*six);
	}
	four->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	four->sin_port = htons(port);
	return sizeof(*four);
}

/* Where somebody has just made connections by the ten thousand, every port the kernel
 * could give is in TIME_WAIT: one will be free. */
static inline void peer_bind(int fd, const struct sockaddr_storage *address,
			     socklen_t size)
{
	const struct sockaddr *any = (const struct sockaddr *)address;

	/* Some hosts may not read the clock. */
	for (int tries = PORT_WAIT_MS / 10; bind(fd, any, size); pause_ms(10))
		must(errno == EADDRINUSE && tries--);
}

/* Binds to loopback, port 0, and listens. */
static inline int peer_listen(void)
{
	struct sockaddr_storage address;
	socklen_t size = peer_address(&address, peer_family(), 0);
	int fd = socket(peer_family(), SOCK_STREAM | SOCK_CLOEXEC, peer_protocol());

	must(fd >= 0);
	peer_bind(fd, &address, size);
	must(!listen(fd, 1024));
	return fd;
}

/* A port that refuses, for as long as the descriptor is held: bound, not listening. */
static inline int peer_refusing(struct sockaddr_storage *address, socklen_t *size)
{
	int fd = socket(peer_family(), SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	*size = peer_address(address, peer_family(), 0);
	peer_bind(fd, address, *size);
	must(!getsockname(fd, (struct sockaddr *)address, size));
	return fd;
}

static inline int peer_error(int fd)
{
	int error = 0;
	socklen_t size = sizeof(error);

	must(!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size));
	return error;
}

static inline uint16_t peer_port(int listener)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	must(!getsockname(listener, (struct sockaddr *)&address, &size));
	return ntohs(((struct sockaddr_in *)&address)->sin_port);
}

static inline void peer_connect_fd(int fd, int listener)
{
	struct sockaddr_storage address;
	socklen_t size = peer_address(&address, peer_family(), peer_port(listener));

	must(!connect(fd, (struct sockaddr *)&address, size));
}

static inline int peer_connect(int listener)
{
	int fd = socket(peer_family(), SOCK_STREAM | SOCK_CLOEXEC, peer_protocol());

	must(fd >= 0);
	peer_connect_fd(fd, listener);
	return fd;
}

/* For connections that are not the point. */
static inline int peer_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	must(fd >= 0);
	return fd;
}

static inline void peer_send(int fd, const void *bytes, size_t size)
{
	must(send(fd, bytes, size, MSG_NOSIGNAL) == (ssize_t)size);
}

static inline void peer_close(int fd)
{
	must(!close(fd));
}

/* Leaves by RST. */
static inline void peer_reset(int fd)
{
	struct linger now = {1, 0};

	must(!setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	must(!close(fd));
}

/* tcpi_state; 0 where it cannot be asked. */
static inline unsigned peer_state(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) ? 0 : info.tcpi_state;
}

#define await_state(fd, state) await_state_at(fd, state, __FILE__, __LINE__)
static inline void await_state_at(int fd, unsigned state, const char *file, int line)
{
	for (long until = now_ms() + PEER_WAIT_MS; peer_state(fd) != state; pause_ms(1))
		if (now_ms() > until)
			peer_fail_at(file, line, "the state claimed was not reached");
}

/* Until poll says that the peer has gone: also true of MPTCP, whose TCP_INFO keeps
 * saying ESTABLISHED. */
static inline void await_gone(int fd)
{
	struct pollfd one = {fd, POLLRDHUP, 0};

	must(poll(&one, 1, PEER_WAIT_MS) == 1);
}

/* Until the peer's FIN was seen: CLOSE_WAIT, for MPTCP by poll. */
static inline void await_fin(int fd)
{
	if (peer_net == NET_MPTCP)
		await_gone(fd);
	else
		await_state(fd, TCP_CLOSE_WAIT);
}

/* Until so many bytes stand unread. */
static inline void await_unread(int fd, int bytes)
{
	int n = 0;

	for (long until = now_ms() + PEER_WAIT_MS; n < bytes; pause_ms(1)) {
		must(!ioctl(fd, FIONREAD, &n));
		must(now_ms() < until);
	}
}

/* Is told of the end of stream, by recv(). */
static inline void read_to_end(int fd)
{
	char bytes[256];
	ssize_t n;

	while ((n = recv(fd, bytes, sizeof(bytes), 0)) > 0)
		;
	must(n == 0);
}

/* A leak that counts at exit, whatever the grace. */
static inline void leak_told(void)
{
	int listener = peer_listen(), client = peer_connect(listener);
	int server = peer_accept(listener);

	peer_close(client);
	read_to_end(server);
}

/* How a pattern of one socket in CLOSE_WAIT ends: mended, by closing it.
 * stay: stay_past_grace, or witness_point in mode exit. */
static inline int forget(int fd, void (*stay)(void))
{
	if (mended)
		peer_close(fd);
	holds(!mended && peer_net != NET_MPTCP, 0);
	stay();
	return 0;
}

/* The same of a dead one, which `ss` does not list. */
static inline int forget_dead(int fd, void (*stay)(void))
{
	if (mended)
		peer_close(fd);
	holds(0, !mended);
	stay();
	return 0;
}

#endif
