/* See probe.h. */
#include "probe.h"

#include "arena.h"
#include "guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#ifndef SO_MEMINFO
#define SO_MEMINFO 55
#endif
#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define SOL_MPTCP  284
#define MPTCP_INFO 1
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define AWAIT_SPINS    4000 /* five microseconds: a look at one takes two to four */
#define AWAIT_FIRST_NS 100000
#define AWAIT_LAST_NS  51200000 /* each pause is twice the former: 0.1 s in all */

#define STATE_ESTABLISHED 1
#define STATE_CLOSE       7
#define STATE_CLOSE_WAIT  8
#define STATE_LAST_ACK    9
#define STATE_LISTEN      10
#define STATE_CLOSING     11

static long get_option(int fd, int level, int name, void *value, socklen_t size)
{
	return guard_sys(SYS_getsockopt, fd, level, name, value, &size);
}

_Atomic int probe_borrowed = -1;

AT_START int probe_borrow(const struct probe_way *way, int fd,
			  bool (*is_held)(int fd, uint32_t life), uint32_t life)
{
	int borrowed = -EBADF;

	if (way->pidfd < 0)
		return fd;
	atomic_store(&probe_borrowed, fd);
	if (!is_held || is_held(fd, life))
		borrowed = (int)guard_sys(SYS_pidfd_getfd, way->pidfd, fd, 0);
	if (borrowed < 0)
		atomic_store(&probe_borrowed, -1);
	return borrowed;
}

AT_START void probe_return(const struct probe_way *way, int borrowed)
{
	if (way->pidfd < 0)
		return;
	guard_sys(SYS_close, borrowed);
	atomic_store(&probe_borrowed, -1);
}

/* The one of `first` to `last` that is borrowed, or -1.  What a parent borrowed is none
 * of a child's that has not begun its books. */
static int borrowed_of(unsigned first, unsigned last)
{
	int fd = atomic_load(&probe_borrowed);

	return fd >= 0 && (unsigned)fd >= first && (unsigned)fd <= last &&
			       !guard_is_copy()
		       ? fd
		       : -1;
}

void probe_await_return(unsigned first, unsigned last)
{
	struct timespec pause = {0, AWAIT_FIRST_NS};
	int fd = -1;

	for (; pause.tv_nsec <= AWAIT_LAST_NS; pause.tv_nsec *= 2) {
		for (unsigned spins = 0; spins < AWAIT_SPINS; spins++)
			if ((fd = borrowed_of(first, last)) < 0)
				return;
		guard_sys(SYS_nanosleep, &pause, NULL);
	}
	/* Who borrowed it is stopped, or writes into a pipe that nobody reads: the next
	 * one to end this number, whatever it is by then, does not wait for it again. */
	atomic_compare_exchange_strong(&probe_borrowed, &fd, -1);
}

void probe_fork_child(void)
{
	atomic_store(&probe_borrowed, -1);
}

AT_START int probe_protocol(int fd)
{
	int protocol = 0, type = 0;

	if (get_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, sizeof(protocol)) < 0)
		return 0;
	if (protocol == IPPROTO_MPTCP)
		return protocol;
	if (protocol != IPPROTO_TCP ||
	    get_option(fd, SOL_SOCKET, SO_TYPE, &type, sizeof(type)) < 0 ||
	    type != SOCK_STREAM)
		return 0;
	return protocol;
}

/* What is accepted from an MPTCP listener inherits the listener's cookie, if anybody ever
 * asked for it (Linux 6.18; `ss -e` asks of all): there the inode is the identity. */
static long ask_identity(int fd, bool is_mptcp, uint64_t *cookie)
{
	struct stat is;

	if (!is_mptcp)
		return get_option(fd, SOL_SOCKET, SO_COOKIE, cookie, sizeof(*cookie));
	long result = guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH);
	if (result == 0)
		*cookie = PROBE_INODE_COOKIE | is.st_ino;
	return result;
}

uint64_t probe_cookie(int fd, bool is_mptcp)
{
	uint64_t cookie = 0;

	if (!guard_is_sandboxed)
		ask_identity(fd, is_mptcp, &cookie);
	return cookie;
}

/* TCP_INFO of an MPTCP socket says ESTABLISHED for ever. */
static uint8_t state_by_poll(int fd, bool *was_connected)
{
	struct pollfd one = {fd, POLLIN | POLLOUT | POLLRDHUP, 0};
	struct timespec none = {0, 0};

	guard_sys(SYS_ppoll, &one, 1, &none, NULL, 8);
	if (one.revents & POLLRDHUP)
		*was_connected = true;
	if ((one.revents & (POLLHUP | POLLERR)) && (one.revents & POLLRDHUP))
		return STATE_CLOSE;
	return one.revents & POLLRDHUP ? STATE_CLOSE_WAIT : STATE_ESTABLISHED;
}

/* The kernel answers old programs with a shorter struct: what it did not write stays 0.
 */
static void read_info(const struct tcp_info *info, struct probe *probe)
{
	uint8_t state = info->tcpi_state;
	/* An unacknowledged FIN of ours counts as a segment, but holds no data. */
	uint32_t fin = state == STATE_LAST_ACK || state == STATE_CLOSING;

	probe->state = state;
	probe->was_connected =
		state != STATE_LISTEN &&
		(info->tcpi_bytes_acked || info->tcpi_bytes_received || info->tcpi_rtt);
	/* In CLOSE the queue is purged and the figures are what was left of them. */
	probe->is_sending = state != STATE_CLOSE &&
			    (info->tcpi_unacked > fin || info->tcpi_notsent_bytes > fin);
	probe->gave_up =
		state == STATE_CLOSE && (info->tcpi_probes || info->tcpi_retransmits);
	probe->last_ack_ms = info->tcpi_last_ack_recv;
	probe->last_sent_ms = info->tcpi_last_data_sent;
}

