/* The next definition of each call in calls.h: what a hook forwards to. */
#ifndef SOCKLEAK_NEXT_H
#define SOCKLEAK_NEXT_H

#include "common/calls.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* Exported by glibc, declared by none of its headers unless fortified. */
int __connect(int fd, const struct sockaddr *address, socklen_t length);
int __dup2(int old_fd, int new_fd);
int capset(void *header, const void *rights);
int __fcntl(int fd, int command, ...);
int __close(int fd);
pid_t __vfork(void);
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);
ssize_t __read(int fd, void *buffer, size_t count);
ssize_t __send(int fd, const void *buffer, size_t count, int flags);
ssize_t __write(int fd, const void *buffer, size_t count);
ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size);
ssize_t __recv_chk(int fd, void *buffer, size_t count, size_t size, int flags);
ssize_t __recvfrom_chk(int fd, void *buffer, size_t count, size_t size, int flags,
		       struct sockaddr *address, socklen_t *length);

#define NEXT_POINTER(name, need) __typeof__(&name) name;
struct next_calls {
	CALLS(NEXT_POINTER)
};
#undef NEXT_POINTER

/* Usable from the first instruction: until next_start() it holds fallbacks that make the
 * system call themselves; a row that cannot be filled then is when it is first called.
 * Hidden, as all that hooks look at is: what might be another object's would be reached
 * by way of a table. */
extern struct next_calls next __attribute__((visibility("hidden")));

/* By the constructor, once.  false = a required call is missing, or the only definition
 * found was ours: the library must switch itself off (the fallbacks stay).  On the way
 * it learns whether a loaded object imports a call that makes connections. */
bool next_start(bool *imports_connections);

#endif
