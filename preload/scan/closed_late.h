/* Leaks that are opened, outlive the grace and are closed between two scans.
 *
 * A hook knows when the program was told that the peer had gone.  Where it closes the
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
/* By the owner of the scan lock: counts what was noted of this socket, if its last
 * descriptor was closed; `is_counted`: a scan has found it after all. */
void closed_late_take(struct socket *one, bool is_counted, const struct scan_pass *pass);
/* In a child: what was noted is its parent's. */
void closed_late_fork_child(void);

#endif
