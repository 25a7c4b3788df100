/* Calls that read and write: they tell the program of a connection's end. */
#include "hooks/hooks.h"

#include "base/single_thread.h"
#include "hooks/read_write.h"

#include <errno.h>
#include <sys/syscall.h>

__attribute__((noinline, cold)) ssize_t ended_direct(long fd, long result, bool is_end,
						     enum sl_call call)
{
	if (result < 0) {
		guard_set_error((int)-result);
		note_errno((int)fd, call);
		return -1;
	}
	if (is_end)
		note_end((int)fd, call, VERDICT_END_OF_STREAM);
	return acts_on_use() ? used((int)fd, result, call) : result;
}

EXPORT ssize_t read(int fd, void *buffer, size_t count)
{
	if (host_is_single_threaded())
		return DIRECT_READ(read, SYS_read, fd, buffer, count, 0);
	return READS(fd, count, read, fd, buffer, count);
}

EXPORT ssize_t __read(int fd, void *buffer, size_t count)
{
	if (host_is_single_threaded())
		return DIRECT_READ(__read, SYS_read, fd, buffer, count, 0);
	return READS(fd, count, __read, fd, buffer, count);
}

EXPORT ssize_t readv(int fd, const struct iovec *vector, int count)
{
	ssize_t n = HOST_CALL(readv, fd, vector, count);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), readv);
}

/* Saves two instructions in a host with threads: 0 bytes from the error queue are taken
 * for an end, which the next scan withdraws.  Programs read that queue by recvmsg(). */
EXPORT ssize_t recv(int sockfd, void *buffer, size_t count, int flags)
{
	if (host_is_single_threaded()) {
		if (IS_OF_ERROR_QUEUE(flags))
			return next.recv(sockfd, buffer, count, flags);
		return DIRECT_READ(recv, SYS_recvfrom, sockfd, buffer, count, flags);
	}
	return READS(sockfd, count, recv, sockfd, buffer, count, flags);
}

EXPORT ssize_t recvfrom(int sockfd, void *restrict buffer, size_t count, int flags,
			__SOCKADDR_ARG address, socklen_t *restrict length)
{
	if (IS_OF_ERROR_QUEUE(flags))
		return next.recvfrom(sockfd, buffer, count, flags, address, length);
	struct sockaddr *from = address.__sockaddr__;
	if (host_is_single_threaded()) {
		ssize_t n = DIRECT_CALL(SYS_recvfrom, sockfd, buffer, count, flags, from,
					length);

		return AFTER_READ(sockfd, n, count, recvfrom);
	}
	return READS(sockfd, count, recvfrom, sockfd, buffer, count, flags, from, length);
}

EXPORT ssize_t preadv2(int fd, const struct iovec *vector, int count, off_t offset,
		       int flags)
{
	ssize_t n = next.preadv2(fd, vector, count, offset, flags);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), preadv2);
}

EXPORT ssize_t preadv64v2(int fd, const struct iovec *vector, int count, off64_t offset,
			  int flags)
{
	ssize_t n = next.preadv64v2(fd, vector, count, offset, flags);

	return AFTER_READ(fd, n, n == 0 && wants_some(vector, (size_t)count), preadv64v2);
}

/* An error of these two calls may belong to the other descriptor: note_end() asks the kernel
 * about the socket. */
EXPORT ssize_t splice(int fd_in, off64_t *offset_in, int fd_out, off64_t *offset_out,
		      size_t count, unsigned flags)
{
	ssize_t n = next.splice(fd_in, offset_in, fd_out, offset_out, count, flags);

	if (n < 0)
		note_errno(fd_out, SL_CALL_splice);
	else if (acts_on_use())
		sent(fd_out, n, SL_CALL_splice);
	return AFTER_READ(fd_in, n, count, splice);
}

EXPORT ssize_t sendfile(int fd_out, int fd_in, off_t *offset, size_t count)
{
	ssize_t n = next.sendfile(fd_out, fd_in, offset, count);

	if (n < 0)
		note_errno(fd_out, SL_CALL_sendfile);
	else if (acts_on_use())
		sent(fd_out, n, SL_CALL_sendfile);
	return AFTER_READ(fd_in, n, count, sendfile);
}

