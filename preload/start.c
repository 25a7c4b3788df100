/* sockleak, the library: which TCP sockets does this process still hold although their
 * peer has gone, and where were they opened?
 *
 * Each folder has one idea; it uses only what stands below it here:
 *
 *     hooks/    the calls that the library stands in for: call, record, return
 *     start.c   the constructor; fork.c, end.c: the other moments of a process's life;
 *               api.c: the functions of sockleak.h
 *     scan/     asks the kernel about each socket, judges it; the helper thread
 *     report/   leaks with one origin, printed once; options, suppressions, the log
 *     track/    which descriptor is which socket
 *     ledger/   the file that outlives the process
 *     unwind/   where a call came from: backtraces, modules, names of functions
 *     languages/ the same in the words of a language, or of the program itself
 *     base/     raw system calls, memory, the next definition of each call
 *     common/   what the command compiles, too: file format, text, verdict
 *
 * Which thread may be where.  A thread of the host runs hooks: it reads and writes
 * entries of the descriptor table, captures backtraces, and at most tries for the scan
 * lock (thread=no).  The owner of the scan lock (scan_lock.h) is one thread at a time:
 * the helper, or a hook, or a caller of sockleak_check(), or the thread that ends the
 * process.  It alone unwinds, scans, prints and writes records of leaks.  Hooks ask the
 * kernel themselves where an end that a call told is not certain (ask_and_tell() of
 * hooks/record.c), judge a socket that they close (scan/closed_late.c), and keep the rows
 * of descriptors in the ledger. */
#include "start.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/imports.h"
#include "base/next.h"
#include "base/sections.h"
#include "base/single_thread.h"
#include "common/text.h"
#include "languages/languages.h"
#include "ledger/ledger_writer.h"
#include "report/leak_groups.h"
#include "report/log.h"
#include "report/options_file.h"
#include "report/path_pattern.h"
#include "report/watched_program.h"
#include "scan/allocation.h"
#include "scan/helper.h"
#include "scan/scan.h"
#include "start_internal.h"
#include "track/fd_table.h"
#include "track/uses.h"
#include "unwind/late_runtime.h"
#include "unwind/loader.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <errno.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEFAULT_GRACE_NS UINT64_C(60000000000) /* tcp_fin_timeout's own default */

struct settings start_settings;
bool start_imports_connections;
bool start_may_have_moved;
static bool opens_log_at_start; /* else when the first scan begins: a program that only
				 * executes another leaves no file */
bool start_hooks_are_on;
uint8_t start_on_use;
bool start_has_socket;
ARENA_TABLE char start_ledger_directory[SETTINGS_PATH_BYTES + 512];
const char *start_why_no_ledger;

static uint64_t system_grace_ns(void)
{
	char text[16];
	uint64_t seconds = 0;

	guard_read_file("/proc/sys/net/ipv4/tcp_fin_timeout", text, sizeof(text));
	for (const char *c = text; *c >= '0' && *c <= '9'; c++)
		seconds = seconds * 10 + (uint64_t)(*c - '0');
	return seconds ? seconds * 1000000000 : DEFAULT_GRACE_NS;
}

AT_START static void open_ledger(bool forked)
{
	static bool was_tried;
	const char *problem;

	if (!start_settings.ledger[0] || !start_ledger_directory[0] || ledger_is_kept() ||
	    (was_tried && !forked))
		return;
	was_tried = true;
	problem = ledger_start(start_ledger_directory, start_settings.grace_ns,
			       start_settings.at_exit, start_settings.frames, forked);
	/* `sockleak run` removes the directory at its end: a process that outlives the
	 * run and has no ledger yet goes without one. */
	if (problem == ledger_has_no_directory && (forked || start_is_ending) &&
	    !start_may_have_moved)
		problem = NULL;
	/* A child that has changed its root or its rights keeps no ledger, and warns only
	 * if a leak is lost by that. */
	if (problem && !forked)
		log_warn_of(problem, start_ledger_directory);
	start_why_no_ledger = forked ? problem : NULL;
}

/* Files of /proc cost a new process 100 us: more than the rest of a start.  A server
 * makes its first socket before it changes its root and its rights. */
