/* Leaks that are closed after all.  A leak that a scan has counted is taken back by the
 * next pass, which finds that no descriptor holds it.
 *
 * A leak may also be opened, outlive the grace and be closed between two scans.  A hook
 * knows when the program was told that the peer had gone.  Where it closes the
 * last descriptor of such a socket more than the grace later, it asks the kernel before
 * the real close, and notes what a scan would have found: a connection that is closed
 * sooner is asked nothing.  The next pass counts what was noted.
 *
 * A leak of which the program was not told is found by scans alone. */
#ifndef SOCKLEAK_CLOSED_LATE_H
#define SOCKLEAK_CLOSED_LATE_H

#include "scan/scan_internal.h"

/* By a hook: for fd_table_on_told_close(). */
void closed_late_note(int fd, const struct fd_entry *was);
/* By the owner of the scan lock, as all below.  What a record says of an end that is over,
 * or was taken back, is counted as closed late if it was a leak, and cleared. */
void closed_late_settle(struct socket *one, const struct scan_pass *pass);
/* The same for all records; those that nobody holds are freed. */
void closed_late_settle_all(const struct scan_pass *pass);
/* In a child: what was noted is its parent's. */
void closed_late_fork_child(void);

#endif
