/* The verdict on a socket whose peer has gone: whether it is a leak, and why.
 *
 * Pure functions of facts, compiled into the library, which has the facts from the kernel
 * and from the calls it stands in for, and into the command, which has them from the
 * ledger of a process that could not judge any more.  Any thread, any signal; nothing is
 * kept.
 *
 * The rules, in the order in which they are applied:
 *  1. The peer has been gone, and this side has made no progress in sending, for the
 *     grace: a leak (SL_LEAK_GRACE).  A send queue that does not move is no progress.
 *     `idle_since_ns` leaves out when the process could not run (scan/downtime.h).
 *  2. At the end of the process, by at_exit:
 *     told   what was a leak before, what sockleak_check_since() called one, and what the
 *            program was told of (end of stream, an error, or its own shutdown), and kept
 *            without sending more;
 *     all    the same, and every other socket whose peer has gone, but for those that the
 *            process inherited and never touched;
 *     grace  nothing more than rule 1;
 *     none   nothing at all (the library does not judge at its end).
 *  3. Everything else whose peer has gone is pending.
 *
 * The caller, which gathers the facts, decides before: a connection that was never made
 * (connect() failed, and was not called again) counts as one whose peer has gone since
 * the failure; a socket marked by sockleak_expect() is pending, whatever the rules say;
 * and in a check by sockleak_check_since() every socket whose peer has gone counts
 * (SL_LEAK_EXIT). */
#ifndef SOCKLEAK_VERDICT_H
#define SOCKLEAK_VERDICT_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a connection, as in tcpi_state: <netinet/tcp.h> and <linux/tcp.h> exclude each
 * other. */
enum tcp_state {
	STATE_ESTABLISHED = 1,
	STATE_CLOSE = 7,
	STATE_CLOSE_WAIT,
	STATE_LAST_ACK,
	STATE_LISTEN,
	STATE_CLOSING
};
/* A bit each: the peer has gone, and this side holds the connection. */
#define VERDICT_PEER_GONE_STATES                                                         \
	(1U << STATE_CLOSE_WAIT | 1U << STATE_LAST_ACK | 1U << STATE_CLOSING)

struct verdict_rules {
	uint64_t grace_ns;
	enum sl_at_exit at_exit;
	bool is_the_end; /* of the process: the second rule holds */
};

struct verdict_facts {
	enum sl_kind
		kind; /* SL_KIND_NONE: the kernel had not said that the peer has gone */
	uint64_t idle_since_ns; /* since when the peer is gone and sending makes no
				   progress */
	uint64_t told_ns;       /* when the program was told; 0 = it was not */
	uint64_t sent_ns;       /* when data was last sent; 0 = never, or not known */
	uint64_t now_ns;
	bool is_sending; /* its send queue holds data */
	bool was_leak;   /* by the first rule, at some scan, whatever was sent since */
	bool was_found_by_check; /* sockleak_check_since() called it a leak */
	bool is_inherited;       /* by fork or exec */
	bool ends_with_program;  /* a standard stream that came over exec */
};

enum sl_verdict verdict_of(const struct verdict_facts *facts,
			   const struct verdict_rules *rules);

/* What a call said to the program. */
enum verdict_error {
	VERDICT_END_OF_STREAM, /* a read returned 0 */
	VERDICT_ERROR,         /* an error that does not tell how the connection ended */
	VERDICT_RESET,         /* ECONNRESET */
	VERDICT_TIMED_OUT, /* ETIMEDOUT, or the error that an ICMP message had given */
	VERDICT_ABORTED,   /* ECONNABORTED: by the administrator of this host */
};

/* Of an error number; false = it does not end a connection. */
bool verdict_error_of(int error_number, enum verdict_error *error);

/* When the program was told: by a call that said so, or by a shutdown() of its own where
 * that tells.  0 = it was not. */
struct verdict_telling {
	uint64_t eof_ns;  /* a call said so; 0 = none did */
	uint64_t shut_ns; /* shutdown() was called; 0 = it was not */
	uint8_t shut_how; /* bit 0 receiving, bit 1 sending */
};
uint64_t verdict_told_ns(const struct verdict_telling *telling, enum sl_kind kind,
			 uint64_t sent_ns, bool *by_shutdown);
/* Data was sent later than the program was told: it serves a half-closed peer. */
bool verdict_sent_since(uint64_t told_ns, uint64_t sent_ns);

struct verdict_reasons {
	enum sl_kind kind;
	bool connect_failed;      /* there never was a connection */
	bool was_told;            /* by a call, in this process */
	enum verdict_error error; /* what that call said */
	bool shut_sending;        /* shutdown() of sending was called */
	bool fin_unread;          /* the FIN stands in the receive queue */
	bool is_stalled;          /* the send queue holds data and does not move */
	bool is_duplicate;        /* one descriptor was closed, another holds it */
	bool is_inherited;
	bool parent_knew;  /* told, or shut down, before the fork */
	bool timed_out;    /* known from the kernel's counts */
	bool may_time_out; /* they leave it open whether an RST came */
};
/* A set of enum sl_why. */
unsigned verdict_why(const struct verdict_reasons *reasons);

/* Whether a leak that was closed at `closed_ns` was closed by the end of a process that
 * ended at `end_ns`: by a destructor, a handler of exit(), an interpreter's end, or a
 * shutdown of all it had.  So is what was closed in its last second; whoever counts may
 * do so by steps of VERDICT_STEP_NS. */
#define VERDICT_END_NS  UINT64_C(1000000000)
#define VERDICT_STEP_NS (VERDICT_END_NS / 16)
bool verdict_closed_by_end(uint64_t closed_ns, uint64_t end_ns);

enum sl_kind verdict_kind(unsigned tcp_state); /* of a connection whose peer has gone */

#endif
