/* The end of a process: the last scan, the final report, and the exit status.
 *
 * Whoever ends the process comes here first: the handlers of exit() and quick_exit(), and
 * the hooks of _exit().  One thread reports (exit_reporter), any other waits for it: the
 * process would end in the middle of the report.  The reporting thread
 *  1. stops the helper thread, which unwinds what still waits before it goes, or, where
 *     the host ran out of descriptors, does all of step 2;
 *  2. takes the scan lock, makes the last scan and prints the final report.  Where it does
 *     not get the lock it only counts the leaks (scan_exit_without_lock());
 *  3. ends the ledger and the log.
 * Each of these waits ends when what is waited for makes no progress for a second, or
 * after 30 seconds (guard_is_patient()); then the end goes on without. */
#include "start.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/imports.h"
#include "base/next.h"
#include "base/sections.h"
#include "ledger/ledger_writer.h"
#include "report/log.h"
#include "scan/helper.h"
#include "scan/scan.h"
#include "scan/scan_released.h"
#include "start_internal.h"
#include "track/fd_table.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>

#define EXIT_PATIENCE_MS 1000
#define N_FREE_KEYS      31 /* those after the next one need an allocation */
#define N_SPARE_HANDLERS 6  /* of the 32 that need no allocation */

/* The thread that makes the final report, as the address of a thread-local word of its
 * own; 0 = none yet.  Then: no thread waits for the report any more, because it is made
 * or because a waiting thread has given up. */
static _Atomic uintptr_t exit_reporter;
static _Atomic bool report_is_over;
static pthread_key_t main_key;
static uint64_t n_leaked;
static bool was_scanned, unwinds_at_end, was_unwound;
bool start_is_ending;
__thread int end_quick_status = SL_STATUS_UNKNOWN;

/* Of glibc; a program of another C library must still start. */
extern int __cxa_at_quick_exit(void (*function)(void *), void *object)
	__attribute__((weak));
static int (*on_exit_of_libc)(void (*function)(int, void *), void *argument);

AT_START static void last_scan(const struct fd_access *access)
{
	if (scan_lock_timed(EXIT_PATIENCE_MS)) {
		n_leaked = scan_exit(clock_now_ns(), access, unwinds_at_end);
		/* The scan lock is kept: after the final report there is no scan. */
		reentrancy_depth--;
	} else if (access->pidfd < 0) {
		n_leaked = scan_exit_without_lock();
	} else {
		return; /* the helper cannot reach the host's descriptors: the host's
			 * thread tries */
	}
	was_scanned = true;
}

/* Run by the helper, which may wait for the loader's lock without a limit: the thread
 * that ends the process has a limit of its own for the helper. */
static void unwind_the_rest(const struct fd_access *access)
{
	if (!scan_trylock(0))
		return;
	origin_work();
	/* The helper asks about released connections for the last time: the host's thread
	 * does not ask. */
	scan_released_ask(clock_now_ns(), access, true);
	was_unwound = !origin_is_held_up();
	scan_unlock();
}

/* Where the host's limit allows no descriptor even in the helper's nearly empty table,
 * the host's thread has to scan: it needs no new descriptor to ask about its own
 * sockets. */
static void scan_from_own_table(const struct fd_access *access)
{
	long copy = access->pidfd < 0
			    ? -1
			    : guard_sys(SYS_fcntl, access->pidfd, F_DUPFD_CLOEXEC, 0);

	if (copy >= 0)
		guard_sys(SYS_close, copy);
	if (copy >= 0 || access->pidfd < 0)
		last_scan(access);
	else
		unwind_the_rest(access);
}

AT_START static bool another_reports(void)
{
	uintptr_t whose = atomic_load(&exit_reporter);

	return whose && whose != (uintptr_t)&reentrancy_depth &&
	       !atomic_load(&report_is_over);
}

/* Waits until another thread has printed its report: else the process would end in the
 * middle of it. */
static void await_last_words(void)
{
	struct guard_patience patience = {.idle_ms = EXIT_PATIENCE_MS};

	while (another_reports() && guard_is_patient(&patience))
		clock_pause(MS);
	atomic_store(&report_is_over, true);
}

/* A process whose objects import no call of sockets was not scanned so far.  It may
 * have been given a connection all the same, which it reads as it would read a file, or
 * does not know of; that is a leak if it was held for the grace. */
AT_START static bool scan_inherited(void)
{
	reentrancy_depth++;
	scan_adopt_inherited();
	reentrancy_depth--;
	if (!fd_table_top())
		return false;
	scan_note_socket();
	if (scan_is_young())
		return false;
	start_first_socket();
	return true;
}

/* A parent sees only the lowest byte of the status. */
AT_START static int status_to_end_with(int status)
{
	return n_leaked && start_settings.exitcode && (status & 0xff) == 0
		       ? start_settings.exitcode
		       : status;
}

