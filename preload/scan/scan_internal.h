/* What the files of one scan share: scan.c (the pass), scan_fd.c (one descriptor),
 * judge.c (its verdict), publish.c (its row in the ledger), closed_late.c.  All by the
 * owner of the scan lock, but for judge_is_left(), and for what a hook does that closes a
 * descriptor (closed_late.h). */
#ifndef SOCKLEAK_SCAN_INTERNAL_H
#define SOCKLEAK_SCAN_INTERNAL_H

#include "base/probe.h"
#include "report/settings.h"
#include "scan/age.h"
#include "track/notices.h"
#include "track/socket.h"
#include "track/uses.h"

#include <stdbool.h>
#include <stdint.h>

extern const struct settings *scan_settings;
extern uint64_t scan_began_ns;  /* when this tracking state began */
extern uint64_t scan_forked_ns; /* the same of a forked child; 0 = this is none */
extern unsigned scan_n_passes;

/* One descriptor in one scan. */
struct fd_scan {
	int fd;
	struct fd_entry entry;  /* a copy */
	struct socket_end *end; /* of its record; NULL = its peer is there */
	struct probe probe;
	uint32_t generation;
	uint64_t asking_ns, asked_ns; /* between them the kernel gave `probe` */
	uint64_t first_ns;            /* what the first scan of its entry took more */
	bool is_gone;
	bool runs_on; /* the program asked for the scan (api.c), and goes on */
};

/* One scan. */
struct scan_pass {
	uint64_t now_ns;
	const struct fd_access *access;
	bool at_exit;
	uint32_t since; /* of sockets born after this generation */
	bool all_gone;  /* every socket whose peer has gone counts */
	bool runs_on;   /* as of struct fd_scan */
	bool is_printed;
	bool is_last; /* the process ends */
	uint64_t n_leaks, n_held, n_connected, n_unwritten;
	uint64_t first_ns; /* what first scans of entries took more, by the clock */
};

/* Asks the kernel about the socket of `fd`, judges it, counts it and publishes it. */
void scan_fd(int fd, struct scan_pass *pass);
/* Fills `scanned->probe`, from a descriptor of the calling thread's table. */
enum probe_result ask_in_time(struct fd_scan *scanned, int imported, bool is_mptcp,
			      uint64_t wanted_cookie);
/* The rest of what the kernel tells of a socket whose peer has gone, into
 * `scanned->end`. */
void ask_details(struct fd_scan *scanned, int imported);

/* judge.c */

/* Judges a socket whose peer has gone, for this scan: age, why and verdict go into
 * scanned->end, what the program was told into `notice`. */
void judge(struct fd_scan *scanned, const struct scan_pass *pass,
	   struct eof_notice *notice);
bool is_inherited(const struct fd_entry *entry);
/* Whether `scanned->probe` says that the peer has gone, or that there never was one. */
bool judge_has_lost_peer(struct fd_scan *scanned);
bool ends_with_the_program(const struct fd_scan *scanned);
/* At the end, by a thread that does not have the scan lock: whether the socket counts as a
 * leak.  Of what is the scanning thread's it reads single members, none of which can be
 * half written, and writes nothing.  `entry` is a copy. */
bool judge_is_left(int fd, const struct fd_entry *entry);

/* publish.c */

/* What is known of its end, into a row of the ledger. */
void publish_describe_end(const struct socket_end *end, struct sl_descriptor *row);

/* The row of a socket whose peer has gone; `notice` may be NULL.  false = not all that is
 * known was in the file to be named. */
bool publish(const struct fd_scan *scanned, const struct eof_notice *notice);
/* The row of a socket whose peer is there, if it is not in the ledger as it is. */
void publish_connected(const struct fd_scan *scanned, struct fd_entry *entry);
/* A leak that was closed, at `ended_ns`. */
void publish_closed(const struct fd_scan *was, uint64_t ended_ns);
/* The ledger had no room for the entry. */
bool is_unwritten(int fd);
/* Backtraces were unwound: writes them into the rows that wait for them now, and not in
 * the next scan, because the process may be killed before. */
void publish_resolved(void);
/* There is room for rows that had none. */
void publish_missing(void);

/* adopt.c */

/* The descriptor came by socket activation (LISTEN_FDS). */
bool adopt_is_activated(int fd);
/* What was imported, and is released here.  false = no TCP stream, or not imported. */
struct adopted {
	uint64_t bits; /* of its entry: enum entry_bits */
	uint64_t cookie;
};
bool adopt_identify(const struct fd_access *access, int imported, struct adopted *what);
/* The process's descriptor is a socket, by its link in /proc: nothing is imported. */
bool adopt_is_socket(int fd);

#endif
