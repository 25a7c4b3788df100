/* The kernel's list of TCP sockets, by sock_diag, in the network namespace of the
 * calling thread: with what is asked of it here, readable by anybody. */
#ifndef SOCKLEAK_DIAG_H
#define SOCKLEAK_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct diag_socket {
	uint64_t cookie;
	uint64_t net_namespace; /* filled in by the caller; 0 = not known */
	uint8_t peer_state;     /* enum text_peer; filled in by the caller */
	uint32_t inode;         /* 0 = no process has it: in an accept queue, or closed */
	uint32_t uid;           /* of the process that opened it */
	uint8_t state;          /* as in tcpi_state */
	bool is_mptcp;
	bool fin_unread;      /* the peer's FIN still stands in the receive queue */
	bool has_age;         /* quiet_ms is known */
	uint32_t queued;      /* a listener's: connections waiting to be accepted */
	uint64_t quiet_ms;    /* since the last segment of the peer came in */
	int64_t unread_bytes; /* -1 = not known */
	uint32_t unsent_bytes;
	uint16_t family; /* AF_INET, AF_INET6; mapped addresses are AF_INET */
	uint16_t local_port, peer_port;
	uint8_t local[16], peer[16]; /* network byte order */
};

struct diag {
	struct diag_socket *at; /* owned */
	size_t n;
};

/* Adds all sockets in one of the states (bits, 1 << state) to `sockets`, each once.  -1
 * with errno: the kernel was not to be asked. */
int diag_add(struct diag *sockets, uint32_t states);
void diag_free(struct diag *sockets);
/* The inode of the calling thread's network namespace; 0 = not known. */
uint64_t diag_namespace(void);

/* Whether the kernel has a TCP socket with exactly these two ends, in any state but
 * LISTEN: 1 or 0, -1 = it did not say.  Unlike a dump, which takes its time, this misses
 * nothing. */
int diag_has(uint16_t family, const uint8_t local[16], uint16_t local_port,
	     const uint8_t peer[16], uint16_t peer_port);

#endif