static void ask_about_process(void *nothing)
{
	(void)nothing;
	guard_ask_filter();
	if (!guard_has_filter)
		helper_note_processors();
	origin_find_program();
	if (!start_settings.grace_ns)
		start_settings.grace_ns = system_grace_ns();
}

void start_first_socket(void)
{
	uint64_t before;

	if (start_has_socket || !guard_watch_copies())
		return;
	/* A signal handler that jumps out of here would leave a file open, and would
	 * leave it unknown whether a seccomp filter is in force. */
	bool is_blocked = guard_block_signals(GUARD_ALL_SIGNALS, &before);
	start_has_socket = true;
	if (imports_has_rings())
		fd_table_note_missed_call();
	scan_note_socket();
	if (!room_run(ask_about_process, NULL))
		ask_about_process(NULL);
	if (is_blocked)
		guard_restore_signals(before);
}

/* As for the ledger: no warning in a child that has changed its rights. */
static void open_log(void)
{
	const char *problem = log_open(&start_settings);

	opens_log_at_start = true;
	if (problem && !fork_depth)
		log_warn_of(problem, start_settings.log);
}

/* What the start left undone: for a process whose objects import no call that makes
 * connections (yet), and for a forked child, the first scan does it. */
static void prepare(void)
{
	start_first_socket();
	/* With these handlers a fork waits for the helper.  Only the helper registers
	 * them here: the C library's list of handlers has a lock, and a hook may not wait
	 * for it. */
	if (helper_is_me())
		fork_register_handlers();
	/* Another thread may be in start_first_socket(), and not have set it yet. */
	if (!start_settings.grace_ns)
		start_settings.grace_ns = system_grace_ns();
	if (fork_depth || !opens_log_at_start)
		open_log();
	open_ledger(fork_depth != 0);
}

void start_connection(void)
{
	ledger_keep();
	/* A process that shares our memory: the thread would be its own, and end with it.
	 * Our next use of a connection starts one. */
	if (guard_shares_memory && guard_ask_process() != PROCESS_OURS) {
		start_await_connection(true);
		return;
	}
	helper_ensure_started();
	if (helper_is_scanning())
		return;
	scan_poll();
	/* The helper may not be started on top of a signal handler, or inside an
	 * allocator.  Then the next use of a connection starts it. */
	if (helper_is_wanted())
		start_await_connection(true);
}

/* The environment comes from the C library, which was set up before us, and not from the
 * arguments of the constructor: only glibc passes any, with musl they are whatever was
 * left in the registers. */
AT_START static const char *find_variable(const char *name, size_t bytes)
{
	for (char **environment = environ; environment && *environment; environment++)
		if (strncmp(*environment, name, bytes) == 0)
			return *environment + bytes;
	return NULL;
}

#define VARIABLE(name) find_variable(name "=", sizeof(name))

/* The host may change its directory before a child opens its own ledger. */
static void keep_directory(void)
{
	struct text text = {start_ledger_directory, sizeof(start_ledger_directory) - 1, 0,
			    false};
	char here[512];

	if (!start_settings.ledger[0])
		return;
	if (start_settings.ledger[0] != '/') {
		if (guard_sys(SYS_getcwd, here, sizeof(here)) < 0)
			return;
		text_string(&text, here);
		text_string(&text, "/");
	}
	size_t given_at = text.used;
	path_pattern_add(&text, start_settings.ledger);
	start_ledger_directory[text.cut ? 0 : text.used] = '\0';
	if (!start_ledger_directory[0])
		return;
	/* The user cannot make a directory in advance whose name has the host's name or
	 * the process's number in it: make it here. */
	if (strcmp(start_ledger_directory + given_at, start_settings.ledger) != 0)
		guard_sys(SYS_mkdirat, AT_FDCWD, start_ledger_directory, 0700);
	ledger_expect(start_ledger_directory);
}

/* Opens the ledger, and records the sockets that the process was given. */
static void start_records(void)
{
	if (start_settings.ledger[0])
		start_first_socket();
	open_ledger(false);
	reentrancy_depth++;
	scan_adopt_inherited();
	reentrancy_depth--;
	if (fd_table_top())
		start_first_socket();
	start_await_connection(fd_table_has_connection());
}

