/* Which processes hold which sockets, by /proc/PID/fd. */
#ifndef SOCKLEAK_HOLDERS_H
#define SOCKLEAK_HOLDERS_H

#include <stddef.h>
#include <stdint.h>

struct holder {
	uint32_t pid;
	uint32_t fd;
};

struct holders_namespace {
	uint64_t inode; /* of /proc/PID/ns/net */
	uint32_t pid;   /* a process in it */
};

struct holders {
	struct holders_socket *sockets;       /* by inode */
	struct holders_namespace *namespaces; /* all that were seen, each once */
	size_t n_namespaces;
	size_t n_unseen; /* processes whose /proc may not be read */
};

/* Looks at all processes. */
void holders_find(struct holders *holders);
void holders_free(struct holders *holders);

/* The holders of the socket, ascending by pid and descriptor.  NULL and 0 = none was
 * seen. */
const struct holder *holders_of(const struct holders *holders, uint32_t inode, size_t *n);

/* The inode of the socket that descriptor `fd` of the process refers to; 0 = it is no
 * socket, or may not be looked at. */
uint32_t holders_inode(uint32_t pid, uint32_t fd);

#endif
