/* What the kernel says about a socket, now.  Asks nothing that changes an answer (no
 * SO_ERROR, no recv) and waits for nothing.  Raw system calls; errno untouched. */
#ifndef SOCKLEAK_PROBE_H
#define SOCKLEAK_PROBE_H

#include "common/verdict.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif

enum probe_result {
	PROBE_TCP,     /* `struct probe` is filled */
	PROBE_OTHER,   /* open, but no TCP or MPTCP stream */
	PROBE_CLOSED,  /* no such descriptor */
	PROBE_REFUSED, /* the kernel would not say: a sandbox, or no way to ask */
};

struct probe {
	uint64_t cookie; /* as probe_cookie() */
	uint8_t state;   /* TCP state as tcpi_state counts */
	bool is_mptcp;   /* state is what poll says: ESTABLISHED, CLOSE_WAIT or CLOSE */
	bool was_connected; /* bytes or a round trip were counted: CLOSE is the end of a
			     * connection.  A refusal is a segment, but neither. */
	bool is_sending;    /* its send queue holds data */
	uint8_t n_probes;   /* keepalive probes, or window probes, without an answer */
	bool gave_up; /* CLOSE after probes or retransmissions: no RST need have come */
	uint32_t last_ack_ms;   /* ago */
	uint32_t last_acked_ms; /* ago, at least: no byte was acknowledged later */
	uint32_t last_sent_ms;  /* ago; of data, not of a FIN; UINT32_MAX = not known */
	uint64_t acked;         /* bytes that the peer has acknowledged so far */
	uint32_t written;       /* MPTCP: grows when this side sends */
};

#define PROBE_UNREAD_UNKNOWN UINT32_MAX
/* Asked only where the peer has gone. */
struct probe_details {
	uint64_t inode;
	uint32_t unread_bytes; /* PROBE_UNREAD_UNKNOWN = the kernel did not tell */
	uint32_t kernel_bytes; /* queued memory; the slab objects are not in it */
	bool fin_unread;       /* the receive queue is not empty: the FIN stands in it */
	bool timed_out;        /* keepalive probes went unanswered: no RST came */
	uint16_t family;       /* AF_INET, AF_INET6; 0 = no addresses */
	uint16_t local_port,
		peer_port; /* host byte order; peer_port 0 = not known any more */
	uint8_t local[16], peer[16];
};

/* The two ends of a connection. */
struct probe_ends {
	uint16_t family, local_port, peer_port; /* ports in host byte order */
	uint32_t interface; /* index, of a link-local address; 0 = any */
	uint8_t local[16], peer[16];
};
/* Of a connected socket; two calls.  false = it is not connected (any more). */
bool probe_ends(int fd, struct probe_ends *ends);

struct tcp_info;
/* What TCP_INFO says, however it was asked for. */
void probe_read_info(const struct tcp_info *info, struct probe *probe);

/* How descriptors of the host are reached: directly, where the calling thread shares the
 * host's table, or through a pidfd of the process, where it has a table of its own. */
struct fd_access {
	int pidfd; /* -1 = directly */
};
extern const struct fd_access fd_access_directly;

/* The host's descriptor in the calling thread's table, for as short a time as possible:
 * while it is held a close of the host's is not the last, and would neither linger nor
 * free a port nor leave an epoll.  So a hook that is about to close a descriptor waits
 * until it is returned.  A descriptor whose entry the hook has removed before is not
 * imported any more: `is_held` (NULL = not asked) is called after probe_imported_fd shows
 * all threads that `fd` is to be imported.  One at a time in a process. -errno on
 * failure, -EBADF if it is not held. */
int probe_import_fd(const struct fd_access *access, int fd,
		    bool (*is_held)(int fd, uint32_t generation), uint32_t generation);
void probe_release_fd(const struct fd_access *access, int imported);
/* -1 = none */
extern _Atomic int probe_imported_fd __attribute__((visibility("hidden")));
/* Until none of `first` to `last` is imported: some microseconds where the thread that
 * imported it runs, and at most a tenth of a second, once. */
void probe_await_release(unsigned first, unsigned last);
void probe_fork_child(void);

/* `wanted_cookie` not 0: a socket of another cookie is PROBE_OTHER, and only its cookie
 * is asked.  `imported` as probe_import_fd gave it. */
enum probe_result probe_socket(int imported, bool is_mptcp, uint64_t wanted_cookie,
			       struct probe *probe);
void probe_details(int imported, const struct probe *probe,
		   struct probe_details *details);
/* The peer's address into `peer`; false = it is not known (any more). */
bool probe_peer(int imported, uint16_t *family, uint8_t peer[16], uint16_t *port);

/* Whether `imported` is a TCP (6) or MPTCP (262) stream: its protocol, or 0. */
int probe_protocol(int imported);

/* 0 = not known.  Of an MPTCP socket its inode, with this bit. */
#define PROBE_INODE_COOKIE (UINT64_C(1) << 63)
uint64_t probe_cookie(int imported, bool is_mptcp);

static inline bool probe_peer_is_gone(const struct probe *probe)
{
	return (VERDICT_PEER_GONE_STATES >> probe->state & 1) ||
	       (probe->state == STATE_CLOSE && probe->was_connected);
}

#endif
