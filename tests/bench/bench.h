/* What the hosts of `make bench` have in common: clocks, and the calls that are measured,
 * each in a function of its own for callgrind to count in. */
#ifndef BENCH_H
#define BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone, unused))
#define PATIENCE 50000000 /* ns: the helper unwinds what the first rounds left */

static int listener;
static struct sockaddr_in address;

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "%s: %s: %s\n", program_invocation_short_name, what,
		strerror(errno));
	_exit(99);
}

NOINLINE static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Processor time of the whole process, the helper's too: what other programs do on this
 * machine meanwhile is not in it. */
NOINLINE static uint64_t used_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

NOINLINE static void pause_ns(long ns)
{
	struct timespec pause = {ns / 1000000000, ns % 1000000000};

	nanosleep(&pause, NULL);
}

NOINLINE static void start_listening(void)
{
	socklen_t size = sizeof(address);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener >= 0, "socket");
	address.sin_family = AF_INET;
	must(!bind(listener, (struct sockaddr *)&address, size), "bind");
	must(!listen(listener, 4096), "listen");
	must(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
}

/* Room for n descriptors: as root, beyond the hard limit, too. */
NOINLINE static void allow_descriptors(int n)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur >= (rlim_t)n + 100)
		return;
	limit.rlim_cur = (rlim_t)n + 100;
	if (limit.rlim_max < limit.rlim_cur)
		limit.rlim_max = limit.rlim_cur;
	must(!setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
}

/* ---- what is measured ---- */

NOINLINE static int socket_once(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0, "socket");
	return fd;
}

NOINLINE static int connect_once(int fd)
{
	must(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	return fd;
}

NOINLINE static int accept_once(void)
{
	int fd = accept(listener, NULL, NULL);

	must(fd >= 0, "accept");
	return fd;
}

NOINLINE static int close_once(int fd)
{
	int result = close(fd);

	must(!result, "close");
	return result;
}

NOINLINE static ssize_t recv_once(int fd, int flags)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, flags);

	must(n == 1 || errno == EAGAIN, "recv");
	return n;
}

NOINLINE static ssize_t read_once(int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	must(n == 1, "read");
	return n;
}

/* The peer has closed: the end of the stream. */
NOINLINE static ssize_t end_once(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	must(n == 0, "recv at the end of the stream");
	return n;
}

#endif
