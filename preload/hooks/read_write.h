/* Around the calls that read and write: the hot path of every hook there. */
#ifndef SOCKLEAK_READ_WRITE_H
#define SOCKLEAK_READ_WRITE_H

#include "hooks/hooks.h"

#include <errno.h>
#include <sys/types.h>

/* After a system call that the hook made itself, where `result` is an error or 0. */
ssize_t ended_direct(long fd, long result, bool is_end, enum sl_call call);

/* Whether a read into `vector` asks for more than nothing. */
static inline bool wants_some(const struct iovec *vector, size_t count)
{
	for (size_t i = 0; vector && i < count; i++)
		if (vector[i].iov_len)
			return true;
	return false;
}

/* The error queue is not part of the stream: 0 bytes from it are no end. */
#define IS_OF_ERROR_QUEUE(flags) __builtin_expect(((flags)&MSG_ERRQUEUE) != 0, 0)

/* After a call that reads: the hot path is two comparisons, or three where nothing was
 * there to be read. */
static inline ssize_t after_read(const volatile int *fd, ssize_t result,
				 const volatile size_t *wanted, enum sl_call call)
{
	if (__builtin_expect(result < 0, 0)) {
		if (guard_error_is(EAGAIN))
			return result;
		note_errno(*fd, call);
	} else if (__builtin_expect(result == 0, 0) && *wanted) {
		note_end(*fd, call, VERDICT_END_OF_STREAM);
	}
	if (__builtin_expect(acts_on_use(), 0))
		return used(*fd, result, call);
	return result;
}

static inline ssize_t after_send(const volatile int *fd, ssize_t result,
				 enum sl_call call)
{
	if (__builtin_expect(result < 0, 0))
		note_errno(*fd, call);
	if (__builtin_expect(acts_on_use(), 0))
		return used(*fd, result, call);
	return result;
}

/* Values that only a rare result needs stay on the stack during the call: in registers
 * that calls preserve they would cost every call six instructions.  `wanted` = asked for
 * more than nothing. */
#define READS(fd, wanted, name, ...)                                                     \
	({                                                                               \
		volatile int kept_fd = (fd);                                             \
		volatile size_t kept_wanted = (wanted);                                  \
		after_read(&kept_fd, next.name(__VA_ARGS__), &kept_wanted,               \
			   SL_CALL_##name);                                              \
	})
#define SENDS(fd, name, ...)                                                             \
	({                                                                               \
		volatile int kept_fd = (fd);                                             \
		after_send(&kept_fd, next.name(__VA_ARGS__), SL_CALL_##name);            \
	})

/* The same where the hook makes the system call itself (single_thread.h): no frame of the
 * C library lies between, and nothing waits on the stack. */
static inline ssize_t after_direct(long fd, long result, bool is_end, enum sl_call call)
{
	if (__builtin_expect(result <= 0, 0)) {
		if (result != -EAGAIN)
			return ended_direct(fd, result, is_end, call);
		guard_set_error(EAGAIN);
		return -1;
	}
	if (__builtin_expect(acts_on_use(), 0))
		return ended_direct(fd, result, false, call);
	return result;
}

/* `fd` is widened once: the compiler need not keep it a second time. */
#define DIRECT(name, number, fd, buffer, count, flags, wanted)                           \
	({                                                                               \
		long direct_fd = (fd);                                                   \
		long direct_result = guard_call(number, direct_fd, (long)(buffer),       \
						(long)(count), flags, 0, 0);             \
		after_direct(direct_fd, direct_result, wanted, SL_CALL_##name);          \
	})
#define DIRECT_READ(name, number, fd, buffer, count, flags)                              \
	DIRECT(name, number, fd, buffer, count, flags, (count) > 0)
#define DIRECT_SEND(name, number, fd, buffer, count, flags)                              \
	DIRECT(name, number, fd, buffer, count, flags, false)

/* Where more is to be done in between. */
#define AFTER_READ(fd, result, wanted, name)                                             \
	after_read(&(volatile int){fd}, result, &(volatile size_t){wanted},              \
		   SL_CALL_##name)
#define AFTER_SEND(fd, result, name)                                                     \
	after_send(&(volatile int){fd}, result, SL_CALL_##name)

#endif
