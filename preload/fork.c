/* A fork, in order.  fork_prepare(), in the parent: waits while the helper is being
 * started, notes the time, takes the scan lock, so that what a scan writes is whole in
 * the copy, and waits until no thread is inside libunwind.  Each wait is of at most
 * FORK_PATIENCE_MS; then the fork goes on without.  fork_parent() gives the lock back.
 * fork_child() begins tracking state of the child's own, by begin_child(): first it lets
 * go of the parent's ledger and log, then each folder makes its state that of the child.
 * The child has no helper thread; its first use of a connection starts one
 * (helper_fork_child() has the exceptions).
 *
 * In daemon() the parent ends right after its handlers, by a call inside the C library:
 * fork_parent() notes the end in the ledger, unless errno says that there is no child.
 *
 * CPython from 3.12 on warns after a fork if /proc says that the process has more than one
 * thread.  If the helper is the only other one, fork_prepare() stops it; Python reads
 * /proc/self/stat after fork_parent(), and closes it, where it is started again.
 *
 * Where no handler ran (_Fork(), a raw clone) the first hook or the end of the child does
 * the same by start_child(): a page that the kernel wipes in a child tells it. */
#include "start.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/probe.h"
#include "base/sections.h"
#include "languages/languages.h"
#include "ledger/ledger_writer.h"
#include "report/log.h"
#include "scan/helper.h"
#include "scan/scan.h"
#include "start_internal.h"
#include "track/fd_table.h"
#include "unwind/loader.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <errno.h>

/* Of glibc; a program of another C library must still start. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void),
			     void (*child)(void), void *object) __attribute__((weak));

/* `handlers_ran`: this is a child of fork(), whose handlers have freed the locks of the
 * C library and of other allocators.  Else the allocator may be locked for ever. */
static void begin_child(bool handlers_ran)
{
	/* First of all, before any other code uses this tracking state: the ledger's file
	 * is the parent's. */
	ledger_fork_child();
	log_disown();
	guard_adopt_process();
	fd_table_fork_child();
	origin_fork_child();
	scan_fork_child();
	probe_fork_child();
	loader_fork_child(helper_fork_child(handlers_ran));
	if (!handlers_ran)
		origin_load_no_more();
	end_fork_child();
	start_await_connection(fd_table_has_connection());
}

void start_child(void)
{
	begin_child(false);
}

static __thread bool ends_by_fork;
static __thread int errno_before;

void start_ends_by_fork(bool ends)
{
	ends_by_fork = ends;
}

static void scan_once_more(void *nothing)
{
	(void)nothing;
	if (!scan_trylock(0))
		return;
	scan_pass(clock_now_ns(), &fd_access_directly, false);
	scan_unlock();
}

/* The program goes on in the child, which has all its descriptors: the end of the parent
 * leaks nothing and is not reported. */
static void end_by_fork(void)
{
	uint64_t before;

	if (fd_table_top() && guard_block_signals(GUARD_ALL_SIGNALS, &before)) {
		room_run(scan_once_more, NULL);
		guard_restore_signals(before);
	}
	ledger_end(0);
}

_Atomic bool fork_helper_returns;
static _Atomic bool helper_has_left; /* of a host of one thread, which forks */

/* The C library may run these handlers in two threads at once: in neither the helper
 * leaves. */
static void hide_helper(void)
{
	if (languages_minds_threads && !guard_is_sandboxed && helper_is_scanning() &&
	    ledger_process_threads() == 2 &&
	    (helper_leave(FORK_PATIENCE_MS) || !helper_stay()))
		atomic_store(&helper_has_left, true);
}

static void allow_helper(void)
{
	if (!atomic_exchange(&helper_has_left, false))
		return;
	helper_allow_restart();
	start_await_connection(fd_table_has_connection());
	fork_helper_returns = true;
}

void fork_return_helper(void)
{
	int saved_errno = errno;

	fork_helper_returns = false;
	if (guard_process() == PROCESS_OURS)
		helper_ensure_started();
	errno = saved_errno;
}

static void fork_prepare(void)
{
	helper_fork_prepare(FORK_PATIENCE_MS);
	hide_helper();
	fd_table_fork_prepare();
	scan_fork_prepare();
	origin_fork_prepare();
	errno_before = errno;
	if (ends_by_fork)
		errno = 0;
}

static void fork_parent(void)
{
	origin_fork_parent();
	scan_fork_parent();
	if (ends_by_fork && errno == 0)
		end_by_fork();
	allow_helper();
}

static void fork_child(void)
{
	atomic_store(&helper_has_left, false); /* that was the parent's */
	if (ends_by_fork)
		errno = errno_before;
	/* On kernels without MADV_WIPEONFORK only this handler detects a child.  With it,
	 * another fork handler may have called a hook that has detected the child
	 * before. */
	if (guard_may_be_forked_copy())
		begin_child(true);
	else
		helper_fork_handlers_ran();
}

AT_START void fork_register_handlers(void)
{
	static bool are_registered;

	if (__register_atfork && !are_registered)
		__register_atfork(fork_prepare, fork_parent, fork_child, NULL);
	are_registered = true;
}
