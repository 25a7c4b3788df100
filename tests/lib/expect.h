/* What a fixture says must be reported of it, on standard output, one line at a time:
 *
 *     mode exit                 judged when it ends, by what it was told
 *     mode grace                judged while it stays: needs grace=300ms:interval=50ms
 *     expect close-wait eof-read 1 accept accept_client leak_accept.c:41
 *                               kind, why (a comma between), sockets, call, and the
 *                               function and line of that call: the top of the origin
 *     expect close-wait eof-read 1 - inherited -
 *                               a socket nobody saw being opened: its origin's note
 *     expect none               nothing may be reported
 *     holds 1 0                 for the second witness: sockets this process holds in
 *                               CLOSE_WAIT (LAST_ACK, CLOSING) and TCP sockets it holds
 *                               that `ss` does not list (dead, or never connected)
 *     late 1                    so many leaks were closed late
 *
 * A line of a forked process ends in pid=N.  The claims are made where the call is made:
 *
 *     int fd = LEAK("close-wait", "eof-read", accept(ls, NULL, NULL));
 *
 * The function around it is NOINLINE; hosts are built -g -O1, so nothing is a tail call.
 */
#ifndef EXPECT_H
#define EXPECT_H

#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

/* How long a fixture in mode grace stays by itself, with three times its grace. */
#define EXPECT_GRACE_MS 300
/* How long it waits for the runner to look at it. */
#define EXPECT_WITNESS_MS 100000
#define SENT_AT_ONCE_MS   5

/* The place of a call that opens a socket: the claim on it may come later. */
struct site {
	const char *call; /* the expression; its name ends at the bracket */
	const char *function;
	const char *file;
	int line;
};

/* Makes the call and remembers where. */
#define AT(site, expression)                                                             \
	(expect_here((site), #expression, __func__, __FILE__, __LINE__), (expression))
/* Makes the call and says that what it opens leaks; LEAKS: that `count` of them do, said
 * once. */
#define LEAK(kind, why, expression) LEAKS(1, kind, why, expression)
#define LEAKS(count, kind, why, expression)                                              \
	LEAKS_BY(#expression, count, kind, why, expression)
/* The same of a call that goes by another name, as syscall(SYS_accept4) does. */
#define LEAKS_BY(name, count, kind, why, expression)                                     \
	({                                                                               \
		static int expect_said;                                                  \
		struct site expect_site;                                                 \
		expect_here(&expect_site, name, __func__, __FILE__, __LINE__);           \
		if (!__atomic_fetch_add(&expect_said, 1, __ATOMIC_RELAXED))              \
			expect_leak(&expect_site, kind, why, count);                     \
		(expression);                                                            \
	})

/* True in the variant of a pattern in which the mistake is mended: claims of leaks are
 * not made. */
static bool mended;

/* One line, whole and at once, whatever becomes of stdio. */
__attribute__((format(printf, 1, 2))) static inline void expect_say(const char *format,
								    ...)
{
	char line[512];
	const char *first = getenv("EXPECT_PID");
	va_list arguments;
	int n;

	if (!first) {
		snprintf(line, sizeof(line), "%d", (int)getpid());
		setenv("EXPECT_PID", line, 1);
		first = getenv("EXPECT_PID");
	}
	va_start(arguments, format);
	n = vsnprintf(line, sizeof(line) - 32, format, arguments);
	va_end(arguments);
	if (getpid() != atoi(first))
		n += snprintf(line + n, 31, " pid=%d", (int)getpid());
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, (size_t)n) != n)
		_exit(98);
}

static inline void expect_here(struct site *site, const char *call, const char *function,
			       const char *file, int line)
{
	site->call = call;
	site->function = function;
	site->file = strrchr(file, '/') ? strrchr(file, '/') + 1 : file;
	site->line = line;
}

static inline void expect_leak(const struct site *site, const char *kind, const char *why,
			       int count)
{
	if (mended)
		return;
	expect_say("expect %s %s %d %.*s %s %s:%d", kind, why, count,
		   (int)strcspn(site->call, "("), site->call, site->function, site->file,
		   site->line);
}

/* Of a socket whose opening nobody saw; note: inherited, received, unknown. */
static inline void expect_adopted(const char *note, const char *kind, const char *why,
				  int count)
{
	if (mended)
		return;
	expect_say("expect %s %s %d - %s -", kind, why, count, note);
}

static inline void expect_none(void)
{
	expect_say("expect none");
}

static inline void holds(int n_close_wait, int n_unlisted)
{
	expect_say("holds %d %d", n_close_wait, n_unlisted);
}

static inline void late(int n_closed_late)
{
	expect_say("late %d", n_closed_late);
}

static inline void pause_ms(int ms)
{
	struct timespec time = {ms / 1000, ms % 1000 * 1000000L};

	nanosleep(&time, NULL);
}

static inline long now_ms(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000L + time.tv_nsec / 1000000L;
}

/* A call the library stands in for and that changes nothing: with thread=no it is from
 * such calls that the kernel is asked. */
static inline void interposed_call(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0)
		close(fd);
}

