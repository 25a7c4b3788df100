/* What a report says: plain structs, made by merge.c from ledgers, thinned by rules.c and
 * baseline.c, turned into bytes by formats/.  Everything here is owned by the findings
 * and stays until findings_free(). */
#ifndef SOCKLEAK_FINDINGS_H
#define SOCKLEAK_FINDINGS_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum findings_ended {
	FINDINGS_EXIT,
	FINDINGS_SIGNAL,  /* only where somebody saw its status */
	FINDINGS_EXEC,    /* became another program */
	FINDINGS_UNKNOWN, /* gone, and nobody knows how: killed, or crashed */
	FINDINGS_RUNNING,
};

/* One process, or rather one program image of it: one ledger. */
struct findings_process {
	uint32_t pid;
	const char *exe, *host;
	enum findings_ended ended;
	uint64_t opened, closed; /* sockets */
	uint64_t open;           /* sockets held at the last look */
	uint64_t leaked, pending;
	uint64_t closed_late, closed_late_max_ms;
	uint64_t missed, dropped;
	/* Where and when the sockets it held were last looked at. */
	bool is_of_this_boot;
	uint64_t net_namespace; /* inode; 0 = not known */
	uint64_t last_ns;       /* CLOCK_MONOTONIC of its boot */
};

struct findings_holder {
	uint32_t process; /* index into findings.processes */
	uint32_t fd;
};

struct findings_socket {
	const struct findings_holder *holders;
	uint32_t n_holders;     /* at least 1 */
	uint64_t cookie, inode; /* 0 = not known */
	uint64_t age_ms;        /* since the peer was gone */
	uint64_t opened_ms;     /* since it was opened */
	uint64_t told_ms; /* since the program was told; with the place's eof_call */
	const char *test; /* NULL = opened outside a named test */
	uint32_t unread_bytes;
	uint32_t kernel_bytes; /* an estimate */
	uint16_t family;       /* AF_INET, AF_INET6; 0 = addresses not known */
	uint16_t local_port, peer_port;
	uint8_t local[16], peer[16];
	uint8_t state;       /* as tcpi_state counts */
	uint8_t kind;        /* enum sl_kind */
	uint8_t verdict;     /* SL_LEAK_GRACE, SL_LEAK_EXIT or SL_PENDING */
	uint8_t why;         /* enum sl_why bits */
	uint8_t peer_state;  /* enum text_peer */
	bool opener_closed;  /* held by another process than its opener's, which closed */
	uint32_t opener_pid; /* with opener_closed */
};

/* All sockets of one origin and kind, leaks or pending. */
struct findings_place {
	char id[TEXT_ID_BYTES];
	enum sl_kind kind;
	enum sl_call call;
	enum sl_note note;
	enum sl_call eof_call;
	unsigned why; /* of all its sockets */
	const struct text_frame *origin,
		*eof; /* innermost first, inlined ones included */
	unsigned n_origin, n_eof;
	bool origin_is_pending; /* captured, and not unwound; note is SL_NOTE_UNKNOWN */
	uint64_t oldest_ms, newest_ms;
	uint64_t unread_bytes, kernel_bytes;
	struct findings_socket *sockets; /* the oldest first */
	size_t n_sockets;
};

struct findings_rule {
	const char *rule; /* as it stands in the file */
	uint64_t count;   /* sockets it took out */
};

struct findings {
	struct findings_process *processes;
	size_t n_processes;
	struct findings_place *leaks; /* the most sockets first */
	size_t n_leaks;
	struct findings_place *pending;
	size_t n_pending;
	struct findings_rule *suppressed; /* rules that were used, and the baseline's */
	size_t n_suppressed;
	const char **unused; /* rules that took out nothing */
	size_t n_unused;
	struct findings_chunk *chunks; /* the memory behind all that */
	struct symbols *symbols;       /* owns the names in frames; NULL = none needed */
};

/* Memory, zeroed, that stays until findings_free(); ends the process if there is none. */
void *findings_keep(struct findings *findings, size_t bytes);
const char *findings_keep_string(struct findings *findings, const char *string);
/* Makes the totals of a place and of the processes true again after sockets were added
 * or taken out, drops empty places and puts the rest in order. */
void findings_settle(struct findings *findings);
uint64_t findings_n_leaked(const struct findings *findings); /* sockets */
/* By a process that runs. */
bool findings_is_held(const struct findings *findings,
		      const struct findings_socket *socket);
void findings_free(struct findings *findings);

const char *findings_ended_name(enum findings_ended ended); /* "exit", ... */

#endif
