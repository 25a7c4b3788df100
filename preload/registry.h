/* Which descriptor is which socket: a flat table indexed by descriptor, without locks.
 *
 * The kernel gives a number to one owner at a time: from the return of the call that made
 * it to the entry of the call that ends it nobody else gets it.  So a row has one writer,
 * and its `word` is what all others go by: 0 = empty, stored last at birth, exchanged for
 * 0 before the real close.  Where two writers meet all the same (dup2 onto one target
 * from two threads, a handler that interrupts a writer) the last one wins by that one
 * word, readers never spin, and the cookie decides whether a row is believed.
 *
 * The first part of a row belongs to the hooks, the second to the ticker (the one thread
 * that looks, watch.h), who marks with `looked_at` which life of the row it speaks of. */
#ifndef SOCKLEAK_REGISTRY_H
#define SOCKLEAK_REGISTRY_H

#include "ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define REGISTRY_ROWS   256  /* of a chunk */
#define REGISTRY_CHUNKS 4096 /* 1,048,576 descriptors: the kernel's default nr_open */

/* Bits of a row's word; the upper 32 are its generation, different for each life. */
enum row_bits {
	ROW_HELD = 1,
	ROW_NOT_TCP =
		2, /* asked once: a listener of another kind; of no further interest */
	ROW_MPTCP = 4,         /* TCP_INFO does not show its state: poll does */
	ROW_DUPLICATED = 8,    /* shares its serial with other rows, now or once */
	ROW_CONNECTED = 16,    /* accepted, or connect was called */
	ROW_GIVEN = 32,        /* sent over a Unix socket */
	ROW_EXPECTED = 64,     /* sockleak_expect() */
	ROW_ESTABLISHED = 128, /* accepted, or once seen connected: CLOSE is its end */
	ROW_LISTENS = 1 << 16, /* seen in LISTEN: looked at now and then */
	ROW_BIRTHS =
		0xff00 /* registry_era at birth: smaller than now = inherited over fork */
};
#define ROW_ERA(word)        (((word)&ROW_BIRTHS) >> 8)
#define ROW_GENERATION(word) ((uint32_t)((word) >> 32))

struct row {
	_Atomic uint64_t word;
	uint64_t opened_ns;
	_Atomic uint32_t origin; /* as in origin.h; the ticker settles it */
	uint32_t serial;         /* the same for all duplicates */
	uint16_t name;           /* of the running test; 0 = none */
	uint8_t call;            /* enum sl_call */
	uint8_t note;            /* enum sl_note */
	uint8_t family;          /* of the peer's address; 0 = not known */
	uint8_t reserved;
	uint16_t peer_port; /* host byte order */
	uint8_t peer[16];

	/* The ticker's. */
	uint32_t looked_at; /* generation the rest speaks of */
	uint32_t published; /* generation, and marks, that stand in the ledger */
	uint64_t cookie;
};
static_assert(sizeof(struct row) == 64, "64 bytes a tracked descriptor");

/* What happened to a socket's end, beside the row of its descriptor; made only where a
 * program was told or a peer has gone. */
struct side {
	/* The hooks'. */
	_Atomic uint32_t told_at; /* generation that was told; stored last */
	_Atomic uint32_t
		shut_at; /* generation on which shutdown was called; stored last */
	_Atomic uint32_t known_at; /* generation that `cookie` speaks of; stored last */
	_Atomic uint32_t ended_at; /* generation that was closed; stored last; noted only
				    * of one whose peer is known to be gone */
	uint64_t cookie; /* of the socket that was told: by the first look the number may
			  * be another's, unseen */
	uint64_t told_ns;
	uint64_t shut_ns;
	uint64_t ended_ns;
	uint32_t told_origin;
	uint8_t told_call; /* enum sl_call */
	uint8_t told_era;
	uint8_t told_error; /* 1 = an error told it, not the end of stream */
	uint8_t shut_era;
	uint8_t shut_how; /* bit 0: receiving, bit 1: sending */
	uint8_t copied_was_leak;
	uint8_t reserved[2];
	_Atomic uint32_t aged_at; /* generation that was copied from one whose peer had
				   * gone; stored last */
	uint64_t copied_gone_ns, copied_quiet_ns;

	/* The ticker's, of generation row.looked_at. */
	_Atomic uint32_t gone_at; /* generation; stored after gone_ns and quiet_ns */
	uint32_t serial;          /* of the row */
	uint8_t state, verdict, kind;
	uint8_t fin_unread : 1;
	uint8_t was_leak : 1;    /* past grace at some look, whatever was sent since */
	uint8_t peer_forgot : 1; /* a reset came: the peer knows this connection no more
				  */
	uint16_t why, family;
	uint16_t local_port, reserved16;
	uint32_t written; /* MPTCP: as the probe of the last look said */
	uint8_t local[16];
	uint64_t gone_ns, quiet_ns, sent_ns, looked_ns, inode;
	uint32_t unread_bytes, kernel_bytes;
	struct place *place; /* where it is counted as a leak; NULL = nowhere */
	struct row counted;  /* the row, as it was then */
};

/* Facts that duplicates share, found by serial: closing one must not take what was told
 * on it from the others. */
struct shared {
	_Atomic uint64_t holders; /* serial << 32 | descriptors that hold it; 0 = free */
	_Atomic uint64_t facts;   /* serial << 32 | enum shared_facts, of it alone */
	uint64_t told_ns;
	uint64_t shut_ns;
	uint32_t told_origin;
	uint8_t told_call, told_era, told_error, shut_era;
};
enum shared_facts {
	SHARED_TOLD = 1,
	SHARED_SHUT = 2,
	SHARED_ONE_CLOSED = 4,
	SHARED_SHUT_HOW = 0x18 /* bits as in side.shut_how */
};