EXPORT ssize_t sendfile64(int fd_out, int fd_in, off64_t *offset, size_t count)
{
	ssize_t n = next.sendfile64(fd_out, fd_in, offset, count);

	if (n < 0)
		note_errno(fd_out, SL_CALL_sendfile64);
	else if (acts_on_use())
		sent(fd_out, n, SL_CALL_sendfile64);
	return AFTER_READ(fd_in, n, count, sendfile64);
}

/* The fortified calls go on to the fortified next definition, which still checks the
 * buffer and aborts. */
EXPORT ssize_t __read_chk(int fd, void *buffer, size_t count, size_t size)
{
	return READS(fd, count, __read_chk, fd, buffer, count, size);
}

EXPORT ssize_t __recv_chk(int sockfd, void *buffer, size_t count, size_t size, int flags)
{
	if (IS_OF_ERROR_QUEUE(flags))
		return next.__recv_chk(sockfd, buffer, count, size, flags);
	return READS(sockfd, count, __recv_chk, sockfd, buffer, count, size, flags);
}

EXPORT ssize_t __recvfrom_chk(int sockfd, void *buffer, size_t count, size_t size,
			      int flags, struct sockaddr *address, socklen_t *length)
{
	if (IS_OF_ERROR_QUEUE(flags))
		return next.__recvfrom_chk(sockfd, buffer, count, size, flags, address,
					   length);
	return READS(sockfd, count, __recvfrom_chk, sockfd, buffer, count, size, flags,
		     address, length);
}

EXPORT ssize_t send(int sockfd, const void *buffer, size_t count, int flags)
{
	if (host_is_single_threaded())
		return DIRECT_SEND(send, SYS_sendto, sockfd, buffer, count, flags);
	return SENDS(sockfd, send, sockfd, buffer, count, flags);
}

EXPORT ssize_t __send(int sockfd, const void *buffer, size_t count, int flags)
{
	if (host_is_single_threaded())
		return DIRECT_SEND(__send, SYS_sendto, sockfd, buffer, count, flags);
	return SENDS(sockfd, __send, sockfd, buffer, count, flags);
}

EXPORT ssize_t sendto(int sockfd, const void *buffer, size_t count, int flags,
		      __CONST_SOCKADDR_ARG address, socklen_t length)
{
	const struct sockaddr *to = address.__sockaddr__;
	ssize_t n = HOST_CALL(sendto, sockfd, buffer, count, flags, to, length);

	if (__builtin_expect(flags & MSG_FASTOPEN, 0))
		after_connect(sockfd, n < 0 ? -1 : 0, to, length);
	return AFTER_SEND(sockfd, n, sendto);
}

EXPORT ssize_t write(int fd, const void *buffer, size_t count)
{
	if (host_is_single_threaded())
		return DIRECT_SEND(write, SYS_write, fd, buffer, count, 0);
	return SENDS(fd, write, fd, buffer, count);
}

EXPORT ssize_t __write(int fd, const void *buffer, size_t count)
{
	if (host_is_single_threaded())
		return DIRECT_SEND(__write, SYS_write, fd, buffer, count, 0);
	return SENDS(fd, __write, fd, buffer, count);
}

EXPORT ssize_t writev(int fd, const struct iovec *vector, int count)
{
	if (host_is_single_threaded())
		return DIRECT_SEND(writev, SYS_writev, fd, vector, count, 0);
	return SENDS(fd, writev, fd, vector, count);
}

/* Of SO_ERROR: what a program that waits by poll() asks then. */
__attribute__((noinline, cold)) static void asked_error(int fd, const int *error,
							const socklen_t *length)
{
	if (is_on_own_stack(length, sizeof(*length)) && *length == sizeof(*error) &&
	    is_on_own_stack(error, sizeof(*error)) && *error)
		note_error(fd, SL_CALL_getsockopt, *error);
}

int after_getsockopt(int fd, int result, int level, int name, const void *value,
		     const socklen_t *length)
{
	if (__builtin_expect(name == SO_ERROR, 0) && level == SOL_SOCKET && result == 0)
		asked_error(fd, value, length);
	return result;
}

EXPORT int getsockopt(int sockfd, int level, int name, void *restrict value,
		      socklen_t *restrict length)
{
	return after_getsockopt(sockfd,
				next.getsockopt(sockfd, level, name, value, length),
				level, name, value, length);
}
