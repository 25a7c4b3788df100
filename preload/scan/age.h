/* How old a socket without a peer is: since when the peer has been gone, and since when
 * this side makes no progress in sending.  Pure: from what the kernel said, what the
 * program was told, and what the record of the socket's end kept of the pass before. */
#ifndef SOCKLEAK_AGE_H
#define SOCKLEAK_AGE_H

#include "base/probe.h"
#include "common/verdict.h"
#include "track/notices.h"
#include "track/socket.h"

#include <stdint.h>

struct age_bounds {
	uint64_t opened_ns;      /* the peer cannot have been gone for longer */
	uint64_t counts_from_ns; /* of a forked child: the fork; 0 = no such bound */
};

/* A scan saw that the peer of a socket has gone: brings `end` up to date. */
void age_update(struct socket_end *end, uint32_t socket_id,
		const struct age_bounds *bounds, const struct eof_notice *notice,
		const struct probe *probe, uint64_t now_ns);
/* When the program was told of the end; 0 = it was not.  Sets `by_shutdown`: by its own
 * shutdown(), and by no call that returned an end or an error. */
uint64_t age_when_told(const struct socket_end *end, const struct eof_notice *notice,
		       bool *by_shutdown);
/* What verdict_of() asks of it; whether it is inherited, and the like, is not in it. */
struct verdict_facts age_facts(const struct socket_end *end,
			       const struct eof_notice *notice, uint64_t now_ns);

#endif
