/* What the files of the ledger share: making the file (file.c), its rows and records
 * (writer.c), descriptors that are handed over (handover.c). */
#ifndef SOCKLEAK_LEDGER_INTERNAL_H
#define SOCKLEAK_LEDGER_INTERNAL_H

#include "base/guard.h"
#include "common/ledger.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/stat.h>

#define FILE_BYTES      (sizeof(struct sl_header) + (size_t)SL_MAX_BLOCKS * SL_BLOCK_BYTES)
#define BLOCK_OFFSET(k) (sizeof(struct sl_header) + (size_t)(k)*SL_BLOCK_BYTES)

extern struct sl_header *_Atomic ledger_file; /* the mapping; NULL = no ledger is kept */
extern _Atomic uint32_t ledger_n_reserved;    /* blocks the file has room for */

/* The file, or nothing: a real child must not write into its parent's. */
static inline struct sl_header *ledger_ours(void)
{
	return ledger_file && !in_forked_copy() ? ledger_file : NULL;
}

/* When the process started, as `stat_file`, a /proc/PID/stat, says; 0 = not known. */
uint64_t ledger_start_ticks(const char *stat_file);
/* The inode that a link in /proc/PID/ns names; 0 = not known. */
uint64_t ledger_namespace(const char *link);
/* Makes room for `n` blocks in all. */
bool ledger_reserve(int fd, uint32_t n);
/* Opens the file as it was made: its name may have come to mean another one.  For
 * guard_close() with ledger_made. */
long ledger_reopen(void);
extern struct stat ledger_made;

/* In a forked child that has no ledger of its own: the header of the nearest ancestor's,
 * of which only the last page is mapped, to be counted in.  NULL = there is none. */
extern struct sl_header *_Atomic ledger_of_ancestor;

/* In a child: writer.c, handover.c. */
void ledger_writer_fork_child(void);
void ledger_handover_fork_child(void);

#endif
