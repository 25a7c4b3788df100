/* Calls after which the helper thread would be what the host must not have: of other
 * credentials, in another namespace, or outside a sandbox. */
#include "hooks/hooks.h"

#include "base/clock.h"
#include "ledger/ledger_writer.h"
#include "scan/helper.h"
#include "scan/scan.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdarg.h>
#include <sys/syscall.h>

/* A server that takes the rights of each client in turn would start a thread for each:
 * from then on hooks scan. */
#define MAX_RESTARTS 16

/* What capset() gives up the calling thread alone gives up: at the next setuid() the
 * C library would be refused by one thread and not by the other, and end the host.  And
 * into some namespaces goes only a process of one thread.  The helper leaves first; the
 * next use of a connection starts one with the rights and namespaces of that moment. */
void stop_helper_for_credentials(void)
{
	static _Atomic unsigned n_times;

	if (!start_hooks_are_on || guard_is_sandboxed || !is_our_process() ||
	    !helper_is_scanning() || !helper_leave(1000))
		return;
	if (n_times++ < MAX_RESTARTS) {
		helper_allow_restart();
		start_await_connection(fd_table_has_connection());
	} else {
		helper_retire();
	}
}

/* A forked child makes its ledger with its first scan.  One that changes its root, may
 * open no file or lays a filter upon itself could not do it then, and what it leaks would
 * be lost. */
void make_ledger_while_it_can(void)
{
	int saved_errno = errno;

	start_may_have_moved = true;
	if (start_hooks_are_on && !guard_is_sandboxed && is_our_process() &&
	    start_imports_connections && ledger_directory() && !ledger_is_kept())
		scan_prepare();
	errno = saved_errno;
}

EXPORT int capset(void *header, const void *rights)
{
	stop_helper_for_credentials();
	return next.capset(header, rights);
}

/* A thread that leaves the process's descriptor table for one of its own.  Returns
 * whether it is to be told by after_leaving_files() what became of that. */
bool leaving_files(void)
{
	if (!start_hooks_are_on || guard_has_own_files)
		return false;
	if (guard_ask_process() != PROCESS_OURS) {
		if (guard_shares_all())
			guard_has_other_files = true;
		return false;
	}
	if (guard_sys(SYS_gettid) == guard_pid)
		return false;
	guard_has_own_files = true;
	return true;
}

long after_leaving_files(bool leaves, long result)
{
	if (leaves && result != 0)
		guard_has_own_files = false;
	return result;
}

/* A new user namespace, and threads or memory of its own, are for a process of one thread
 * alone. */
static bool needs_one_thread(int flags)
{
	return flags & (CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM);
}

EXPORT int unshare(int flags)
{
	/* Other files may soon be mounted where the ledger is to be. */
	if (flags & CLONE_NEWNS)
		make_ledger_while_it_can();
	if (needs_one_thread(flags))
		stop_helper_for_credentials();
	bool leaves = (flags & CLONE_FILES) && leaving_files();
	return (int)after_leaving_files(leaves, next.unshare(flags));
}

EXPORT int setns(int fd, int type)
{
	make_ledger_while_it_can();
	stop_helper_for_credentials();
	return next.setns(fd, type);
}

EXPORT int chroot(const char *path)
{
	make_ledger_while_it_can();
	return next.chroot(path);
}

/* Of rights that are given up by number.  The C library's setuid() and its like are made
 * by every thread; by number, by the caller alone. */
bool changes_rights(long number, long first)
{
	switch (number) {
	case SYS_capset:
	case SYS_setns:
	case SYS_setuid:
	case SYS_setgid:
	case SYS_setreuid:
	case SYS_setregid:
	case SYS_setresuid:
	case SYS_setresgid:
	case SYS_setfsuid:
	case SYS_setfsgid:
	case SYS_setgroups:
	case SYS_landlock_restrict_self:
		return true;
	case SYS_unshare:
		return needs_one_thread((int)first);
	case SYS_prctl:
		return first == PR_SET_SECUREBITS;
	default:
		return false;
	}
}

/* From the moment a filter of the host's own stands, a call that the host does not make
 * may end it.  The helper leaves first: a filter may be laid upon all threads.  false =
 * nothing was changed. */
bool entering_sandbox(void)
{
	if (!start_hooks_are_on || guard_is_sandboxed || !is_our_process())
		return false;
	make_ledger_while_it_can();
	helper_leave(1000);
	/* The report says that what follows was not recorded. */
	clock_before_sandbox();
	ledger_note_filter(clock_now_ns());
	guard_is_sandboxed = true;
	return true;
}

/* The filter was refused: all is as it was.  (Refused to one of the threads that it was
 * to be laid upon, the call returns that thread's number.) */
long after_entering(bool has_entered, long result)
{
	if (has_entered && result != 0) {
		guard_is_sandboxed = false;
		ledger_note_filter(0);
		helper_allow_restart();
		start_await_connection(fd_table_has_connection());
	}
	return result;
}

/* A filter of NULL is how a program asks whether filters are to be had. */
bool installs_filter(unsigned long mode, unsigned long filter)
{
	return mode != SECCOMP_MODE_FILTER || filter;
}

EXPORT int prctl(int option, ...)
{
	unsigned long words[4];
	va_list arguments;

	va_start(arguments, option);
	for (int i = 0; i < 4; i++)
		words[i] = va_arg(arguments, unsigned long);
	va_end(arguments);
	if (option == PR_SET_SECUREBITS)
		stop_helper_for_credentials();
	if (option == PR_SET_TSC)
		clock_before_counter_is_denied();
	bool has_entered = option == PR_SET_SECCOMP &&
			   installs_filter(words[0], words[1]) && entering_sandbox();
	return (int)after_entering(
		has_entered, next.prctl(option, words[0], words[1], words[2], words[3]));
}