static void scan_and_report(void *argument)
{
	int *status = argument;

	n_leaked = 0;
	was_scanned = false;
	was_unwound = false;
	unwinds_at_end = true;
	/* Without a free descriptor the host's thread could open neither the log nor the
	 * files that hold the names of functions.  The helper can: it has its own
	 * table. */
	bool is_stopped =
		helper_stop(EXIT_PATIENCE_MS,
			    scan_limit_was_hit() ? scan_from_own_table : unwind_the_rest);
	unwinds_at_end = is_stopped && !was_unwound;
	if (!was_scanned && !guard_is_sandboxed)
		last_scan(&fd_access_directly);
	*status = status_to_end_with(*status);
	if (n_leaked && start_why_no_ledger)
		log_warn_of(start_why_no_ledger, start_ledger_directory);
}

AT_START static int final_report(int status)
{
	start_is_ending = true;
	bool has_nothing = !start_imports_connections && !fd_table_top() &&
			   !(start_hooks_are_on && scan_inherited());
	/* Else there is nothing to scan, and no thread that scans. */
	if (!has_nothing && !scan_has_nothing() &&
	    !room_run_at_end(scan_and_report, &status))
		scan_and_report(&status);
	ledger_end(status);
	log_end();
	return status;
}

AT_START int start_last_words(int status)
{
	uintptr_t whose = 0;

	if (!atomic_compare_exchange_strong(&exit_reporter, &whose,
					    (uintptr_t)&reentrancy_depth)) {
		await_last_words();
		return status_to_end_with(status);
	}
	status = final_report(status);
	atomic_store(&report_is_over, true);
	return status;
}

/* Exit handlers run in children, too.  A child of vfork(), which uses our memory, reports
 * nothing.  A forked copy in which no handler of fork ran gets tracking state of its own
 * now. */
AT_START static bool is_ours_to_end(void)
{
	if (guard_ask_process() == PROCESS_VFORK_CHILD)
		return false;
	if (in_forked_copy())
		start_child();
	return true;
}

static void register_exit(void);
static void register_quick_exit(void);

/* A thread that waits for the report of another registers a handler again: a thread that
 * calls exit() and finds no handler left ends the process.  Several threads may come at
 * once, before one of them has registered any, so the reporting thread registers some for
 * them. */
AT_START static int end_by_handler(int status, void (*register_another)(void))
{
	bool is_first = !atomic_load(&exit_reporter);
	unsigned n = is_first && fd_table_top() ? N_SPARE_HANDLERS : another_reports();

	while (n--)
		register_another();
	return start_last_words(status);
}

/* Runs after the host's own handlers and all destructors: it was registered before. */
AT_START static void at_exit(int status, void *nothing)
{
	(void)nothing;
	if (!is_ours_to_end())
		return;
	int ours = end_by_handler(status, register_exit);
	/* The handlers that are left, and the flush of the streams, go on with this
	 * status. */
	if (ours != status)
		exit(ours);
}

static void at_plain_exit(void)
{
	at_exit(0, NULL);
}

static void at_quick_end(void *nothing)
{
	(void)nothing;
	if (!is_ours_to_end())
		return;
	int ours = end_by_handler(end_quick_status, register_quick_exit);
	if (ours != end_quick_status)
		next.quick_exit(end_quick_status = ours);
}

AT_START static void register_exit(void)
{
	if (on_exit_of_libc)
		on_exit_of_libc(at_exit, NULL);
	else
		atexit(at_plain_exit);
}

AT_START static void register_quick_exit(void)
{
	if (__cxa_at_quick_exit)
		__cxa_at_quick_exit(at_quick_end, NULL);
}

static void main_leaves(void *nothing)
{
	(void)nothing;
	helper_retire();
}

/* Keys are numbered from 0.  A program may ask for the value of a key that it has not
 * created yet, a variable that is 0, and expects none: the first numbers are left free. */
AT_START static bool create_main_key(void)
{
	pthread_key_t before[N_FREE_KEYS];
	unsigned n = 0;

	while (n < N_FREE_KEYS && pthread_key_create(&before[n], NULL) == 0)
		n++;
	bool is_created = pthread_key_create(&main_key, main_leaves) == 0;
	while (n-- > 0)
		pthread_key_delete(before[n]);
	return is_created;
}

AT_START void end_register_handlers(void)
{
	on_exit_of_libc = (__typeof__(on_exit_of_libc))imports_of_libc("on_exit");
	/* Registered twice: two threads that call exit() take one handler each.  With one
	 * handler the second thread would end the process while the first still
	 * reports. */
	for (int i = 0; i < 2; i++) {
		register_exit();
		register_quick_exit();
	}
	/* pthread_exit() in main() runs the destructors of thread-specific keys; exit()
	 * does not. */
	if (start_imports_connections && create_main_key())
		pthread_setspecific(main_key, &main_key);
}

void end_fork_child(void)
{
	atomic_store(&exit_reporter, 0);
	atomic_store(&report_is_over, false);
	n_leaked = 0;
}
