/* Calls that duplicate a descriptor. */
#include "hooks/hooks.h"

#include "scan/scan.h"

#include <errno.h>
#include <stdarg.h>

/* dup2 and dup3 close their target, but only if they succeed. */
bool begin_replacing(int old_fd, int new_fd, struct fd_entry *was)
{
	if (old_fd == new_fd)
		return false;
	bool had = fd_table_knows(new_fd) && may_drop();

	if (had) {
		scan_before_end();
		had = fd_table_forget(new_fd, was);
	}
	await_release(new_fd);
	return had;
}

void end_replacing(int old_fd, int new_fd, int result, bool had,
		   const struct fd_entry *was)
{
	if (had && result < 0)
		fd_table_restore(new_fd, was);
	else if (had)
		fd_table_confirm(was);
	if (result >= 0)
		copied(old_fd, new_fd);
}

EXPORT int dup(int old_fd)
{
	int fd = next.dup(old_fd);

	copied(old_fd, fd);
	if (is_refused_for_want_of_numbers(fd))
		scan_limit_hit();
	return fd;
}

EXPORT int dup2(int old_fd, int new_fd)
{
	struct fd_entry was;
	bool had = begin_replacing(old_fd, new_fd, &was);
	int fd = next.dup2(old_fd, new_fd);

	end_replacing(old_fd, new_fd, fd, had, &was);
	return fd;
}

EXPORT int __dup2(int old_fd, int new_fd)
{
	return dup2(old_fd, new_fd);
}

EXPORT int dup3(int old_fd, int new_fd, int flags)
{
	struct fd_entry was;
	bool had = begin_replacing(old_fd, new_fd, &was);
	int fd = next.dup3(old_fd, new_fd, flags);

	end_replacing(old_fd, new_fd, fd, had, &was);
	return fd;
}

int after_fcntl(int fd, int command, int result)
{
	if (command == F_DUPFD || command == F_DUPFD_CLOEXEC)
		copied(fd, result);
	return result;
}

/* One long argument is read whatever the command: those without one ignore it. */
#define FCNTL(name)                                                                      \
	EXPORT int name(int fd, int command, ...)                                        \
	{                                                                                \
		va_list arguments;                                                       \
		va_start(arguments, command);                                            \
		long argument = va_arg(arguments, long);                                 \
		va_end(arguments);                                                       \
		return after_fcntl(fd, command, next.name(fd, command, argument));       \
	}
FCNTL(fcntl)
FCNTL(fcntl64)
FCNTL(__fcntl)
