/* Asks the kernel for one TCP socket by its two ends and its cookie (NETLINK_SOCK_DIAG,
 * sock_diag(7)), whoever holds it.  Raw system calls; errno untouched. */
#ifndef SOCKLEAK_SOCK_DIAG_H
#define SOCKLEAK_SOCK_DIAG_H

#include "base/probe.h"

struct stat;
/* A socket for questions in the calling thread's table, to be closed by guard_close();
 * -errno. */
long sock_diag_open(struct stat *is);

struct sock_diag_answer {
	struct probe probe; /* all but is_mptcp and written */
	uint32_t inode;
	uint32_t unread_bytes, kernel_bytes;
	bool fin_unread;
};
enum sock_diag_result {
	SOCK_DIAG_FOUND,
	SOCK_DIAG_NONE,   /* no such socket, or no descriptor refers to it: closed by all,
			   * or in CLOSE, in which the kernel finds none */
	SOCK_DIAG_REFUSED /* the kernel did not say */
};
enum sock_diag_result sock_diag_ask(long netlink, const struct probe_ends *ends,
				    uint64_t cookie, struct sock_diag_answer *answer);

#endif
