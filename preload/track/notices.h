/* What the program was told of a socket, by one of its descriptors: an end of stream, an
 * error, its own shutdown(), a connect() that failed.  "Told" means this wherever it
 * stands.  It is kept in the socket's record (socket.h).  For any thread and signal handler, like fd_table.h. */
#ifndef SOCKLEAK_NOTICES_H
#define SOCKLEAK_NOTICES_H

#include "common/verdict.h"
#include "track/fd_table.h"

/* All that was told in this process: what was told before a fork does not count for the
 * child. */
struct eof_notice {
	uint64_t eof_ns;     /* 0 = not told by a read or an error */
	uint64_t shut_ns;    /* 0 = shutdown was not called */
	uint64_t refused_ns; /* when its connect() failed; 0 = it did not, or not known */
	uint32_t eof_origin, shut_origin;
	uint8_t eof_call; /* enum sl_call */
	uint8_t shut_how; /* bit 0 receiving, bit 1 sending */
	enum verdict_error error;
};

/* The program was told (or called shutdown, `how` as in shutdown(2)) on `fd`. */
void notice_eof(int fd, enum sl_call call, uint32_t origin, enum verdict_error error);
void notice_shutdown(int fd, int how, uint32_t origin);
/* Before shutdown() for receiving, and after it: in between a read by another thread may
 * return 0 although the peer has not shut down. */
void notice_shutting(int fd, bool is_under_way);
bool notice_is_shutting(const struct fd_entry *entry); /* a copy */
/* connect() failed on `fd`. */
void notice_refused(int fd);
/* The socket that was just told of an end, or passed, has this cookie.  Not for MPTCP: a
 * socket that falls back to TCP gets another cookie, which the first scan reads. */
void notice_cookie(int fd, uint64_t cookie);

/* Of what `fd` holds now. */
bool notice_was_eof_of(int fd);

/* `entry` is a copy, here and below.
 *
 * Whether the program was told of an end of it. */
bool notice_was_eof(const struct fd_entry *entry);
/* What the program shut of it: bit 0 receiving, bit 1 sending.  For a side that was shut
 * for receiving poll reports the same as for a peer that has gone. */
uint8_t notice_shut_how(const struct fd_entry *entry);
void notice_read(const struct fd_entry *entry, struct eof_notice *notice);
/* That cookie; 0 = not known. */
uint64_t notice_cookie_of(const struct fd_entry *entry);
/* Whether the program was told before the fork that made this process. */
bool notice_before_fork(const struct fd_entry *entry);
/* The kernel says that the peer is there: what was told before `before_ns` was told of
 * another socket.  Returns whether there was such a notice. */
bool notice_withdraw(const struct fd_entry *entry, uint64_t before_ns);
/* By the owner of the scan lock: what stands for a capture becomes what that was unwound
 * to, once a sweep (see origin_end_sweep()). */
void notice_resolve(const struct fd_entry *entry);

#endif
