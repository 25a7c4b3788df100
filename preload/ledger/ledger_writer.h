/* Writing the ledger (the format is in ledger.h).  While no ledger is kept every function
 * here does nothing, at the cost of one load. */
#ifndef SOCKLEAK_LEDGER_WRITER_H
#define SOCKLEAK_LEDGER_WRITER_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Makes the file in `directory` (absolute, it stays allocated), reserves and maps it; its
 * descriptor is closed before the return.  NULL or the reason why there is no ledger, a
 * whole sentence.
 */
const char *ledger_start(const char *directory, uint64_t grace_ns, unsigned at_exit,
			 unsigned frames, bool forked);
/* What ledger_start() returns where there is no such directory (any more). */
extern const char ledger_has_no_directory[];
bool ledger_is_kept(void);
/* A directory was named (absolute, it stays allocated): the start, or (in a forked child)
 * the first scan makes a ledger. */
void ledger_expect(const char *directory);
const char *ledger_directory(void); /* NULL = none was named */
/* One is kept, or is to be made: what is noted for it is not lost. */
bool ledger_is_wanted(void);

/* Any thread, any signal: the row of `fd` becomes `row` (sequence excepted).  Its origins
 * are as in origin.h; what is not in the file yet is pending there, and a name none: then
 * false, and the scanning thread tells it again.  A row that another thread is writing,
 * or has no room, is left to ledger_has() and the scanning thread. */
bool ledger_publish(int fd, const struct sl_descriptor *row);
/* The same two by the scanning thread, whose copy of the entry may be old: the row of
 * `fd` is written only if `is_current` says so, once every other writer of the row waits
 * for this one.  false = it is not current, or another writer did not wait: the row must
 * be written anew from the entry as it is now.  `is_whole`: what ledger_publish()
 * returns. */
typedef bool ledger_is_current(int fd, uint32_t generation);
bool ledger_publish_current(int fd, const struct sl_descriptor *row,
			    ledger_is_current *is_current, uint32_t generation,
			    bool *is_whole);
bool ledger_end_current(int fd, ledger_is_current *is_current, uint32_t generation,
			uint64_t ended_ns);
/* As a row or an event may name it: SL_ORIGIN_PENDING while its backtrace is not in the
 * file. */
uint32_t ledger_origin(uint32_t origin);
/* The program was told just now, by `call`: known even if it is killed before the next
 * look. */
void ledger_told(int fd, uint64_t told_ns, enum sl_call call);
/* Which socket it is, known before the next scan. */
void ledger_identify(int fd, uint64_t cookie);
/* What is pending in the row of `fd`, if it still is of that socket, has become known. */
void ledger_resolve(int fd, uint32_t socket_id, uint32_t origin, uint32_t eof_origin,
		    uint32_t use_origin);
/* The descriptor is no longer held; what was known of it stays readable.  `ended_ns`: of
 * one whose peer was known to be gone, else 0. */
void ledger_end_row(int fd, uint64_t ended_ns);
/* Whether the file says that `fd` is held: the scanning thread mends what a race left
 * behind. */
bool ledger_has(int fd);

/* Any thread, any signal: another process may hold the socket that this one closes; its
 * report takes the origin from this ledger.  Written by the next scan.  `is_sent`: over a
 * Unix socket, so that another process has it for certain; what finds no room is then
 * counted as dropped.  Sockets that were only open at a fork are not counted: few of
 * these notes are of use, and every close after a fork would make one. */
struct ledger_passed {
	uint64_t cookie; /* 0 = not known: nothing is noted */
	uint64_t opened_ns;
	uint32_t origin;
	int fd;
	uint16_t call;       /* enum sl_call */
	uint8_t origin_kind; /* enum sl_origin_kind */
	bool is_sent;
};
void ledger_note_passed(const struct ledger_passed *passed);

/* The scanning thread's alone: one thread at a time. */
/* Writes what was given; `settle` as origin_resolve(). */
void ledger_write_passed(uint32_t (*resolve_origin)(uint32_t origin), uint64_t now_ns);
/* false = there is no room, now.  Ids of backtraces and names are appended in order, from
 * 1. */
