/* Calls that libunwind makes, answered so that it owns no descriptor. */
#include "hooks/hooks.h"

#include <errno.h>
#include <sys/syscall.h>

/* libunwind keeps a pipe and asks mincore to test addresses when it is initialised.  The
 * library never makes it test an address, so libunwind needs neither: pipe2 fails, and
 * mincore succeeds. */
EXPORT int pipe2(int fds[2], int flags)
{
	if (__builtin_expect(guard_is_in_libunwind, 0)) {
		fds[0] = fds[1] = -1;
		errno = ENOSYS;
		return -1;
	}
	return next.pipe2(fds, flags);
}

EXPORT int mincore(void *address, size_t length, unsigned char *vector)
{
	if (__builtin_expect(guard_is_in_libunwind, 0))
		return 0;
	return next.mincore(address, length, vector);
}
