/* What a report says: plain structs.
 *
 * Theory of operation.  judge/ makes them, annotate/ adds names and peers, filter/ takes
 * sockets out, formats/ turns them into bytes.  A place is all sockets of one origin and
 * kind; each socket names its holders, and these by number the processes.  Totals in
 * places and processes are true after findings_settle().  Everything here is owned by the
 * findings and stays until findings_free().
 *
 * A leak on its way here:
 *
 *     struct sl_descriptor    what one process knows of one descriptor, in its ledger
 *     struct reader_row       the same, checked: its numbers may be followed (read/)
 *     struct row              the same with its process and its backtraces (link/); judge/
 *                             adds the verdict on it
 *     struct joined           the rows of one socket, in all processes (link/); judge/
 *                             makes `found` of them, which is a
 *     struct findings_socket  what is reported of it, in a struct findings_place
 *     struct text_place       such a place in the words that library and command share */
#ifndef SOCKLEAK_FINDINGS_H
#define SOCKLEAK_FINDINGS_H

#include "common/text.h"
#include "findings/unwatched.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum findings_ended {
	FINDINGS_EXIT,
	FINDINGS_SIGNAL,  /* only where its parent has seen its status */
	FINDINGS_EXEC,    /* became another program */
	FINDINGS_UNKNOWN, /* gone, and it is not known how: killed, or crashed */
	FINDINGS_RUNNING,
};

/* One process, or rather one program image of it: one ledger. */
struct findings_process {
	uint32_t pid;
	/* The process that started it, or whose program it took the place of: an index
	 * plus one into findings.processes; 0 = none of them. */
	uint32_t parent;
	const char *exe, *host;
	enum findings_ended ended;
	uint64_t opened, closed; /* sockets */
	uint64_t open;           /* sockets held at the last scan */
	uint64_t leaked, pending;
	uint64_t closed_late, closed_late_max_ms;
	uint64_t missed, dropped;
	/* Where and when the sockets it held were last scanned. */
	bool is_of_this_boot;
	uint64_t net_namespace; /* inode; 0 = not known */
	uint64_t last_ns;       /* CLOCK_MONOTONIC of its boot */
};

struct findings_holder {
	uint32_t process; /* index into findings.processes; of one that keeps no ledger
			     the process that opened the socket */
	uint32_t fd;
	uint32_t pid;        /* 0 = not known: its /proc may not be read */
	const char *program; /* by its name or path; NULL = not known */
	bool is_elsewhere;   /* it keeps no ledger, and held the socket when asked */
};

/* What became of a leak; `holders` are the processes that closed it. */
enum findings_closed {
	FINDINGS_HELD,          /* it is held, or was to the end */
	FINDINGS_CLOSED_LATE,   /* the program closed it after all */
	FINDINGS_CLOSED_BY_END, /* only the end of the program closed it: it counts */
};

struct findings_socket {
	const struct findings_holder *holders;
	uint32_t n_holders;     /* at least 1 */
	uint64_t cookie, inode; /* 0 = not known */
	uint64_t age_ms;        /* since the peer was gone */
	uint64_t opened_ms;     /* since it was opened, or TEXT_MS_UNKNOWN */
	uint64_t told_ms; /* since the program was told; with the place's eof_call */
	/* The last call that moved data on it, in whatever process. */
	uint32_t use;        /* an index plus one into the place's uses; 0 = none known */
	uint32_t use_bytes;  /* UINT32_MAX = as many, or more */
	uint32_t use_thread; /* 0 = not known */
	uint64_t used_ms;    /* how long ago */
	const char *test;    /* NULL = opened outside a named test */
	uint32_t unread_bytes; /* or SL_UNREAD_UNKNOWN */
	uint32_t kernel_bytes; /* an estimate */
	uint16_t family;       /* AF_INET, AF_INET6; 0 = addresses not known */
	uint16_t local_port, peer_port;
	uint8_t local[16], peer[16];
	uint8_t state;      /* as tcpi_state counts */
	uint8_t kind;       /* enum sl_kind */
	uint8_t verdict;    /* SL_LEAK_GRACE, SL_LEAK_EXIT or SL_PENDING */
	uint16_t why;       /* enum sl_why bits */
	uint8_t peer_state; /* enum text_peer */
	uint8_t closed;     /* enum findings_closed */
	bool opener_closed; /* the process that opened it has closed it; others hold it */
	uint32_t opener_pid; /* with opener_closed */
	/* The moments of findings.series in which it is among the leaked: from the first
	 * of these times on, and before the second.  Both 0 = in none. */
	uint64_t leaked_from_ms, leaked_to_ms;
};