bool ledger_append(struct sl_record *record, const void *tail, uint32_t tail_bytes);
/* A leak was closed after all; origins and names as of ledger_publish(). */
void ledger_closed(int fd, const struct sl_descriptor *row);
/* What was pending in such a record and has become known; `resolve_origin` as of
 * origin.h. */
void ledger_resolve_closed(uint32_t (*resolve_origin)(uint32_t origin));
struct ledger_counts {
	uint64_t opened, closed, missed, closed_late, closed_late_max_ms;
	uint64_t unwritten; /* rows that are held, and records, not in the file (yet) */
	uint64_t scanned_ns;
};
void ledger_count(const struct ledger_counts *counts);
/* Sockets at a scan; the scanning thread's. */
void ledger_add_point(uint64_t now_ns, uint64_t n_open, uint64_t n_leaked);
/* Reserves what `row_blocks_in_use` blocks of rows and some records need; opens the file
 * for a moment. */
void ledger_grow(unsigned row_blocks_in_use);
/* It is time for that, and for ledger_write_passed(), before the next scan: else rows of
 * descriptors that are opened until then, or what is passed, would find no room. */
extern _Atomic bool ledger_is_low __attribute__((visibility("hidden")));
/* Some rows found no room since this was asked last. */
bool ledger_lacked_rows(void);
/* A record was left out, for want of room or because there are too many of its kind. */
void ledger_drop_record(void);
uint64_t ledger_dropped(void); /* not in the file: records that found no room, and rows */

/* Any thread: the program lays a seccomp filter upon itself (0 = it was refused).  Makes
 * no system call. */
void ledger_note_filter(uint64_t now_ns);
/* A connection was made: the file is worth keeping. */
void ledger_keep(void);

/* CLOCK_MONOTONIC, as /proc/self/stat tells it, within 10 ms. */
uint64_t ledger_process_began_ns(void);

/* How many threads the process has, as /proc/self/stat tells it; 0 = not known. */
uint64_t ledger_process_threads(void);

struct stat;
/* The ledger directory, as guard_open() opens it; -1 and a sentence in `*problem` if it
 * cannot be opened or others could put files in our way there. */
long ledger_open_directory(const char *name, struct stat *is, const char **problem);
/* Whether RLIMIT_FSIZE lets a file become so large; beyond it the kernel sends SIGXFSZ.
 */
bool ledger_may_grow_to(size_t bytes);
/* By the scanning thread or at start: no ledger can be kept in `directory`, which stays
 * allocated. The file PID.failed says so there, as soon as there is a connection. */
void ledger_failed(const char *directory, bool has_connection);
/* By any thread, with a connection; may run in a signal handler.  Most often one load. */
void ledger_note_failure(void);
void ledger_forget_failure(void); /* in a forked child: it tries by itself */

/* A file that says that a process is not watched any more. */
struct ledger_unwatched {
	pid_t pid;
	uint64_t start_ticks, time_ns;
};
enum ledger_whose {
	LEDGER_OWN,     /* this process is about to execute the program */
	LEDGER_CHILD,   /* the child `child` did */
	LEDGER_A_CHILDS /* a child did, of which nothing is known */
};
/* Any thread, any signal handler, a child of vfork(): makes it, and keeps in `made`
 * what it is called.  `program` is a descriptor of what is executed, `reason` a word of
 * reports. */
bool ledger_note_unwatched(struct ledger_unwatched *made, const char *reason, int program,
			   enum ledger_whose whose, pid_t child);
/* Nothing was executed. */
void ledger_withdraw_unwatched(const struct ledger_unwatched *made);
/* Around a call that makes this process another program: false = there is no ledger, or
 * it belongs to another process (the parent of a child of vfork()); then
 * ledger_end_executing() is not to be called.  One system call. */
bool ledger_begin_executing(void);
void ledger_end_executing(void); /* the call has failed */

/* At exit; removes the file if no connection was ever made.  The mapping stays: hooks of
 * later destructors still write into it. */
void ledger_end(int exit_status);
/* In a child: stops using the parent's file, which its memory still maps. */
void ledger_fork_child(void);

#endif
