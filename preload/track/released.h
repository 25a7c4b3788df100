/* Connections that this process has closed while another one may hold them: they were
 * open at a fork, or were sent over a Unix socket.  The close hook notes them; the helper
 * thread asks the kernel what has become of them (scan/scan_released.c), in its next
 * pass: most are gone then.
 *
 * Life of a slot: free, taken (filled by the hook that took it), ready (the scanning
 * thread's alone), free. */
#ifndef SOCKLEAK_RELEASED_H
#define SOCKLEAK_RELEASED_H

#include "track/notices.h"
#include "track/socket.h"

#define RELEASED_SLOTS 65536

struct released {
	_Atomic bool is_ready; /* stored last */
	unsigned number;       /* of the slot */
	int fd;                /* that was closed */
	bool was_sent;         /* over a Unix socket, and not open at a fork */
	uint16_t family, local_port;
	uint32_t interface; /* index, of a link-local address; 0 = any */
	uint8_t local[16];
	uint64_t closed_ns;
	uint32_t record;       /* what its entry referred to; 0 = nothing */
	struct fd_entry entry; /* as it was; its cookie is known */

	/* The scanning thread's. */
	uint64_t next_ns;        /* when to ask again */
	uint64_t next_search_ns; /* when to look for its holder again */
	struct socket_end end;
	struct eof_notice notice;  /* as it was */
	int holder_pid, holder_fd; /* 0 = not known */
	char program[16];          /* the holder's name */
	bool was_searched_for;
	bool is_not_ours_to_report; /* this process holds it by another descriptor, or
				     * its holder has a helper thread, which reports
				     * it; or no holder is known (yet) */
	bool is_unconfirmed; /* its holder is to be seen once more before it is reported */
	bool is_final;       /* a leak that ended with its holder: asked no more */
};

/* Whether the socket with this cookie is in one. */
bool released_has(uint64_t cookie);
/* What slot `i`, below released_top(), holds; NULL if nothing (yet). */
struct released *released_at(unsigned i);

/* By a hook, before the real close: `fd` is still open, `was` is its entry, whose last
 * descriptor in this process it is.  Two system calls, or three.  What finds no free slot
 * is counted as missed. */
void released_note(int fd, const struct fd_entry *was, bool was_sent);
/* Whether there was ever one, in this process or before the fork that made it. */
bool released_was_used(void);
/* One above the last slot in use: 1,024 loads where none is. */
unsigned released_top(void);
/* By the owner of the scan lock. */
void released_forget(struct released *one);
/* In a child: they are its parent's. */
void released_fork_child(void);

#endif
