/* The other end of a socket whose peer has gone: where it lies in this network namespace,
 * the kernel tells what has become of it. */
#ifndef SOCKLEAK_PEERS_H
#define SOCKLEAK_PEERS_H

#include "common/text.h"
#include "findings/findings.h"
#include "kernel/diag.h"

#include <stdbool.h>
#include <stdint.h>

/* All TCP sockets of the calling thread's network namespace, at one moment; NULL with
 * errno if the kernel was not to be asked. */
struct peers;
struct peers *peers_look(void);
void peers_free(struct peers *peers);

/* The state of the peer of the socket `own`, which is in this namespace. */
enum text_peer peers_state(const struct peers *peers, const struct diag_socket *own);
/* The same of the socket that has this cookie and local port; unknown if there is no such
 * socket. */
enum text_peer peers_state_by_cookie(const struct peers *peers, uint64_t cookie,
				     uint16_t local_port);

/* Sockets whose peers were seen to have forgotten them, once and for all; NULL = none
 * yet. */
struct peers_known;
void peers_forget_known(struct peers_known *known);

/* Says of each finding what its peer's end is.  `known` (may be NULL) is added to, and
 * tells what is not to be seen any more.  `is_the_end`: also of processes that ended a
 * moment ago. */
void peers_tell(struct findings *findings, struct peers_known **known, bool is_the_end);

#endif