/* What a program was told of a socket, in this process: by its row or by a duplicate's.
 */
struct told {
	uint64_t eof_ns;  /* 0 = not told by a read or an error */
	uint64_t shut_ns; /* 0 = shutdown was not called */
	uint32_t eof_origin;
	uint8_t eof_call; /* enum sl_call */
	uint8_t shut_how; /* bit 0 receiving, bit 1 sending */
	bool by_error;
};

struct registry_counts {
	_Atomic uint64_t opened, closed; /* sockets, not descriptors */
	_Atomic uint64_t missed;
};
extern struct registry_counts registry_counts;

/* How many forks lie between the first books and these: rows of a smaller era were
 * inherited.  Wraps after 255. */
extern uint8_t registry_era;

extern struct row *_Atomic registry_chunks[REGISTRY_CHUNKS]
	__attribute__((visibility("hidden")));

/* The row of `fd`, whatever it holds; NULL where no chunk was ever needed. */
static inline struct row *registry_row(int fd)
{
	unsigned at = (unsigned)fd;

	if (at >= REGISTRY_ROWS * REGISTRY_CHUNKS)
		return NULL;
	struct row *chunk = atomic_load_explicit(&registry_chunks[at / REGISTRY_ROWS],
						 memory_order_acquire);

	return chunk ? &chunk[at % REGISTRY_ROWS] : NULL;
}

/* Whether anything is recorded on `fd`: what a hook asks first.  Two loads. */
static inline bool registry_knows(int fd)
{
	struct row *row = registry_row(fd);

	return row && atomic_load_explicit(&row->word, memory_order_relaxed);
}

/* A consistent copy of what the hooks wrote.  false = empty, or changed under the
 * reading. */
bool registry_read(int fd, struct row *copy);
/* Beside a row; `make` = create it where it is missing.  NULL = none. */
struct side *registry_side(int fd, bool make);
struct shared *registry_shared(uint32_t serial);
/* Of enum shared_facts; 0 where nothing is shared. */
uint32_t registry_facts(uint32_t serial);

/* Everything below is for any thread and signal handler, never blocks, and leaves errno
 * alone.  `bits`: of enum row_bits.  `peer` may be NULL. */
void registry_remember(int fd, enum sl_call call, enum sl_note note, uint32_t origin,
		       uint64_t bits, const struct sockaddr *peer);
/* As remember, for what was found rather than seen: only if the row is still empty. */
bool registry_adopt(int fd, enum sl_note note, uint64_t bits);
void registry_copy(int from, int to);
/* The socket of `fd`, remembered by an origin of its own, turned out to be that of
 * `with`.
 */
void registry_join(int fd, int with);
/* Empties the row; `was` (may be NULL) gets what it held.  false = it was empty. */
bool registry_forget(int fd, struct row *was);
/* Only if it still is of this generation: for the ticker, who found the number reused. */
bool registry_forget_stale(int fd, uint64_t word);
/* The real call failed: the descriptor was not closed after all. */
void registry_restore(int fd, const struct row *was);
/* First to last, inclusive; calls forget for each that holds something. */
void registry_forget_range(unsigned first, unsigned last);
bool registry_knows_any(unsigned first, unsigned last);
void registry_set_bits(int fd, uint64_t bits);
/* The connection was dissolved: each row of the socket begins a new life, untold. */
void registry_dissolve(int fd);
/* Only in this life of the row: false = it is over. */
bool registry_change_bits(int fd, uint32_t generation, uint64_t set, uint64_t clear);
/* The ticker learned the peer of this life of the row: `from` has it. */
void registry_learn_peer(int fd, uint32_t generation, const struct row *from);
void registry_set_peer(int fd, const struct sockaddr *peer, socklen_t length);
/* The program was told (or called shutdown, `how` as in shutdown(2)) on `fd`. */
void registry_tell(int fd, enum sl_call call, uint32_t origin, bool by_error);
void registry_shut(int fd, int how);
/* What was just told was told of the socket with this cookie.  Not of MPTCP: what speaks
 * TCP after all gets another identity by the first look.  registry_cookie(): that
 * cookie, if it is of this generation, else 0. */
void registry_identify(int fd, uint64_t cookie);
uint64_t registry_cookie(int fd, uint32_t generation);
bool registry_was_told(int fd);
/* The program shut the reading side of it: poll says then what it says when the peer has
 * gone. */
bool registry_reading_is_shut(int fd);
/* By the owner of the tick: what is kept of `fd` beside its row and stands for a capture
 * becomes what that was unwound to, once a sweep (see origin_swept()). */
void registry_settle_told(int fd);
/* `side` is beside a row of which `row` is a copy. */
void registry_read_told(const struct row *row, const struct side *side,
			struct told *told);

/* Whether any row is that of a connection. */
bool registry_has_connection(void);
uint32_t registry_last_generation(void);
unsigned registry_n_chunks(void); /* of rows, in use */
/* One above the highest descriptor ever recorded. */
unsigned registry_top(void);
uint64_t registry_now_ns(void); /* CLOCK_MONOTONIC */
/* What another thread has done since a look began is no time ago. */
static inline uint64_t registry_since_ns(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}
extern _Atomic uint16_t registry_name; /* of the running test, for what is opened now */

/* Nothing was opened here and nothing told since the fork. */
bool registry_is_untouched(void);

/* In the parent, before a fork: from now on what it holds may have another holder. */
void registry_fork_prepare(void);
/* In a real child, before anything else here. */
void registry_fork_child(void);

#endif
