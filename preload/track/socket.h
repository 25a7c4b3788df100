/* What is known of a socket beyond its birth: one record, which the entries of all
 * descriptors that hold it refer to (fd_table.h).
 *
 * A record is FREE (`holders` 0), HELD (a socket id and how many entries refer to it) or
 * ENDED (a socket id and 0).  Any thread makes it HELD, by socket_new(); the entry that
 * gives back the last hold makes it ENDED, and FREE at once unless a scan, or the hook
 * that closes it, has found that the peer has gone: then the scanning thread first takes
 * notice of the end and frees it in its next pass (scan/scan_fd.c).  Both free it by
 * compare-and-swap: one of them does.
 *
 * A hold is given back once, by the thread that took the word away:
 *
 *     fd_table_forget()        before the real close: empties the entry.  Its caller then
 *                              calls one of the next two, or has the second one called.
 *     fd_table_restore()       the close failed: the entry and its hold are there again.
 *     fd_table_confirm()       it did not fail: nobody needs the record for a restore.
 *     fd_table_forget_stale()  the number was closed unseen: as forget and confirm.
 *     fd_table_drop_hold()     the word has been replaced by another one: no close.
 *
 * They are made of socket_drop_hold(), which makes the record ENDED, and socket_free(),
 * which makes it FREE.
 *
 * Records are never unmapped.  So a thread that is late still reads and writes a record,
 * though perhaps that of the next socket: each part of it has the id of the socket
 * that it is about (`holders`, `facts`, `end.gone_id`), and a part with another
 * socket id is stale; it need not be cleared.  An entry that stands proves that its record
 * is HELD.
 *
 * Given up on purpose: where two threads are told of one socket at once, some fields may be
 * of the one and some of the other; and a record that the parent was just taking or giving
 * back at a fork is lost to the child. */
#ifndef SOCKLEAK_SOCKET_H
#define SOCKLEAK_SOCKET_H

#include "track/fd_entry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum socket_facts {
	SOCKET_EOF = 1,         /* the program was told of an end of stream or an error */
	SOCKET_SHUT = 2,        /* shutdown was called */
	SOCKET_REFUSED = 4,     /* connect() failed */
	SOCKET_IDENTIFIED = 8,  /* `cookie` is known */
	SOCKET_ONE_CLOSED = 16, /* one of its descriptors was closed */
	SOCKET_DISSOLVED = 32,  /* since the last scan, by connect() to AF_UNSPEC */
	SOCKET_SHUT_HOW = 64 + 128, /* receiving, sending */
	SOCKET_JOINED = 256,        /* it was that of another record all the time */
	SOCKET_SHUTTING = 512,      /* shutdown() for receiving is under way */
	SOCKET_CLOSED_LATE = 1024,  /* it was a leak when its last descriptor was closed,
				    * and no scan had seen that: scan/closed_late.h */
};
#define SOCKET_SHUT_HOW_UNIT 64

/* How a connection ended, as scans found it: the scanning thread's. */
struct socket_end {
	uint32_t gone_id; /* of the socket that the rest is about; 0 = none */
	uint8_t state, verdict, kind;
	uint8_t fin_unread : 1;
	uint8_t was_leak : 1; /* past grace at some scan, whatever was sent since */
	uint8_t is_sending : 1;
	uint8_t timed_out : 1;
	uint8_t was_found_by_check : 1; /* sockleak_check_since() called it a leak */
	uint8_t peer_forgot : 1;        /* a reset came: the peer has forgotten this
					 * connection */
	struct leak_group *leak_group; /* where it is counted as a leak; NULL = nowhere */
	uint16_t why, family;
	uint16_t local_port, reserved;
	uint32_t written; /* MPTCP: as the probe of the last scan said */
	int counted_fd;   /* which of its descriptors was counted */
	uint64_t acked;   /* as the probe said when sending last made progress */
	uint8_t local[16];
	uint64_t peer_gone_since_ns, idle_since_ns, sent_ns, scanned_ns, inode;
	uint32_t unread_bytes, kernel_bytes;
	struct fd_entry counted; /* its entry, as it was then */
};

struct socket {
	_Atomic uint64_t
		holders;        /* socket id << 32 | entries that refer to it; 0 = free */
	_Atomic uint64_t facts; /* socket id << 32 | enum socket_facts: which are known */

	/* The hooks'. */
	_Atomic uint32_t next_free;
	_Atomic uint32_t eof_origin, shut_origin;
	uint8_t eof_call; /* enum sl_call */
	uint8_t eof_fork_depth;
	uint8_t eof_error; /* enum verdict_error */
	uint8_t shut_fork_depth;
	_Atomic uint32_t late_close; /* what SOCKET_CLOSED_LATE refers to */
	uint64_t eof_ns;
	uint64_t shut_ns;
	uint64_t refused_ns;
	uint64_t cookie; /* of the socket that was told: until the first scan the
			  * descriptor may become another socket, unseen */
	_Atomic uint64_t ended_ns; /* of the last close, where the peer was known to be
				    * gone */

	struct socket_end end;
};

/* Records are numbered from 1; below this. */
uint32_t socket_top(void);
struct socket *socket_at(uint32_t record);

/* That which a copy of an entry refers to; NULL = none yet. */
static inline struct socket *socket_of(const struct fd_entry *entry)
{
	uint32_t record = ENTRY_RECORD(atomic_load(&entry->word));

	return record ? socket_at(record) : NULL;
}

/* A record that one entry will refer to.  0 = no memory. */
uint32_t socket_new(uint32_t socket_id);
/* One more entry refers to it; `before`: how many did.  false = it is another's. */
bool socket_hold(uint32_t record, uint32_t socket_id, uint32_t *before);
/* One entry less refers to it; called by the thread that took the word away.  `ended_ns`:
 * when the descriptor was closed; 0 = not of interest.  Returns whether other entries are
 * left. */
bool socket_drop_hold(uint32_t record, uint64_t ended_ns);
/* Frees the record if no entry holds it any more and no scan has to take notice of its
 * end. */
void socket_free(uint32_t record, uint32_t socket_id);

static inline uint32_t socket_id_of(const struct socket *one)
{
	return (uint32_t)(atomic_load_explicit(&one->holders, memory_order_acquire) >>
			  32);
}
/* What is known of the socket with this id; `one` may be NULL. */
uint32_t socket_facts(const struct socket *one, uint32_t socket_id);
void socket_change_facts(struct socket *one, uint32_t socket_id, uint32_t set,
			 uint32_t clear);
/* Whether a scan has found that the peer of this socket has gone. */
bool socket_is_gone(const struct socket *one, uint32_t socket_id);

/* In a real child: it begins without ends of connections. */
void socket_fork_child(void);

#endif
