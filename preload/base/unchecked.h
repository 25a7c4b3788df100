/* Marks for functions that sanitizers leave alone: what they do is right, and a sanitizer
 * cannot see why. */
#ifndef SOCKLEAK_UNCHECKED_H
#define SOCKLEAK_UNCHECKED_H

/* Reads or writes what another thread may be writing: what a descriptor's entry, a
 * socket's record or a row of the ledger says beside its atomic words.  Of an entry such a
 * word, read before and after, tells whether the copy is believed; of a record the socket id
 * in its facts is read before only (socket.h says what that gives up). */
#define UNCHECKED __attribute__((no_sanitize_thread))
/* Reads memory of the host or of the loader as well, of which sanitizers do not know what
 * may be read. */
#define UNCHECKED_MEMORY __attribute__((no_sanitize_address, no_sanitize_thread))

#endif