/* Called after each step of what must not stand still for as long as the grace; where the
 * machine has made it do so, ends the program with 75: to be run again. */
static inline void keeps_pace(void)
{
	static long before;
	long now = now_ms();

	if (before && now - before > EXPECT_GRACE_MS / 2)
		_exit(75);
	before = now;
}

/* What is sent later than 10 ms after the program was told is sent to a half-closed peer;
 * half of these are for the kernel, whose clock of sends is coarse.  Called behind what
 * is sent as soon as the program is told, which began at `began_ms`; where the machine
 * stood still in between, ends the program with 75: to be run again. */
static inline void was_sent_at_once(long began_ms)
{
	if (now_ms() - began_ms >= SENT_AT_ONCE_MS)
		_exit(75);
}

static inline void stay_ms(int ms)
{
	for (long until = now_ms() + ms; now_ms() < until; pause_ms(10))
		interposed_call();
}

/* Everything is as claimed: look now.  Where EXPECT_WITNESS names a path, makes PATH.at,
 * and says no when the runner has made PATH.go; without a runner, after three times the
 * grace.  To be called again and again; each call takes some ms. */
static inline bool staying(void)
{
	static long until;
	const char *path = getenv("EXPECT_WITNESS");
	char name[256];
	int fd;

	if (!until) {
		until = now_ms() + (path ? EXPECT_WITNESS_MS : 3 * EXPECT_GRACE_MS);
		snprintf(name, sizeof(name), "%s.at", path ? path : "");
		fd = path ? open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600) : -1;
		if (fd >= 0)
			close(fd);
	}
	pause_ms(5);
	interposed_call();
	snprintf(name, sizeof(name), "%s.go", path ? path : "");
	return now_ms() < until && (!path || access(name, F_OK));
}

/* Stays for longer than the grace, or as long as the runner says. */
static inline void stay_past_grace(void)
{
	while (staying())
		;
}

/* For mode exit: only long enough to be looked at. */
static inline void witness_point(void)
{
	if (getenv("EXPECT_WITNESS"))
		stay_past_grace();
}

/* A source of many patterns: a table of them and EXPECT_MAIN.  Without an argument the
 * program lists them, `leak NAME MODE OPTIONS`; with a name it runs that one.
 * A pattern makes its own claims; the table says what a runner must know before. */
struct pattern {
	const char *verdict; /* leak, clean; part: of another pattern, started by it */
	const char *name;
	const char *mode; /* exit, grace */
	int (*run)(void);
	int net;             /* enum peer_net; 0 = IPv4 */
	const char *options; /* more SOCKLEAK_OPTIONS; NULL = none */
};

extern int peer_net; /* peer.h */

static inline int expect_main(const struct pattern *patterns, size_t n_patterns, int argc,
			      char **argv)
{
	for (size_t i = 0; i < n_patterns; i++) {
		if (argc < 2 && strcmp(patterns[i].verdict, "part")) {
			expect_say("%s %s %s %s", patterns[i].verdict, patterns[i].name,
				   patterns[i].mode,
				   patterns[i].options ? patterns[i].options : "-");
		} else if (argc > 1 && !strcmp(argv[1], patterns[i].name)) {
			alarm(120);
			if (!strcmp(patterns[i].verdict, "part"))
				return patterns[i].run();
			peer_net = patterns[i].net;
			expect_say("mode %s", patterns[i].mode);
			mended = !strcmp(patterns[i].verdict, "clean");
			if (mended)
				expect_none();
			return patterns[i].run();
		}
	}
	return argc < 2 ? 0 : 96;
}

#define EXPECT_MAIN(patterns)                                                            \
	int main(int argc, char **argv)                                                  \
	{                                                                                \
		return expect_main(patterns, sizeof(patterns) / sizeof *(patterns),      \
				   argc, argv);                                          \
	}

#endif
