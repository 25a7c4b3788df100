/* Which other process holds a socket, by /proc/PID/fd.  Opens files and directories for
 * as long as it takes: by a thread with a table of its own, or at the end of the process.
 * Raw system calls; errno untouched. */
#ifndef SOCKLEAK_SOCKET_HOLDER_H
#define SOCKLEAK_SOCKET_HOLDER_H

#include <stdbool.h>
#include <stdint.h>

struct socket_holder {
	int pid; /* 0 = none was found: its /proc may not be read */
	int fd;
	char program[16];  /* as /proc/PID/comm calls it */
	bool is_ours;      /* this process holds it itself */
	bool scans_itself; /* it has a helper thread of its own */
};

/* Searches all processes; of several a child of this one comes first. */
void socket_holder_find(uint32_t inode, struct socket_holder *holder);
/* Whether it still holds it. */
bool socket_holder_holds(int pid, int fd, uint32_t inode);
/* Whether the process runs: one that is ending, or has ended and was not waited for, does
 * not. */
bool socket_holder_runs(int pid);

#endif
