/* sockleak, the library: which TCP sockets does this process still hold although their
 * peer has gone, and where were they opened?
 *
 * The map:
 *
 *     calls.h       the calls we stand in for, one row each
 *     hooks.c       the stand-ins: call, tell, return
 *     real.c, objects.c   where the real ones are
 *     registry.c    which descriptor is which socket, without locks
 *     origin.c      where a call came from (with the files it names in its head)
 *     loader.c      whether another thread would hold us up in the loader
 *     probe.c       what the kernel says about a socket
 *     watch.c       age and verdict: the tick
 *     places.c      leaks with the same origin, printed once
 *     helper.c      the thread that ticks; single.c   a host that has no other
 *     ledger.c      the records, in a file (ledger.h) that outlives the process
 *     text.c, names.c, log.c   the report: words, function names, where the bytes go
 *     settings.c    SOCKLEAK_OPTIONS
 *     guard.c, arena.c   raw system calls, whose process this is, memory
 *     api.c         sockleak.h's other side
 *
 * Which thread may be where.  A thread of the host runs hooks: it reads and writes rows
 * of the registry, captures origins, and at most tries for the tick (thread=no).  The
 * ticker (watch_own) is one thread at a time: the helper, or a hook, or a caller of
 * sockleak_check(), or the exiting thread.  It alone unwinds, looks, judges, prints and
 * writes records.  The constructor and the handlers of fork and exit are below. */
#include "start.h"

#include "arena.h"
#include "guard.h"
#include "helper.h"
#include "hooks.h"
#include "ledger_writer.h"
#include "loader.h"
#include "log.h"
#include "origin.h"
#include "places.h"
#include "real.h"
#include "registry.h"
#include "settings.h"
#include "single.h"
#include "text.h"
#include "watch.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define DEFAULT_GRACE_NS UINT64_C(60000000000) /* tcp_fin_timeout's own default */
#define EXIT_PATIENCE_MS 1000
#define FORK_PATIENCE_MS 100

static struct settings settings;
static bool imports_connections;
static bool opens_log_at_start; /* one that only executes another leaves no file */
bool start_has_socket;
ARENA_TABLE static char ledger_directory[SETTINGS_PATH_BYTES + 512];
/* Who says the last words, by the address of a thread-local word of its own; 0 = nobody
 * yet.  And whether they are said. */
static _Atomic uintptr_t speaker;
static _Atomic bool has_spoken;
static pthread_key_t main_key;

/* Of glibc; a program of another C library must still start. */
extern int __register_atfork(void (*prepare)(void), void (*parent)(void),
			     void (*child)(void), void *object) __attribute__((weak));
extern int __cxa_at_quick_exit(void (*function)(void *), void *object)
	__attribute__((weak));
extern int on_exit(void (*function)(int, void *), void *argument) __attribute__((weak));

/* ---- what this process is ---- */

