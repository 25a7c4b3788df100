/* Which descriptor is which socket: a flat table indexed by descriptor, without locks.
 *
 *     struct fd_entry  of a descriptor: how and where its socket was opened.  By number.
 *     struct socket    of a socket (socket.h): which descriptors hold it, what the
 *                      program was told of it, how its connection ended.  The entries
 *                      of all duplicates refer to the same one.
 *
 * Not every socket needs a record: it is made when a descriptor is duplicated, when the
 * program is told of an end, or when a scan finds that the peer has gone.  What a birth
 * writes stays in the entry, so that neither a birth nor a close allocates anything; a
 * duplicate gets a copy of it.
 *
 * The kernel gives a number to one owner at a time: from the return of the call that made
 * it to the entry of the call that ends it no other thread gets it.  So an entry has one
 * writer, and all other threads rely on its `word`: generation, reference to the record
 * and bits in one, 0 = empty, stored last at birth, exchanged for 0 before the real
 * close.  Each use of a number is a generation of its own; a reader believes a copy of an
 * entry if the generation stands before and after the copying.  The thread that takes the
 * word away, and no other, gives back the hold on the record that the word refers to.
 * Where two writers meet all the same (dup2 onto one target from two threads, a handler
 * that interrupts a writer) the last one wins by that one word, and the cookie (the kernel's
 * own number of a socket) decides in the next scan whether the entry is believed.
 *
 * The first part of an entry belongs to the hooks, the second to the scanning thread (the
 * owner of the scan lock), which notes in `scanned_gen` the generation that the second
 * part is about. */
#ifndef SOCKLEAK_FD_TABLE_H
#define SOCKLEAK_FD_TABLE_H

#include "common/ledger.h"
#include "track/fd_entry.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define FD_TABLE_ENTRIES 256  /* of a chunk */
#define FD_TABLE_CHUNKS  4096 /* 1,048,576 descriptors: the kernel's default nr_open */

struct fd_table_counts {
	_Atomic uint64_t opened, closed; /* sockets, not descriptors */
	_Atomic uint64_t missed;
};
extern struct fd_table_counts fd_table_counts;
/* Both at one time: never more closed than opened. */
void fd_table_count_sockets(uint64_t *opened, uint64_t *closed);

/* How many forks lie between the first tracking state and this one: entries of another
 * depth were inherited.  Wraps after 255. */
extern uint8_t fork_depth;

extern struct fd_entry *_Atomic fd_table_chunks[FD_TABLE_CHUNKS]
	__attribute__((visibility("hidden")));

/* The entry of `fd`, whatever it holds; NULL where no chunk was ever needed. */
static inline struct fd_entry *fd_table_entry(int fd)
{
	unsigned at = (unsigned)fd;

	if (at >= FD_TABLE_ENTRIES * FD_TABLE_CHUNKS)
		return NULL;
	struct fd_entry *chunk = atomic_load_explicit(
		&fd_table_chunks[at / FD_TABLE_ENTRIES], memory_order_acquire);

	return chunk ? &chunk[at % FD_TABLE_ENTRIES] : NULL;
}

/* The first descriptor from `fd` to `top` that may have an entry: chunks that were never
 * needed are passed over. */
static inline unsigned fd_table_skip(unsigned fd, unsigned top)
{
	while (fd < top && !fd_table_entry((int)fd))
		fd = (fd | (FD_TABLE_ENTRIES - 1)) + 1;
	return fd;
}

/* Whether anything is recorded on `fd`: what a hook asks first.  Two loads. */
static inline bool fd_table_knows(int fd)
{
	struct fd_entry *entry = fd_table_entry(fd);

	return entry && atomic_load_explicit(&entry->word, memory_order_relaxed);
}

/* A copy of the entry, all of one generation.  false = it is empty, or began another
 * generation meanwhile. */
bool fd_table_read(int fd, struct fd_entry *copy);
/* The record of the socket that `fd` holds, made where there is none yet; `entry` becomes
 * a copy of the entry, which refers to it.  NULL = `fd` is empty, or no memory. */
struct socket *fd_table_make_socket(int fd, struct fd_entry *entry);

/* Whether the entry is of this generation; with 0, whether it is empty. */
bool fd_table_has_generation(int fd, uint32_t generation);
/* What is known at birth, of a copy of an entry, as a row of the ledger has it. */
void fd_table_describe(const struct fd_entry *entry, struct sl_descriptor *row);
/* By the scanning thread, where a hook may have used the number meanwhile: the row in the
 * ledger is written as the entry is now; or ended, as the entry is empty; or the end of
 * stream that the entry knows of is told there, too. */
