/* Calls that the library stands in for and that no header of glibc declares, or only one
 * for programs that are fortified. */
#ifndef UNDECLARED_H
#define UNDECLARED_H

#include <sys/socket.h>
#include <sys/types.h>

int __connect(int, const struct sockaddr *, socklen_t);
int __dup2(int, int);
int capset(void *, const void *);
int __fcntl(int, int, ...);
int __close(int);
pid_t __vfork(void);
int __clone(int (*)(void *), void *, int, void *, ...);
ssize_t __read(int, void *, size_t);
ssize_t __send(int, const void *, size_t, int) __attribute__((weak));
ssize_t __write(int, const void *, size_t);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);
int fcntl64(int, int, ...);

#endif
