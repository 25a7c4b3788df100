/* Descriptors that are passed over Unix sockets, or taken by pidfd_getfd(). */
#include "hooks/hooks.h"

#include "base/arena.h"
#include "hooks/read_write.h"
#include "ledger/ledger_writer.h"
#include "scan/scan.h"
#include "unwind/origin.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

/* Whether this process has ever passed, or received, a descriptor: a passed one may come
 * back to it. */
static _Atomic bool has_passed, has_received;

/* Of each descriptor that was passed or received what its socket's cookie leaves in 16
 * bits: a search among thousands looks at two bytes of each.  What stands there of a
 * number's former descriptor is compared in vain. */
#define N_HASHES     (FD_TABLE_ENTRIES * FD_TABLE_CHUNKS)
#define HASH_UNKNOWN 1                          /* 0 = neither */
static _Atomic uint16_t *_Atomic cookie_hashes; /* NULL before the first is stored */
static _Atomic bool lacks_hash;                 /* for want of memory: all are compared */

static uint16_t hash_of(uint64_t cookie)
{
	return (uint16_t)(cookie % (UINT16_MAX - 1) + HASH_UNKNOWN + 1);
}

static void note_hash(int fd, uint16_t hash)
{
	_Atomic uint16_t *all =
		arena_map_once((void *_Atomic *)&cookie_hashes, N_HASHES * sizeof(*all));

	if (!all)
		lacks_hash = true;
	else if (fd < N_HASHES)
		atomic_store(&all[fd], hash);
}

/* `all`: NULL = not known. */
static bool may_have_hash(const _Atomic uint16_t *all, int fd, uint16_t hash)
{
	uint16_t is =
		all ? atomic_load_explicit(&all[fd], memory_order_relaxed) : HASH_UNKNOWN;

	return is == hash || is == HASH_UNKNOWN;
}

/* Read without care: join_received() reads the entry again. */
static UNCHECKED bool may_be_joined(int fd, bool was_given)
{
	const struct fd_entry *entry = fd_table_entry(fd);
	uint64_t word =
		entry ? atomic_load_explicit(&entry->word, memory_order_acquire) : 0;

	return word && (was_given ? (word & ENTRY_PASSED) != 0
				  : entry->origin_kind == SL_ORIGIN_RECEIVED);
}

static uint64_t cookie_of(int fd, bool is_mptcp)
{
	struct fd_entry entry;

	if (!fd_table_read(fd, &entry))
		return 0;
	uint32_t generation = ENTRY_GENERATION(atomic_load(&entry.word));
	uint64_t known =
		entry.scanned_gen == generation ? entry.cookie : notice_cookie_of(&entry);
	return known ? known : probe_cookie(fd, is_mptcp);
}

/* A socket that this process has passed and received has two descriptors in the tracking
 * state.  The hook that runs second, of the sending or the receiving call, finds the
 * other one. */
static void join_received(int fd, uint64_t cookie, bool is_mptcp, bool is_given)
{
	const uint16_t hash = hash_of(cookie);
	const _Atomic uint16_t *all = lacks_hash ? NULL : cookie_hashes;

	for (int other = 0, top = (int)fd_table_top(); other < top; other++)
		if (may_have_hash(all, other, hash) && other != fd &&
		    may_be_joined(other, !is_given) &&
		    cookie_of(other, is_mptcp) == cookie)
			fd_table_join(is_given ? other : fd, is_given ? fd : other);
}

/* The cookie of the socket: for the hook that runs second, and for the ledger, which has
 * it even if this process is killed before the next scan.  0 = not needed.  `has_one`
 * and `has_other`: has_passed and has_received.  The hash is stored, then one, and then
 * the other is read: of two hooks that run at once one finds the other's descriptor. */
static uint64_t identify(int fd, bool is_mptcp, _Atomic bool *has_one,
			 const _Atomic bool *has_other)
{
	note_hash(fd, HASH_UNKNOWN);
	atomic_store(has_one, true);
	uint64_t cookie =
		*has_other || ledger_is_wanted() ? probe_cookie(fd, is_mptcp) : 0;

	/* The cookie of a socket made for MPTCP may become another one. */
	if (cookie && !is_mptcp)
		note_hash(fd, hash_of(cookie));
	notice_cookie(fd, cookie);
	return cookie;
}

void received(int fd, enum sl_call call)
{
	int protocol = may_record() && !guard_is_sandboxed ? probe_protocol(fd) : 0;
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (!protocol)
		return;
	bool has_peer = guard_sys(SYS_getpeername, fd, &peer, &length) == 0;
	bool is_mptcp = protocol != PROTOCOL_TCP;
	if (!opened(fd, call, SL_ORIGIN_RECEIVED,
		    ENTRY_CONNECTED | (is_mptcp ? ENTRY_MPTCP : 0),
		    has_peer ? (const struct sockaddr *)&peer : NULL))
		return;
	uint64_t cookie = identify(fd, is_mptcp, &has_received, &has_passed);
	if (has_passed && cookie)
		join_received(fd, cookie, is_mptcp, false);
}