static uint64_t system_grace_ns(void)
{
	char text[16] = {0};
	uint64_t seconds = 0;
	long fd = guard_sys(SYS_openat, AT_FDCWD, "/proc/sys/net/ipv4/tcp_fin_timeout",
			    O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return DEFAULT_GRACE_NS;
	guard_sys(SYS_read, fd, text, sizeof(text) - 1);
	guard_sys(SYS_close, fd);
	for (const char *c = text; *c >= '0' && *c <= '9'; c++)
		seconds = seconds * 10 + (uint64_t)(*c - '0');
	return seconds ? seconds * 1000000000 : DEFAULT_GRACE_NS;
}

/* Of a forked child; NULL = it has one, or wants none. */
static const char *why_no_ledger;

AT_START static void open_ledger(bool forked)
{
	static bool was_tried;
	const char *problem;

	if (!settings.ledger[0] || !ledger_directory[0] || ledger_is_kept() ||
	    (was_tried && !forked))
		return;
	was_tried = true;
	problem = ledger_start(ledger_directory, settings.grace_ns, settings.at_exit,
			       settings.frames, forked);
	/* A child that has changed its root or its rights goes without, and says so only
	 * if that loses a leak. */
	if (problem && !forked)
		log_complain_of(problem, ledger_directory);
	why_no_ledger = forked ? problem : NULL;
}

/* Files of /proc cost a new process 100 us: more than the rest of a start.  A server
 * makes its first socket before it changes its root and its rights. */
void start_first_socket(void)
{
	if (start_has_socket || !guard_watch_copies())
		return;
	start_has_socket = true;
	guard_ask_filter();
	origin_find_program();
	if (!settings.grace_ns)
		settings.grace_ns = system_grace_ns();
}

static void fork_prepare(void);
static void fork_parent(void);
static void fork_child(void);

static void register_fork_handlers(void)
{
	static bool are_registered;

	if (__register_atfork && !are_registered)
		__register_atfork(fork_prepare, fork_parent, fork_child, NULL);
	are_registered = true;
}

/* As the ledger, in silence where a child has changed its rights. */
static void open_log(void)
{
	const char *problem = log_open(&settings);

	opens_log_at_start = true;
	if (problem && !registry_era)
		log_complain_of(problem, settings.log);
}

/* What the start left undone: for a process whose objects import no call that makes
 * connections (yet), and for a forked child, the first look does it. */
static void prepare(void)
{
	start_first_socket();
	/* The handlers keep a fork from the helper's work; a hook may not wait for the
	 * lock that their list has. */
	if (helper_is_me())
		register_fork_handlers();
	/* Another thread may be about to ask. */
	if (!settings.grace_ns)
		settings.grace_ns = system_grace_ns();
	if (registry_era || !opens_log_at_start)
		open_log();
	open_ledger(registry_era != 0);
}

/* ---- the end ---- */

static uint64_t n_leaked;
static bool was_looked_at;

static bool unwinds_at_end, was_unwound;

AT_START static void last_look(const struct probe_way *way)
{
	if (watch_await(EXIT_PATIENCE_MS)) {
		n_leaked = watch_exit(registry_now_ns(), way, unwinds_at_end);
		/* The tick stays ours: after the last words nobody looks. */
		guard_inside--;
	} else if (way->pidfd < 0) {
		n_leaked = watch_exit_without_tick();
	} else {
		return; /* the host's descriptors are out of reach: the host tries */
	}
	was_looked_at = true;
}

/* By the helper, which may wait for the loader as long as it likes: the thread that ends
 * the process waits for the helper only so long. */
static void unwind_the_rest(const struct probe_way *way)
{
	(void)way;
	if (!watch_own(0))
		return;
	origin_work();
	was_unwound = !origin_is_held_up();
	watch_release();
}

/* The process would end in the middle of what another thread says. */
static void await_last_words(uintptr_t whose)
{
	struct guard_patience patience = {.idle_ms = EXIT_PATIENCE_MS};
	struct timespec millisecond = {0, 1000000};

	while (whose != (uintptr_t)&guard_inside && !atomic_load(&has_spoken) &&
	       guard_is_patient(&patience))
		guard_sys(SYS_nanosleep, &millisecond, NULL);
}

AT_START static int say_last_words(int status)
{
	/* Nothing to look at, nobody looking. */
	if ((!imports_connections && !registry_top()) || watch_has_nothing()) {
		ledger_end(status);
		log_end();
		return status;
	}
	n_leaked = 0;
	was_looked_at = false;
	was_unwound = false;
	unwinds_at_end = true;
	/* Without a free number of its own the host's thread could open neither the log
	 * nor the files that hold the names: the helper can, in its own table. */
	bool is_stopped = helper_stop(
		EXIT_PATIENCE_MS, watch_limit_was_hit() ? last_look : unwind_the_rest);
	unwinds_at_end = is_stopped && !was_unwound;
	if (!was_looked_at && !guard_is_sandboxed)
		last_look(&(struct probe_way){-1});
	if (n_leaked && settings.exitcode && status == 0)
		status = settings.exitcode;
	if (n_leaked && why_no_ledger)
		log_complain_of(why_no_ledger, ledger_directory);
	ledger_end(status);
	log_end();
	return status;
}

AT_START int start_last_words(int status)
{
	uintptr_t whose = 0;

	if (!atomic_compare_exchange_strong(&speaker, &whose, (uintptr_t)&guard_inside)) {
		await_last_words(whose);
		return status;
	}
	status = say_last_words(status);
	atomic_store(&has_spoken, true);
	return status;
}

/* Handlers run in children, too: one that borrows our memory has nothing to say, a copy
 * that no handler of fork told so far gets books of its own now. */
AT_START static bool is_ours_to_end(void)
{
	if (guard_process() == GUARD_BORROWED)
		return false;
	if (guard_is_copy())
		start_child();
	return true;
}

/* Runs after the host's own handlers and all destructors: it was registered before. */
AT_START static void at_exit(int status, void *nothing)
{
	(void)nothing;
	if (!is_ours_to_end())
		return;
	int ours = start_last_words(status);
	/* The handlers that are left, and the flush of the streams, go on with this
	 * status. */
	if (ours != status)
		exit(ours);
}

static void at_plain_exit(void)
{
	at_exit(0, NULL);
}

static void quick_end(void *nothing)
{
	(void)nothing;
	if (!is_ours_to_end())
		return;
	/* The status is not told to handlers: it is not ours to change. */
	start_last_words(1);
}

static void main_leaves(void *nothing)
{
	(void)nothing;
	helper_retire();
}

/* ---- fork ---- */

void start_child(void)
{
	/* Before anything takes these books for ours: the file is the parent's. */
	ledger_fork_child();
	log_disown();
	guard_adopt_process();
	registry_fork_child();
	origin_fork_child();
	watch_fork_child();
	probe_fork_child();
	loader_fork_child(helper_fork_child());
	atomic_store(&speaker, 0);
	atomic_store(&has_spoken, false);
	hooks_await(registry_has_connection());
}

static void fork_prepare(void)
{
	helper_fork_prepare(FORK_PATIENCE_MS);
	registry_fork_prepare();
	watch_fork_prepare();
	origin_fork_prepare();
}

static void fork_parent(void)
{
	origin_fork_parent();
	watch_fork_parent();
}

static void fork_child(void)
{
	/* Without MADV_WIPEONFORK this handler is all that tells a child. */
	if (guard_process() != GUARD_OURS)
		start_child();
}

void start_connection(void)
{
	ledger_keep();
	helper_want();
	/* Also while the helper may not be started, on top of a signal handler. */
	if (!helper_is_looking())
		watch_poll();
}

/* ---- the start ---- */

/* The C library that we need was set up before us.  A constructor's arguments are glibc's
 * alone: of musl they are what was left in the registers. */
AT_START static const char *find_options(void)
{
	static const char name[] = "SOCKLEAK_OPTIONS=";

	for (char **environment = environ; environment && *environment; environment++)
		if (strncmp(*environment, name, sizeof(name) - 1) == 0)
			return *environment + sizeof(name) - 1;
	return NULL;
}

/* The host may change its directory before a child opens its own ledger. */
static void keep_directory(void)
{
	struct text text = {ledger_directory, sizeof(ledger_directory) - 1, 0, false};
	char here[512];

	if (!settings.ledger[0])
		return;
	if (settings.ledger[0] != '/') {
		if (guard_sys(SYS_getcwd, here, sizeof(here)) < 0)
			return;
		text_string(&text, here);
		text_string(&text, "/");
	}
	text_string(&text, settings.ledger);
	ledger_directory[text.cut ? 0 : text.used] = '\0';
}

static void register_handlers(void)
{
	if (on_exit)
		on_exit(at_exit, NULL);
	else
		atexit(at_plain_exit);
	if (__cxa_at_quick_exit)
		__cxa_at_quick_exit(quick_end, NULL);
	/* Two microseconds and two pages of the C library: not for /bin/true. */
	if (imports_connections || settings.ledger[0] || !settings.thread)
		register_fork_handlers();
	/* main() that ends by pthread_exit runs the destructors of keys, exit() does not.
	 */
	if (imports_connections && pthread_key_create(&main_key, main_leaves) == 0)
		pthread_setspecific(main_key, &main_key);
}

static void start_books(void)
{
	if (settings.ledger[0])
		start_first_socket();
	open_ledger(false);
	guard_inside++;
	watch_adopt(&(struct probe_way){-1}, SL_NOTE_INHERITED, true);
	guard_inside--;
	if (registry_top())
		start_first_socket();
	hooks_await(registry_has_connection());
}

static void say_help(void)
{
	log_write(&(struct probe_way){-1}, settings_help, strlen(settings_help));
}

static void take_options(const char *options)
{
	settings_parse(&settings, options, log_complain);
	opens_log_at_start = imports_connections || settings.help;
	const char *problem = log_start(&settings, opens_log_at_start);
	if (problem)
		log_complain_of(problem, settings.log);
	if (settings.help)
		say_help();
	keep_directory();
}

AT_START static void start_all(void)
{
	guard_start();
	settings_parse(&settings, NULL, log_complain);
	log_start(&settings, true);
	if (!real_start(&imports_connections)) {
		log_complain("the C library lacks a call that is needed: switched off");
		return;
	}
	const char *options = find_options();
	if (options)
		take_options(options);
	places_start(&settings);
	watch_start(&settings, prepare, imports_connections ? registry_now_ns() : 0);
	origin_start(settings.frames, imports_connections);
	helper_start(settings.thread, settings.interval_ns);
	register_handlers();
	loader_start();
	if (imports_connections) {
		single_start();
		/* Should the end not be allowed to ask which modules there are. */
		if (!settings.thread) {
			origin_allocate();
			origin_work();
		}
		guard_watch_copies();
		start_books();
	}
	hooks_are_on = true;
}

/* libunwind and the loader leave an error number behind; main() finds none. */
__attribute__((constructor)) static void start(void)
{
	int saved_errno = errno;

	/* A setuid program must not be ours to watch; the loader thinks so, too. */
	if (!getauxval(AT_SECURE))
		start_all();
	errno = saved_errno;
}
