/* Writing the ledger (the format is in ledger.h).  While no ledger is kept every function
 * here does nothing, at the cost of one load. */
#ifndef SOCKLEAK_LEDGER_WRITER_H
#define SOCKLEAK_LEDGER_WRITER_H

#include "ledger.h"

#include <stdbool.h>

/* Makes the file in `directory` (absolute), reserves and maps it; its descriptor is
 * closed before the return.  NULL or the reason why there is no ledger, a whole sentence.
 */
const char *ledger_start(const char *directory, uint64_t grace_ns, unsigned at_exit,
			 unsigned frames, bool forked);
bool ledger_is_kept(void);

/* Any thread, any signal: the row of `fd` becomes `row` (sequence excepted).  Its origins
 * are as in origin.h; what is not in the file yet is pending there, and a name none: then
 * false, and the ticker tells it again.  A row that another thread is writing, or has no
 * room, is left to ledger_has() and the ticker. */
bool ledger_publish(int fd, const struct sl_descriptor *row);
/* As a row or an event may name it: SL_ORIGIN_PENDING while its backtrace is not in the
 * file. */
uint32_t ledger_origin(uint32_t origin);
/* The program was told just now, by `call`: known even if it is killed before the next
 * look. */
void ledger_told(int fd, uint64_t told_ns, enum sl_call call);
/* The descriptor is no longer held; what was known of it stays readable. */
void ledger_end_row(int fd);
/* Whether the file says that `fd` is held: the ticker mends what a race left behind. */
bool ledger_has(int fd);

/* Any thread, any signal: the socket may be in another process's hands while this one
 * lets go of it; its origin here serves the record there.  Written by the next look. */
void ledger_give(uint64_t cookie, uint32_t origin, enum sl_call call, int fd);

/* The ticker's alone: one thread at a time. */
/* Writes what was given; `settle` as origin_settle(). */
void ledger_write_given(uint32_t (*settle)(uint32_t origin), uint64_t now_ns);
/* false = there is no room, now.  Ids of backtraces and names are appended in order, from
 * 1. */
bool ledger_append(struct sl_record *record, const void *tail, uint32_t tail_bytes);
struct ledger_counts {
	uint64_t opened, closed, missed, closed_late, closed_late_max_ms;
	uint64_t unwritten; /* rows that are held, and records, not in the file (yet) */
	uint64_t looked_ns;
};
void ledger_count(const struct ledger_counts *counts);
/* Reserves what `row_blocks_in_use` blocks of rows and some records need; opens the file
 * for a moment. */
void ledger_grow(unsigned row_blocks_in_use);
uint64_t ledger_dropped(void); /* not in the file: records that found no room, and rows */

/* A connection was made: the file is worth keeping. */
void ledger_keep(void);
/* At exit; removes the file if no connection was ever made.  The mapping stays: hooks of
 * later destructors still write into it. */
void ledger_end(int exit_status);
/* In a child: its memory still maps the parent's file; let go of it. */
void ledger_fork_child(void);

#endif