void fd_table_correct_row(int fd);
void fd_table_end_row(int fd, uint64_t ended_ns);
void fd_table_tell_row(int fd);

/* Everything below is for any thread and signal handler, never blocks, and leaves errno
 * alone.  `bits`: of enum entry_bits.  `peer` may be NULL. */
void fd_table_remember(int fd, enum sl_call call, enum sl_origin_kind origin_kind,
		       uint32_t origin, uint64_t bits, const struct sockaddr *peer);
/* As remember, for what was found rather than seen: only if the entry is still empty. */
bool fd_table_adopt(int fd, enum sl_origin_kind origin_kind, uint64_t bits);
/* As ENTRY_UNSEEN; without `is_socket` it is most likely a file, and the process counts
 * as untouched by it. */
void fd_table_adopt_unseen(int fd, bool is_socket);
/* What was recorded as ENTRY_UNSEEN is a TCP socket; `bits` are set.  false = it is over.
 */
bool fd_table_is_tcp(int fd, uint32_t generation, uint64_t bits);
void fd_table_copy(int from, int to);
/* The socket of `fd`, remembered by an origin of its own, turned out to be that of
 * `with`. */
void fd_table_join(int fd, int with);
/* Empties the entry; `was` (may be NULL) gets what it held, for fd_table_restore() or
 * fd_table_confirm().  false = it was empty. */
bool fd_table_forget(int fd, struct fd_entry *was);
/* Only if the entry still has this word: for the scanning thread, which has found that
 * the number was reused. */
bool fd_table_forget_stale(int fd, uint64_t word);
/* The real call failed: the descriptor was not closed after all. */
void fd_table_restore(int fd, const struct fd_entry *was);
/* The descriptor was closed: the caller does not need the record of its end any more. */
void fd_table_confirm(const struct fd_entry *was);
/* First to last, inclusive; calls forget for each that holds something. */
void fd_table_forget_range(unsigned first, unsigned last);
bool fd_table_knows_any(unsigned first, unsigned last);
void fd_table_set_bits(int fd, uint64_t bits);
/* The connection was dissolved: each entry of the socket begins a new generation, untold.
 */
void fd_table_dissolve(int fd);
/* Only in this generation of the entry: false = it is over. */
bool fd_table_change_bits(int fd, uint32_t generation, uint64_t set, uint64_t clear);
/* The scanning thread learned the peer of this generation: `from` has it. */
void fd_table_learn_peer(int fd, uint32_t generation, const struct fd_entry *from);
void fd_table_set_peer(int fd, const struct sockaddr *peer, socklen_t length);
/* What the program says of where the socket of `fd` was opened, by all its descriptors:
 * `note` makes the new origin of the old one. */
void fd_table_note_origin(int fd, uint32_t (*note)(uint32_t origin, const char *text),
			  const char *text);
/* Whether any entry is that of a connection. */
bool fd_table_has_connection(void);
uint32_t fd_table_last_generation(void);
unsigned fd_table_n_chunks(void); /* of entries, in use */
/* One above the highest descriptor ever recorded. */
unsigned fd_table_top(void);
/* How long ago `then_ns` was at `now_ns`, when the scan began; 0 for what another thread
 * has done since. */
static inline uint64_t fd_table_since_ns(uint64_t then_ns, uint64_t now_ns)
{
	return now_ns > then_ns ? now_ns - then_ns : 0;
}
extern _Atomic uint16_t fd_table_name; /* of the running test, for what is opened now */

/* Once, at the start: `note` is called before the last descriptor of a connection is
 * closed that another process may hold, by the thread that closes it.  `was`: its entry;
 * `was_sent`: not open at a fork, but sent over a Unix socket. */
void fd_table_on_release(void (*note)(int fd, const struct fd_entry *was, bool was_sent));
/* Once, at the start: `note` is called before a descriptor of a connection is closed that
 * no other process holds and of whose end the program was told, by the thread that closes
 * it; the record of its socket still counts this descriptor as a holder. */
void fd_table_on_told_close(void (*note)(int fd, const struct fd_entry *was));

/* Another process may hold the socket: it was open at a fork, or travelled.  `entry` is a
 * copy. */
bool fd_table_may_be_shared(const struct fd_entry *entry);
/* Descriptors were found that were opened or closed by calls that are not seen: from then
 * on the kernel is asked at once of which socket a call speaks. */
bool fd_table_misses_calls(void);
void fd_table_note_missed_call(void);

/* Nothing was opened here and nothing told since the fork. */
bool fd_table_is_untouched(void);

/* In the parent, before a fork: from now on what it holds may have another holder. */
void fd_table_fork_prepare(void);
/* In a real child, before anything else here. */
void fd_table_fork_child(void);

#endif
