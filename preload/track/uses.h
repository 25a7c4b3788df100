/* With uses=yes: the last call that moved data on each socket.
 *
 * A hook notes it (use_note.h) after each such call: it takes no lock, waits for no
 * thread and allocates nothing but, once for 256 descriptors or sockets, their notes.  A
 * note stands in a table beside that of the descriptors or, where the socket has a record
 * (socket.h: it was duplicated, say), beside that of the records, so that all duplicates
 * share it.  Without the option there are no such tables.
 *
 * A note has the id of its socket and the depth of forks of its process: what was
 * written of an earlier socket of the number, or by the parent of a forked child, is
 * none of this one.  Nothing is cleared when a descriptor is closed.
 *
 * The backtrace is an origin (unwind/origin.h): most often recognised, and then no more
 * than a number.  One that waits to be unwound is settled by the scanning thread, in each
 * scan, as all such words are.
 *
 * Given up on purpose: the use of a thread that was held up between the system call and
 * its note, while another one closed the descriptor and a third got its number, counts
 * for the third one's socket. */
#ifndef SOCKLEAK_USES_H
#define SOCKLEAK_USES_H

#include "common/ledger.h"
#include "track/fd_entry.h"
#include "track/use_note.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* By the constructor, if it is asked for.  false = no memory: none is noted. */
bool uses_start(void);

/* In a hook, called from it or from a function that it called: `call` has just moved
 * data on `fd`, which may be a file.  Any thread, any signal handler; leaves errno
 * alone. */
void uses_note(int fd, uint64_t bytes, enum sl_call call, bool is_sent);

/* Of the socket that `entry`, a copy of the entry of `fd`, is of.  Any thread. */
void uses_read(int fd, const struct fd_entry *entry, struct use *use);
/* The same, into a row of the ledger, as a scan writes it. */
void uses_describe(int fd, const struct fd_entry *entry, struct sl_descriptor *row);
/* By the owner of the scan lock: as notice_resolve(). */
void uses_resolve(int fd, const struct fd_entry *entry);

#endif