/* The kernel's struct mptcp_info, which older headers cut short. */
struct mptcp_counts {
	uint8_t small[8];
	uint32_t flags, token;
	uint64_t written, acknowledged, read;
	uint8_t more[4];
	uint32_t retransmits;
	uint64_t bytes[4];
	uint32_t subflows, last_data_sent_ms, last_data_received_ms, last_ack_ms;
};

static void read_mptcp(int fd, struct probe *probe)
{
	struct mptcp_counts counts;
	socklen_t size = sizeof(counts);

	memset(&counts, 0, sizeof(counts));
	probe->is_mptcp = true;
	probe->state = state_by_poll(fd, &probe->was_connected);
	probe->last_sent_ms = UINT32_MAX;
	if (guard_sys(SYS_getsockopt, fd, SOL_MPTCP, MPTCP_INFO, &counts, &size) < 0)
		return;
	probe->is_sending =
		probe->state != STATE_CLOSE && counts.written != counts.acknowledged;
	probe->written = (uint32_t)counts.written;
	if (size > offsetof(struct mptcp_counts, last_data_sent_ms))
		probe->last_sent_ms = counts.last_data_sent_ms;
}

static enum probe_result failed(long error)
{
	switch (error) {
	case -EBADF:
		return PROBE_CLOSED;
	case -ENOTSOCK:
	case -ENOPROTOOPT:
	case -EOPNOTSUPP:
		return PROBE_OTHER;
	default:
		return PROBE_REFUSED;
	}
}

/* TCP_INFO and not poll: in one call it tells the state, what is still to be sent and
 * when something was last.  Measured on Linux 6.18 in ns a socket, of 100 and of 4,000 on
 * a busy machine: TCP_INFO 430 and 1010, poll of one 270 and 710, SO_COOKIE 230 and 420.
 * But reaching a socket from a table of one's own (pidfd_getfd, close) takes 1000 and
 * 1400, so that a look costs 1700 and 2410 in all, and with poll in the place of TCP_INFO
 * and of the cookie 1320 and 1910.  Poll of 256 at a time takes 80 to 95, but needs the
 * host's own table. */
enum probe_result probe_socket(int fd, bool is_mptcp, uint64_t wanted_cookie,
			       struct probe *probe)
{
	struct tcp_info info;

	memset(probe, 0, sizeof(*probe));
	long result = ask_identity(fd, is_mptcp, &probe->cookie);
	if (result < 0)
		return failed(result);
	if (wanted_cookie && probe->cookie != wanted_cookie)
		return PROBE_OTHER;
	memset(&info, 0, sizeof(info));
	result = get_option(fd, IPPROTO_TCP, TCP_INFO, &info, sizeof(info));
	if (result < 0)
		return failed(result);
	read_info(&info, probe);
	if (is_mptcp && probe->state != STATE_LISTEN)
		read_mptcp(fd, probe);
	return PROBE_TCP;
}

static void read_address(const struct sockaddr_storage *from, uint16_t *family,
			 uint8_t address[16], uint16_t *port)
{
	if (from->ss_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)from;

		memcpy(address, &in->sin_addr, 4);
		*port = ntohs(in->sin_port);
		*family = AF_INET;
	} else if (from->ss_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)from;

		memcpy(address, &in6->sin6_addr, 16);
		*port = ntohs(in6->sin6_port);
		*family = AF_INET6;
	}
}

bool probe_peer(int fd, uint16_t *family, uint8_t peer[16], uint16_t *port)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);

	if (guard_sys(SYS_getpeername, fd, &address, &length) < 0)
		return false;
	read_address(&address, family, peer, port);
	return true;
}

void probe_details(int fd, struct probe_details *details)
{
	uint32_t memory[16] = {0};
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	struct pollfd one = {fd, 0, 0};
	struct timespec none = {0, 0};
	struct stat is;
	int unread = 0;

	memset(details, 0, sizeof(*details));
	if (guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0)
		details->inode = is.st_ino;
	if (!guard_has_filter && guard_sys(SYS_ioctl, fd, FIONREAD, &unread) == 0 &&
	    unread > 0)
		details->unread_bytes = (uint32_t)unread;
	if (get_option(fd, SOL_SOCKET, SO_MEMINFO, memory, sizeof(memory)) == 0) {
		details->fin_unread = memory[SK_MEMINFO_RMEM_ALLOC] > 0;
		details->kernel_bytes =
			memory[SK_MEMINFO_RMEM_ALLOC] + memory[SK_MEMINFO_WMEM_QUEUED] +
			memory[SK_MEMINFO_FWD_ALLOC] + memory[SK_MEMINFO_OPTMEM];
	}
	guard_sys(SYS_ppoll, &one, 1, &none, NULL, 8);
	details->has_error = one.revents & POLLERR;
	if (guard_sys(SYS_getsockname, fd, &address, &length) == 0)
		read_address(&address, &details->family, details->local,
			     &details->local_port);
	probe_peer(fd, &details->family, details->peer, &details->peer_port);
}