/* Calls `each` for every descriptor in the message, which the kernel (or the host) wrote.
 */
static void for_each_received(const struct msghdr *message, enum sl_call call,
			      void (*each)(int fd, enum sl_call call))
{
	struct msghdr *all = (struct msghdr *)message; /* CMSG_NXTHDR takes no const */

	for (struct cmsghdr *one = CMSG_FIRSTHDR(all); one; one = CMSG_NXTHDR(all, one)) {
		if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS ||
		    one->cmsg_len < CMSG_LEN(0))
			continue;
		size_t n = (one->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && i < MAX_PASSED; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(one) + i * sizeof(fd), sizeof(fd));
			each(fd, call);
		}
	}
}

EXPORT ssize_t recvmsg(int sockfd, struct msghdr *message, int flags)
{
	ssize_t n = HOST_CALL(recvmsg, sockfd, message, flags);

	if (__builtin_expect(n >= 0 && message->msg_controllen, 0))
		for_each_received(message, SL_CALL_recvmsg, received);
	/* What comes from the error queue is not the connection's. */
	if (__builtin_expect(n > 0 && acts_on_use() && (flags & MSG_ERRQUEUE), 0))
		return n;
	return AFTER_READ(sockfd, n,
			  n == 0 && !(flags & MSG_ERRQUEUE) &&
				  wants_some(message->msg_iov, message->msg_iovlen),
			  recvmsg);
}

/* After a call that took or gave so many messages, all of one socket. */
static int after_messages(int fd, int n, const struct mmsghdr *messages,
			  enum sl_call call)
{
	ssize_t bytes = 0;

	if (n < 0)
		note_errno(fd, call);
	if (__builtin_expect(!acts_on_use(), 1))
		return n;
	for (int i = 0; i < n; i++)
		bytes += messages[i].msg_len;
	used(fd, bytes, call);
	return n;
}

EXPORT int recvmmsg(int sockfd, struct mmsghdr *messages, unsigned count, int flags,
		    struct timespec *timeout)
{
	int n = next.recvmmsg(sockfd, messages, count, flags, timeout);

	for (int i = 0; i < n; i++) {
		struct msghdr *one = &messages[i].msg_hdr;

		if (one->msg_controllen)
			for_each_received(one, SL_CALL_recvmmsg, received);
		if (!messages[i].msg_len && !(flags & MSG_ERRQUEUE) &&
		    wants_some(one->msg_iov, one->msg_iovlen))
			note_end(sockfd, SL_CALL_recvmmsg, VERDICT_END_OF_STREAM);
	}
	if (n > 0 && (flags & MSG_ERRQUEUE))
		return n;
	return after_messages(sockfd, n, messages, SL_CALL_recvmmsg);
}

EXPORT int pidfd_getfd(int pidfd, int target_fd, unsigned int flags)
{
	int fd = next.pidfd_getfd(pidfd, target_fd, flags);

	if (fd >= 0)
		received(fd, SL_CALL_pidfd_getfd);
	return fd;
}

/* The taker's record is joined with ours by the cookie. */
static void passed(int fd, enum sl_call call)
{
	struct fd_entry entry;

	(void)call;
	if (!fd_table_read(fd, &entry) || !may_record() ||
	    (atomic_load(&entry.word) & (ENTRY_NOT_TCP | ENTRY_PASSED)) || !may_drop())
		return;
	fd_table_set_bits(fd, ENTRY_PASSED);
	bool is_mptcp = atomic_load(&entry.word) & ENTRY_MPTCP;
	uint64_t cookie = identify(fd, is_mptcp, &has_passed, &has_received);
	if (has_received && cookie)
		join_received(fd, cookie, is_mptcp, true);
	ledger_note_passed(&(struct ledger_passed){cookie, entry.opened_ns,
						   atomic_load(&entry.origin), fd,
						   entry.call, entry.origin_kind, true});
}

EXPORT ssize_t sendmsg(int sockfd, const struct msghdr *message, int flags)
{
	ssize_t n = HOST_CALL(sendmsg, sockfd, message, flags);

	/* Fast open connects without connect(). */
	if (__builtin_expect(flags & MSG_FASTOPEN, 0) && (n >= 0 || errno != EFAULT))
		after_connect(sockfd, n < 0 ? -1 : 0, message->msg_name,
			      message->msg_namelen);
	if (__builtin_expect(n >= 0 && message->msg_controllen, 0))
		for_each_received(message, SL_CALL_sendmsg, passed);
	return AFTER_SEND(sockfd, n, sendmsg);
}

EXPORT int sendmmsg(int sockfd, struct mmsghdr *messages, unsigned count, int flags)
{
	int n = next.sendmmsg(sockfd, messages, count, flags);

	for (int i = 0; i < n; i++)
		if (messages[i].msg_hdr.msg_controllen)
			for_each_received(&messages[i].msg_hdr, SL_CALL_sendmmsg, passed);
	return after_messages(sockfd, n, messages, SL_CALL_sendmmsg);
}