/* All sockets of one origin and kind, leaks or pending. */
struct findings_place {
	char id[TEXT_ID_BYTES];
	/* "39fa2ee980eb94b0:1", the same after a rebuild: findings/fingerprint.c */
	char fingerprint[TEXT_ID_BYTES + 11];
	enum sl_kind kind;
	enum sl_call call;
	enum sl_origin_kind origin_kind;
	enum sl_call eof_call;
	unsigned why;                          /* of all its sockets */
	const struct text_frame *origin, *eof; /* innermost first; after annotate/frames.c
						  with names and inlined ones */
	unsigned n_origin, n_eof;
	/* Of the origin: the innermost call that places of the same first row do not
	 * share; NULL = no other one has that row, or no call tells.
	 * findings/callers.c */
	const struct text_frame *caller;
	/* Where its sockets were last used, each backtrace once; those of the most sockets
	 * first. */
	struct text_use *uses;
	size_t n_uses;
	const char *source; /* the line of the origin's first own frame; NULL = unknown */
	const char *const *lines; /* the same and those beside it, as they stand there */
	unsigned n_lines, first_line; /* n_lines 0 = unknown */
	bool origin_is_pending;       /* captured, and not unwound; origin_kind is
					   SL_ORIGIN_UNKNOWN */
	uint64_t oldest_ms, newest_ms;
	uint64_t unread_bytes; /* or TEXT_UNREAD_UNKNOWN */
	uint64_t kernel_bytes;
	struct findings_socket *sockets; /* the oldest first */
	size_t n_sockets;
};

/* Sockets of all processes at one moment. */
struct findings_point {
	uint64_t ms; /* CLOCK_REALTIME */
	uint64_t open, leaked;
};

/* How many of these, which ascend by time, are before that one. */
size_t findings_points_before(const struct findings_point *points, size_t n, uint64_t ms);

struct findings_rule {
	const char *rule; /* as it stands in the file */
	uint64_t count;   /* sockets it took out */
};

struct findings {
	struct findings_process *processes;
	size_t n_processes;
	struct findings_point *series; /* ascending by time */
	size_t n_series;               /* 0 = not known */
	struct findings_place *leaks;  /* the most sockets first */
	size_t n_leaks;
	struct findings_place *pending;
	size_t n_pending;
	struct findings_place *late; /* leaks that were closed after all */
	size_t n_late;
	bool late_counts;                 /* they decide the exit status, as leaks do */
	struct findings_rule *suppressed; /* rules that were used, and the baseline's */
	size_t n_suppressed;
	const char **unused; /* rules that took out nothing */
	size_t n_unused;
	struct unwatched *unwatched; /* in the order they were added */
	size_t n_unwatched;
	const char *sarif_category; /* of --sarif-category; NULL = none was given */
	size_t n_unread; /* ledgers and directories that were named and not readable */
	struct findings_chunk *chunks; /* the memory behind all that */
	struct symbols *symbols;       /* has the names in frames; NULL = none needed */
	bool symbols_are_lent;         /* the caller closes them */
};

/* Memory, zeroed, that stays until findings_free(); ends the process if there is none. */
void *findings_keep(struct findings *findings, size_t bytes);
const char *findings_keep_string(struct findings *findings, const char *string);
/* Makes the totals of a place and of the processes true again after sockets were added
 * or taken out, drops empty places and puts the rest in order. */
void findings_settle(struct findings *findings);
uint64_t findings_n_leaked(const struct findings *findings); /* sockets */
/* Whether a process that runs holds the socket. */
bool findings_is_held(const struct findings *findings,
		      const struct findings_socket *socket);
size_t findings_n_unwatched(const struct findings *findings);      /* processes */
size_t findings_n_without_ledger(const struct findings *findings); /* of these */
/* Whether the absence of leaks proves nothing: no process was watched, or some process
 * was not. */
bool findings_is_partial(const struct findings *findings);
/* The reason in one line without a newline, for a format that has one line for it. */
void findings_why_partial(const struct findings *findings, char *line, size_t size);
/* `exe` may be NULL; it is copied.  Several of one program and reason are
 * one entry, but for those that still run. */
void findings_add_unwatched(struct findings *findings, uint32_t pid, const char *exe,
			    enum unwatched_reason reason);
void findings_add_unwatched_n(struct findings *findings, uint32_t pid, const char *exe,
			      enum unwatched_reason reason, size_t n);
void findings_free(struct findings *findings);

const char *findings_ended_name(enum findings_ended ended); /* "exit", ... */

#endif
