/* See probe.h. */
#include "base/probe.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"

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
#define SOL_MPTCP  284
#define MPTCP_INFO 1
#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif

#define AWAIT_SPINS    4000 /* five microseconds: a probe of one takes two to four */
#define AWAIT_FIRST_NS 100000
#define AWAIT_LAST_NS  51200000 /* each pause is twice the former: 0.1 s in all */

const struct fd_access fd_access_directly = {-1};

static long get_option(int fd, int level, int name, void *value, socklen_t size)
{
	return guard_sys(SYS_getsockopt, fd, level, name, value, &size);
}

_Atomic int probe_imported_fd = -1;

AT_START int probe_import_fd(const struct fd_access *access, int fd,
			     bool (*is_held)(int fd, uint32_t generation),
			     uint32_t generation)
{
	int imported = -EBADF;

	if (access->pidfd < 0)
		return fd;
	atomic_store(&probe_imported_fd, fd);
	if (!is_held || is_held(fd, generation))
		imported = (int)guard_sys(SYS_pidfd_getfd, access->pidfd, fd, 0);
	if (imported < 0)
		atomic_store(&probe_imported_fd, -1);
	return imported;
}

AT_START void probe_release_fd(const struct fd_access *access, int imported)
{
	if (access->pidfd < 0)
		return;
	guard_sys(SYS_close, imported);
	atomic_store(&probe_imported_fd, -1);
}

/* The one of `first` to `last` that is imported, or -1.  What a parent imported is none
 * of a child's that has not begun its tracking state. */
static int borrowed_of(unsigned first, unsigned last)
{
	int fd = atomic_load(&probe_imported_fd);

	return fd >= 0 && (unsigned)fd >= first && (unsigned)fd <= last &&
			       !in_forked_copy()
		       ? fd
		       : -1;
}

void probe_await_release(unsigned first, unsigned last)
{
	int fd = -1;

	for (uint64_t pause_ns = AWAIT_FIRST_NS; pause_ns <= AWAIT_LAST_NS;
	     pause_ns *= 2) {
		for (unsigned spins = 0; spins < AWAIT_SPINS; spins++)
			if ((fd = borrowed_of(first, last)) < 0)
				return;
		clock_pause(pause_ns);
	}
	/* The thread that imported the descriptor is stopped, or blocked in a write: the
	 * next close of this number, whatever file it is by then, does not wait for it
	 * again. */
	atomic_compare_exchange_strong(&probe_imported_fd, &fd, -1);
}

void probe_fork_child(void)
{
	atomic_store(&probe_imported_fd, -1);
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

/* What is accepted from an MPTCP listener inherits the listener's cookie, if any process
 * ever asked for it (Linux 6.18; `ss -e` asks for all): there the inode is the
 * identity. */
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

/* A peer that takes nothing acknowledges nothing, but answers each probe of its window:
 * the last ACK is always young then.  If nothing is on its way, what was sent last has
 * been acknowledged, and within the time after which it would have been sent again (twice
 * that: the acknowledgement may have shortened it). */
static uint32_t last_acked_ms(const struct tcp_info *info)
{
	uint32_t resend_ms = 2 * (info->tcpi_rto / 1000);
	uint32_t quiet_ms = !info->tcpi_unacked && info->tcpi_last_data_sent > resend_ms
				    ? info->tcpi_last_data_sent - resend_ms
				    : 0;

	return quiet_ms > info->tcpi_last_ack_recv ? quiet_ms : info->tcpi_last_ack_recv;
}

/* The kernel answers old programs with a shorter struct: what it did not write stays 0.
 */
void probe_read_info(const struct tcp_info *info, struct probe *probe)
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
	probe->n_probes = info->tcpi_probes;
	probe->acked = info->tcpi_bytes_acked;
	probe->last_ack_ms = info->tcpi_last_ack_recv;
	probe->last_acked_ms = last_acked_ms(info);
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
	probe->acked = counts.acknowledged;
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
 * 1400, so that a scan costs 1700 and 2410 in all, and with poll in the place of TCP_INFO
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
	probe_read_info(&info, probe);
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

/* The kernel ends a connection when TCP_KEEPCNT probes went unanswered.  An RST that
 * answers a probe leaves their number at what it was, which is smaller, but for one that
 * answers the last: of a single probe nothing is known. */
static bool keepalive_gave_up(int fd, const struct probe *probe)
{
	int is_on = 0, n_most = 0;

	return probe->state == STATE_CLOSE && probe->n_probes > 1 &&
	       get_option(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof(is_on)) == 0 &&
	       is_on &&
	       get_option(fd, IPPROTO_TCP, TCP_KEEPCNT, &n_most, sizeof(n_most)) == 0 &&
	       probe->n_probes >= n_most;
}

bool probe_ends(int fd, struct probe_ends *ends)
{
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);

	memset(ends, 0, sizeof(*ends));
	if (guard_sys(SYS_getsockname, fd, &address, &length) < 0)
		return false;
	read_address(&address, &ends->family, ends->local, &ends->local_port);
	if (address.ss_family == AF_INET6)
		ends->interface = ((struct sockaddr_in6 *)&address)->sin6_scope_id;
	return probe_peer(fd, &ends->family, ends->peer, &ends->peer_port);
}

/* `asked`: what FIONREAD said, -1 = nothing.  MPTCP counts its DATA_FIN as a byte
 * (mptcp_inq_hint() in net/mptcp/protocol.c), which one that was reset may not have. */
static uint32_t unread_of(const struct probe *probe, long asked, bool is_empty)
{
	if (is_empty && (asked >= 0 || !probe->is_mptcp))
		return 0;
	if (asked < 0 || (probe->is_mptcp && probe->state == STATE_CLOSE))
		return PROBE_UNREAD_UNKNOWN;
	return (uint32_t)(asked - (probe->is_mptcp && asked > 0));
}

void probe_details(int fd, const struct probe *probe, struct probe_details *details)
{
	uint32_t memory[16] = {0};
	struct sockaddr_storage address = {0};
	socklen_t length = sizeof(address);
	struct stat is;

	memset(details, 0, sizeof(*details));
	if (guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0)
		details->inode = is.st_ino;
	/* What MPTCP has received is moved into its own queue by this question. */
	int n = 0;
	long asked =
		guard_has_filter || guard_sys(SYS_ioctl, fd, FIONREAD, &n) < 0 ? -1 : n;
	bool is_empty = false;
	if (get_option(fd, SOL_SOCKET, SO_MEMINFO, memory, sizeof(memory)) == 0) {
		is_empty = !memory[SK_MEMINFO_RMEM_ALLOC];
		details->fin_unread = !is_empty;
		details->kernel_bytes =
			memory[SK_MEMINFO_RMEM_ALLOC] + memory[SK_MEMINFO_WMEM_QUEUED] +
			memory[SK_MEMINFO_FWD_ALLOC] + memory[SK_MEMINFO_OPTMEM];
	}
	details->unread_bytes = unread_of(probe, asked, is_empty);
	details->timed_out = keepalive_gave_up(fd, probe);
	if (guard_sys(SYS_getsockname, fd, &address, &length) == 0)
		read_address(&address, &details->family, details->local,
			     &details->local_port);
	probe_peer(fd, &details->family, details->peer, &details->peer_port);
}
