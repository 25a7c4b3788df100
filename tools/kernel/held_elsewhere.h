/* Sockets whose peer has gone and that some process still holds, as the kernel
 * (sock_diag) and /proc tell now: for a socket that the process which opened it has
 * closed or, when it ended, left to another one that inherited or received it; and for
 * one that its own process holds and has not looked at since (list).  Sockets
 * in CLOSE are in no list of the kernel's, and those of MPTCP are not looked for. */
#ifndef SOCKLEAK_HELD_ELSEWHERE_H
#define SOCKLEAK_HELD_ELSEWHERE_H

#include "common/ledger.h"
#include "kernel/diag.h"
#include "kernel/holders.h"

#include <stdbool.h>

struct held_elsewhere {
	struct diag sockets;    /* by cookie; of this network namespace */
	struct holders holders; /* looked at when first needed */
	bool has_holders;
	uint64_t net_namespace; /* 0 = the kernel could not be asked */
	uint64_t now_ns;        /* CLOCK_MONOTONIC, when it was asked */
};

/* Asks the kernel.  Where it does not answer nothing is found. */
void held_elsewhere_look(struct held_elsewhere *all);
void held_elsewhere_free(struct held_elsewhere *all);

/* The socket of that cookie, opened in `net_namespace`; NULL = closed by all, or its peer
 * is there. */
const struct diag_socket *held_elsewhere_find(const struct held_elsewhere *all,
					      uint64_t cookie, uint64_t net_namespace);
/* The same of an inode, for one whose cookie nobody has asked for. */
const struct diag_socket *held_elsewhere_find_inode(const struct held_elsewhere *all,
						    uint32_t inode,
						    uint64_t net_namespace);
/* The processes that hold it: as holders_of(). */
const struct holder *held_elsewhere_by(struct held_elsewhere *all,
				       const struct diag_socket *socket, size_t *n);

/* `row` as the kernel would have it now: held, its state, since when its peer is gone and
 * nothing was waiting to be sent, what is unread, and its addresses. */
void held_elsewhere_update(const struct held_elsewhere *all,
			   const struct diag_socket *socket, struct sl_descriptor *row);

/* What a row says of it, `from` being what the opener's ledger says: held, and a leak
 * where the peer has been silent and nothing was waiting to be sent for `grace_ns`. */
struct sl_descriptor held_elsewhere_row(const struct held_elsewhere *all,
					const struct diag_socket *socket,
					const struct sl_descriptor *from,
					uint64_t grace_ns);

#endif
