/* What the files of the descriptor table share: entries (fd_table.c), their ends
 * (fd_table_end.c), their rows (fd_table_row.c), what the program says of their origin
 * (fd_table_note.c), the records of sockets (socket.c), what the program was told
 * (notices.c), the last use (uses.c). */
#ifndef SOCKLEAK_FD_TABLE_INTERNAL_H
#define SOCKLEAK_FD_TABLE_INTERNAL_H

#include "base/unchecked.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fd_entry;
struct socket;

/* fd_table.c */

/* Of entries and of sockets: given in this order, from 1 again after 2^32 - 1. */
extern _Atomic uint32_t last_generation;

/* What birth wrote into an entry, but for its word. */
void fd_table_copy_birth(struct fd_entry *to, const struct fd_entry *from);
/* As fd_table_read(); false also where `fd` does not hold the socket of this record. */
bool fd_table_read_of(const struct socket *one, int fd, struct fd_entry *copy);

/* fd_table_row.c */

/* The row of an entry, in the ledger, as a hook writes it. */
void fd_table_publish(int fd, const struct fd_entry *entry);

/* fd_table_end.c */

/* By the thread that took this word out of an entry: gives back the hold on the record
 * that the word refers to.  Returns whether no other entry holds the socket. */
bool fd_table_drop_hold(uint64_t word);

/* The time of the last fork of this tracking state; 0 = none. */
void fd_table_note_fork(uint64_t now_ns);

/* uses.c */

/* Set once, by uses_start(). */
extern bool uses_are_noted __attribute__((visibility("hidden")));
/* The socket of `fd` has this record from now on: its last use goes there. */
void uses_take_record(int fd, uint32_t socket_id, uint32_t record);

/* notices.c */

/* The sockets of `from` and `to` are the same one: what the program was told of the
 * first, if it was told nothing of the other, holds for both. */
void notice_take_over(const struct fd_entry *from, const struct fd_entry *to);
/* Since this tracking state began. */
bool notices_are_none(void);
void notices_fork_child(void);

#endif