static void say_help(void)
{
	log_write(&fd_access_directly, settings_help, strlen(settings_help));
}

static void take_options(const char *options)
{
	settings_parse(&start_settings, options, log_warn);
	start_settings.off = !watched_program_is_this(&start_settings);
	if (start_settings.off)
		return;
	opens_log_at_start = start_imports_connections || start_settings.help;
	const char *problem = log_start(&start_settings, opens_log_at_start);
	if (problem)
		log_warn_of(problem, start_settings.log);
	if (start_settings.help)
		say_help();
	keep_directory();
}

/* In a frame of its own: a start without it does not touch these pages of the stack. */
static __attribute__((noinline)) void take_file(long fd, const char *own)
{
	char options[2 * OPTIONS_FILE_BYTES];
	long n = guard_sys(SYS_read, fd, options, OPTIONS_FILE_BYTES - 1);
	struct text text = {options, sizeof(options) - 1, n > 0 ? (size_t)n : 0, false};

	guard_sys(SYS_close, fd);
	if (own) {
		text_string(&text, ":");
		text_string(&text, own);
	}
	options[text.used] = '\0';
	take_options(options);
	if (text.cut)
		log_warn("SOCKLEAK_OPTIONS is too long: its end was not read");
}

AT_START static void find_options(void)
{
	const char *options = VARIABLE("SOCKLEAK_OPTIONS"), *preload = NULL;
	long fd = -1;

	if (!options || !options_name_ledger(options))
		preload = VARIABLE("LD_PRELOAD");
	if (preload)
		fd = options_file_open(preload);
	if (fd >= 0)
		take_file(fd, options);
	else if (options)
		take_options(options);
}

/* Of a program that makes connections. */
static void start_connecting(void)
{
	single_start();
	helper_note_processors();
	if (start_settings.thread)
		allocation_start();
	/* Read the list of modules now: a seccomp filter may forbid it at exit. */
	if (!start_settings.thread) {
		origin_allocate();
		origin_work();
	}
	guard_watch_copies();
	start_records();
}

static void note_uses(void)
{
	if (uses_start())
		start_on_use |= START_NOTES_USES;
}

AT_START static void start_all(void)
{
	bool has_all_calls = next_start(&start_imports_connections);

	clock_start();
	guard_start();
	/* A setuid program must not be recorded; the loader refuses it, too, but for
	 * /etc/ld.so.preload.  Its calls go to the C library like any other's. */
	if (getauxval(AT_SECURE) || imports_we_are_second())
		return;
	settings_parse(&start_settings, NULL, log_warn);
	log_start(&start_settings, true);
	if (!has_all_calls) {
		log_warn("the C library lacks a call that is needed: switched off");
		return;
	}
	find_options();
	if (start_settings.off)
		return;
	leak_groups_start(&start_settings);
	/* Reading the clock touches two pages, its own and one of the C library: a
	 * program without connections (/bin/true) does without. */
	scan_start(&start_settings, prepare,
		   start_imports_connections ? clock_now_ns() : 0);
	languages_ask_about_threads();
	if (start_settings.languages) {
		languages_look_for_runtime(start_settings.java);
		late_runtime_start(allocation_is_safe);
	}
	origin_start(start_settings.frames, start_imports_connections);
	if (start_settings.uses)
		note_uses();
	helper_start(start_settings.thread, start_settings.interval_ns);
	end_register_handlers();
	/* This takes two microseconds and touches two pages of the C library: a program
	 * without connections (/bin/true) does without. */
	if (start_imports_connections || start_settings.ledger[0] ||
	    !start_settings.thread)
		fork_register_handlers();
	loader_start();
	if (start_imports_connections)
		start_connecting();
	start_hooks_are_on = true;
}

/* libunwind and the loader leave an error number behind; main() finds none. */
__attribute__((constructor)) static void start(void)
{
	int saved_errno = errno;

	start_all();
	errno = saved_errno;
}
