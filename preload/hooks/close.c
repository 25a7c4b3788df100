/* Calls that close or shut. */
#include "hooks/hooks.h"

#include "scan/scan.h"
#include "unwind/origin.h"

#include <errno.h>
#include <linux/close_range.h>
#include <sys/syscall.h>

/* Not inlined: so close() needs no frame of its own for a descriptor of no concern. */
__attribute__((noinline)) static int close_known(int fd, int (*real)(int fd))
{
	ending_known(fd);
	return host_is_single_threaded() ? (int)DIRECT_CALL(SYS_close, fd) : real(fd);
}

EXPORT int close(int fd)
{
	return is_of_concern(fd) ? close_known(fd, next.close) : next.close(fd);
}

EXPORT int __close(int fd)
{
	return is_of_concern(fd) ? close_known(fd, next.__close) : next.__close(fd);
}

/* With CLOSE_RANGE_CLOEXEC nothing is closed, nor with a flag that the kernel may not
 * know.  Returns as leaving_files(): CLOSE_RANGE_UNSHARE acts on a table that other
 * threads do not see. */
bool begin_close_range(unsigned first, unsigned last, unsigned flags)
{
	bool leaves = (flags & CLOSE_RANGE_UNSHARE) && leaving_files();

	if (!(flags & ~CLOSE_RANGE_UNSHARE))
		ending_range(first, last);
	return leaves;
}

EXPORT int close_range(unsigned int first, unsigned int last, int flags)
{
	bool leaves = begin_close_range(first, last, (unsigned)flags);

	return (int)after_leaving_files(leaves, next.close_range(first, last, flags));
}

EXPORT void closefrom(int low)
{
	ending_range(low < 0 ? 0 : (unsigned)low, ~0U);
	next.closefrom(low);
}

/* Whatever the number says, the real call is made: a memory stream has none. */
static void ending_stream(FILE *stream)
{
	int saved_errno = errno;
	int fd = stream ? fileno_unlocked(stream) : -1;

	errno = saved_errno;
	ending(fd);
}

EXPORT int fclose(FILE *stream)
{
	ending_stream(stream);
	int result = next.fclose(stream);
	if (__builtin_expect(
		    atomic_load_explicit(&fork_helper_returns, memory_order_relaxed), 0))
		fork_return_helper();
	return result;
}

/* Without a path only the mode changes and the number stays what it was. */
EXPORT FILE *freopen(const char *restrict path, const char *restrict mode,
		     FILE *restrict stream)
{
	if (path)
		ending_stream(stream);
	return next.freopen(path, mode, stream);
}

EXPORT FILE *freopen64(const char *restrict path, const char *restrict mode,
		       FILE *restrict stream)
{
	if (path)
		ending_stream(stream);
	return next.freopen64(path, mode, stream);
}

/* As soon as the kernel has shut it, a read in another thread returns 0, maybe before
 * after_shutdown() has noted why. */
void before_shutdown(int fd, int how)
{
	if (how != SHUT_WR && !host_is_single_threaded() && fd_table_knows(fd) &&
	    may_record() && may_drop())
		notice_shutting(fd, true);
}

static void note_shutdown(int fd, int how)
{
	struct fd_entry entry;

	adopt_if_unknown(fd, true);
	if (!fd_table_read(fd, &entry))
		return;
	if (fd_table_misses_calls() && !(atomic_load(&entry.word) & ENTRY_MPTCP))
		notice_cookie(fd, probe_cookie(fd, false));
	notice_shutdown(fd, how, origin_capture());
	wake_scanner();
}

int after_shutdown(int fd, int how, int result)
{
	struct fd_entry entry;

	if (!may_record() || !may_drop())
		return result;
	if (result == 0)
		note_shutdown(fd, how);
	if (fd_table_read(fd, &entry) && notice_is_shutting(&entry))
		notice_shutting(fd, false);
	return result;
}

EXPORT int shutdown(int sockfd, int how)
{
	before_shutdown(sockfd, how);
	return after_shutdown(sockfd, how, next.shutdown(sockfd, how));
}
