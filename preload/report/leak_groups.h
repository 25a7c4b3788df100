/* Leak groups: leaks with the same origin and kind (a "place" in reports).  Counts them
 * from scan to scan, prints each new one in full and later only when its count has
 * doubled.
 *
 * By the owner of the scan lock alone, but for leak_groups_summary_without(). */
#ifndef SOCKLEAK_LEAK_GROUPS_H
#define SOCKLEAK_LEAK_GROUPS_H

#include "base/probe.h"
#include "report/settings.h"
#include "track/notices.h"
#include "track/socket.h"

#include <stdbool.h>
#include <stdint.h>

struct leak_group;

/* Reads the suppressions; complains of each malformed line. */
void leak_groups_start(const struct settings *settings);

/* A scan begins: all counts are zero. */
void leak_groups_begin(void);
/* A socket that is a leak (or, pending, only listed at exit): NULL if there is no memory,
 * or if the same socket was counted before in this scan through another descriptor. */
struct leak_group *leak_groups_count(int fd, const struct fd_entry *entry,
				     const struct socket_end *end, bool is_pending,
				     uint64_t now_ns);
/* The same of a socket that this process has closed and another one holds. */
struct leak_holder {
	int pid, fd; /* 0 = not known */
	const char *program;
};
struct leak_group *leak_groups_count_elsewhere(const struct leak_holder *holder,
					       const struct fd_entry *entry,
					       const struct socket_end *end,
					       bool is_pending, uint64_t now_ns);
/* The leak that `end` describes, of the group that it was counted in, was closed, at
 * `closed_ns`; 0 = by another process. */
void leak_groups_closed_late(int fd, const struct socket_end *end,
			     const struct eof_notice *notice, uint64_t closed_ns,
			     uint64_t after_ms);
/* The same of one that no scan has counted: its group becomes that of `end`. */
void leak_groups_closed_unseen(int fd, struct socket_end *end,
			       const struct eof_notice *notice, uint64_t closed_ns,
			       uint64_t after_ms);
/* As JSON: what was closed so long before `now_ns` that, if the program ended now, its
 * end did not close it; each once. */
void leak_groups_tell_late(uint64_t now_ns, const struct fd_access *access);
/* The process ends, and this was its last scan: what was closed by its end counts. */
void leak_groups_end(uint64_t now_ns);
/* The scan is over: prints what is new.  `in_full`: every leak group whatever was printed
 * before (sockleak_check).  Returns how many sockets leak after suppression. */
uint64_t leak_groups_print(const struct fd_access *access, bool at_exit, bool in_full);
/* The same, a leak group at a time, for a thread that gives up the scan lock in between.
 * After the scan print_later(); then print_next() prints the next leak group that is due,
 * and the first call looks up the names for all.  false = there are no more, or another
 * scan has begun. */
void leak_groups_print_later(void);
bool leak_groups_print_next(const struct fd_access *access);
/* At exit: what is pending, then the summary; only if anything leaked. */
void leak_groups_summary(const struct fd_access *access);
/* By a thread that may not touch the leak groups: so many sockets leaked.  Returns
 * `n_leaked`, or 0 where there are suppressions, which may match these leaks. */
uint64_t leak_groups_summary_without(uint64_t n_leaked);
/* "the limit of descriptors was reached", with the leak groups that hold the most
 * sockets. */
void leak_groups_print_holders(const struct fd_access *access, uint64_t limit);

/* How many leaks were closed after all, so far; `max_ms` = what the longest was held. */
uint64_t leak_groups_late(uint64_t *max_ms);

/* In a child: nothing was printed or counted yet. */
void leak_groups_fork_child(void);

#endif
