/* The way other tools capture, for comparison: unw_backtrace() in the thread of the host,
 * in each call that makes a descriptor. */
#define UNW_LOCAL_ONLY
#include <dlfcn.h>
#include <libunwind.h>
#include <sys/socket.h>

#define MAX_FRAMES 64

static int (*real_socket)(int, int, int);
static int (*real_accept)(int, __SOCKADDR_ARG, socklen_t *restrict);

__attribute__((constructor)) static void start(void)
{
	real_socket = (__typeof__(real_socket))dlsym(RTLD_NEXT, "socket");
	real_accept = (__typeof__(real_accept))dlsym(RTLD_NEXT, "accept");
}

static void capture(void)
{
	void *frames[MAX_FRAMES];

	unw_backtrace(frames, MAX_FRAMES);
}

int socket(int domain, int type, int protocol)
{
	int fd = real_socket(domain, type, protocol);

	capture();
	return fd;
}

int accept(int fd, __SOCKADDR_ARG address, socklen_t *restrict length)
{
	int accepted = real_accept(fd, address, length);

	capture();
	return accepted;
}
