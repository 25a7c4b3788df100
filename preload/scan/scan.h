/* Scans: asks the kernel about every tracked socket, judges and reports those whose peer
 * has gone.  One scan of all of them is a pass.  What is not said to be for hooks is for
 * the owner of the scan lock. */
#ifndef SOCKLEAK_SCAN_H
#define SOCKLEAK_SCAN_H

#include "base/probe.h"
#include "report/settings.h"
#include "scan/pause.h"
#include "scan/scan_lock.h"
#include "track/fd_table.h"

#include <stdbool.h>
#include <stdint.h>

/* `prepare` is called by the first scan of this tracking state, before it begins: what
 * the start left undone.  `now_ns`: the time of the start; 0 = scan_note_socket() finds it
 * out. */
void scan_start(const struct settings *settings, void (*prepare)(void), uint64_t now_ns);

/* One scan of all descriptors.  `in_full`, by the helper: it also unwinds what waits,
 * searches for descriptors that were opened unseen and says that the limit of descriptors
 * was reached; scan_print() may follow.  Returns its cost, without that of what is new to
 * unwind. */
struct scan_cost scan_pass(uint64_t now_ns, const struct fd_access *access, bool in_full);
/* Unwinds what waits, and tells the ledger, which has room for more rows then. */
void scan_unwind(void);
/* Between two scans: asks about the connections that were released since
 * (scan_released.h).  Returns the processor time it took, in ns. */
uint64_t scan_released_pass(uint64_t now_ns, const struct fd_access *access);
/* By the helper thread, which does not own the lock: prints what the last scan found,
 * until `should_stop`.  The lock is given up after each leak group, so that a fork waits
 * for one group at most, or for one reading of the modules' symbol tables. */
void scan_print(const struct fd_access *access, bool (*should_stop)(void));
/* The last scan: what counts at the end, what is pending, the summary; `unwind` = what
 * still waits to be.  Returns how many sockets leaked. */
uint64_t scan_exit(uint64_t now_ns, const struct fd_access *access, bool unwind);
/* The last scan where another thread keeps the scan lock: how many sockets leaked is
 * said, and why not where. */
uint64_t scan_exit_without_lock(void);
/* Scans the sockets that are younger than `since` (a generation; 0 = all of them).  Counts
 * as leaks what would be one at the end of the process; with `all_gone` every socket whose
 * peer has gone.  Returns how many, and prints them if `print`.  Into `n_connected` goes
 * how many still have their peer. */
uint64_t scan_check(uint64_t now_ns, uint32_t since, bool all_gone, bool print,
		    uint64_t *n_connected);

/* The process has a socket: finds out since when the process runs. */
void scan_note_socket(void);
bool scan_has_nothing(void);
/* The process is younger than the grace: it cannot have held an inherited socket for that
 * long. */
bool scan_is_young(void);

/* From a hook: what the first scan would open is opened now, while it can be. */
void scan_prepare(void);
/* From a hook, while no helper thread runs: scans if a scan is due. */
void scan_poll(void);
/* accept or socket failed for want of a descriptor. */
void scan_limit_hit(void);
bool scan_limit_was_hit(void);

/* Descriptors that were opened unseen are recorded: `at_once` (at start, at exit), or those
 * that were found by two searches. */
void scan_adopt(const struct fd_access *access, enum sl_origin_kind origin_kind,
		bool at_once);

/* All that was open when the process started: at its start, or, of a process that had no
 * reason to scan then, at its end. */
void scan_adopt_inherited(void);

/* By a hook, too: whether the peer has gone, as `probe` says, which is completed by what
 * the entry with this word knows. */
bool scan_peer_is_gone(uint64_t word, struct probe *probe);
/* Whether data left the socket of `entry`, a copy, later than the program was told of its
 * end.  By a hook. */
bool scan_sent_since_told(const struct fd_entry *entry, const struct probe *probe);

/* In a real child. */
void scan_fork_child(void);

#endif
