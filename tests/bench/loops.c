/* The hosts of `make bench`: one loop each, driven by lines on standard input.
 *
 *     loops connections [DEPTH]   connect, accept and two closes, in one thread
 *     loops threads [DEPTH]       the same, each connection on a new thread
 *     loops recv|read|eagain      a read call on a tracked socket
 *     loops untracked             close of a descriptor that is no socket
 *     loops LOOP DEPTH threaded   any of these, with an idle thread beside
 *     loops hold N PLACES         N descriptors opened in PLACES places; see below
 *
 * Says "ready" when the way is warm.  A line with a number n makes it do n rounds and
 * print the nanoseconds of one, of processor time and by the clock; end of input ends it.
 * The bare and the preloaded one are so driven in alternation.  Every call that is
 * measured stands in a function of its own
 * (`accept_once` and so on), for callgrind to count in. */
#include "sockleak.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define NOINLINE   __attribute__((noinline, noclone))
#define WARM       200 /* rounds of each turn before "ready" */
#define WARM_TURNS 3
#define FILL       16384    /* bytes read one by one between two sends */
#define PATIENCE   50000000 /* ns: the helper unwinds what the first rounds left */
#define MAX_LOOK   UINT64_C(120000000000) /* ns: no look comes later than this */

static int listener;
static struct sockaddr_in address;
static int depth = 20;

static void must(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "loops: %s: %s\n", what, strerror(errno));
	_exit(99);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Processor time of the whole process, the helper's too: what other programs do on this
 * machine meanwhile is not in it. */
static uint64_t used_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void pause_ns(long ns)
{
	struct timespec pause = {ns / 1000000000, ns % 1000000000};

	nanosleep(&pause, NULL);
}

static void start_listening(void)
{
	socklen_t size = sizeof(address);

	listener = socket(AF_INET, SOCK_STREAM, 0);
	must(listener >= 0, "socket");
	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(!bind(listener, (struct sockaddr *)&address, size), "bind");
	must(!listen(listener, 4096), "listen");
	must(!getsockname(listener, (struct sockaddr *)&address, &size), "getsockname");
}

/* ---- what is measured ---- */

NOINLINE static int socket_once(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(fd >= 0, "socket");
	return fd;
}

NOINLINE static int connect_once(int fd)
{
	must(!connect(fd, (struct sockaddr *)&address, sizeof(address)), "connect");
	return fd;
}

NOINLINE static int accept_once(void)
{
	int fd = accept(listener, NULL, NULL);

	must(fd >= 0, "accept");
	return fd;
}

NOINLINE static int close_once(int fd)
{
	int result = close(fd);

	must(!result, "close");
	return result;
}

NOINLINE static ssize_t recv_once(int fd, int flags)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, flags);

	must(n == 1 || errno == EAGAIN, "recv");
	return n;
}

NOINLINE static ssize_t read_once(int fd)
{
	char byte;
	ssize_t n = read(fd, &byte, 1);

	must(n == 1, "read");
	return n;
}

/* ---- the loops ---- */

/* The side that closes first is the one that keeps TIME_WAIT: a reset would be another
 * path of the kernel, so ports are left to tcp_tw_reuse, which loopback has on. */
NOINLINE static int one_connection(void)
{
	int client = connect_once(socket_once());
	int server = accept_once();

	close_once(client);
	return close_once(server);
}

/* `at` frames deeper, not by a jump and not by a loop. */
NOINLINE static int deeper(int at, int (*what)(void))
{
	int result = at <= 1 ? what() : deeper(at - 1, what);

	__asm__ volatile("" : "+r"(result) : : "memory");
	return result;
}

static void connections(long n)
{
	for (long i = 0; i < n; i++)
		deeper(depth - 3, one_connection);
}

static void *connection_of_thread(void *nothing)
{
	deeper(depth - 3, one_connection);
	return nothing;
}

static void threads(long n)
{
	for (long i = 0; i < n; i++) {
		pthread_t thread;

		must(!pthread_create(&thread, NULL, connection_of_thread, NULL),
		     "pthread_create");
		pthread_join(thread, NULL);
	}
}

static void *sleep_for_ever(void *nothing)
{
	for (;;)
		pause();
	return nothing;
}

/* From then on the C library takes its own, dearer ways for more than one thread. */
static void start_idle_thread(void)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, sleep_for_ever, NULL), "pthread_create");
}

static int ends[2]; /* of one connection: the first sends, the second reads */
static long n_unread;
static uint64_t left_out_ns;

static void make_pair(void)
{
	ends[0] = connect_once(socket_once());
	ends[1] = accept_once();
}

/* Keeps something there to be read; its time is taken off. */
static void fill(void)
{
	static const char bytes[FILL];
	uint64_t begun_ns = used_ns();

	must(send(ends[0], bytes, FILL, 0) == FILL, "send");
	n_unread = FILL;
	left_out_ns += used_ns() - begun_ns;
}

static void receive(long n)
{
	for (long i = 0; i < n; i++) {
		if (n_unread == 0)
			fill();
		n_unread--;
		recv_once(ends[1], 0);
	}
}

static void receive_by_read(long n)
{
	for (long i = 0; i < n; i++) {
		if (n_unread == 0)
			fill();
		n_unread--;
		read_once(ends[1]);
	}
}

static void find_nothing(long n)
{
	for (long i = 0; i < n; i++)
		recv_once(ends[1], MSG_DONTWAIT);
}

static void close_untracked(long n)
{
	for (long i = 0; i < n; i++) {
		int fd = dup(STDIN_FILENO);

		close_once(fd);
	}
}

/* ---- many descriptors ---- */

/* A place for each number: the path through two functions by its bits. */
NOINLINE static int left(unsigned path, int bits);
NOINLINE static int right(unsigned path, int bits);

static int turn(unsigned path, int bits)
{
	if (bits == 0)
		return socket_once();
	return path & 1 ? left(path >> 1, bits - 1) : right(path >> 1, bits - 1);
}

NOINLINE static int left(unsigned path, int bits)
{
	int fd = turn(path, bits);

	__asm__ volatile("" : "+r"(fd));
	return fd;
}

NOINLINE static int right(unsigned path, int bits)
{
	int fd = turn(path, bits);

	__asm__ volatile("" : "+r"(fd) : : "memory");
	return fd;
}

static long resident_bytes(void)
{
	char line[256];
	long kib = 0;
	FILE *file = fopen("/proc/self/smaps_rollup", "r");

	must(file != NULL, "smaps_rollup");
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "Private_Dirty: %ld", &kib) == 1)
			break;
	fclose(file);
	return kib * 1024;
}

/* Nanoseconds that the helper thread ran, by the kernel's own account; 0 = no thread. */
static uint64_t helper_ns(void)
{
	DIR *tasks = opendir("/proc/self/task");
	uint64_t total_ns = 0;

	for (struct dirent *task; tasks && (task = readdir(tasks));) {
		char path[300], text[64] = "";
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", task->d_name);
		if (!(file = fopen(path, "r")))
			continue;
		int is_ours =
			fgets(text, sizeof(text), file) && !strcmp(text, "sockleak\n");
		fclose(file);
		snprintf(path, sizeof(path), "/proc/self/task/%s/schedstat",
			 task->d_name);
		if (!is_ours || !(file = fopen(path, "r")))
			continue;
		unsigned long long ns = 0;
		if (fscanf(file, "%llu", &ns) == 1)
			total_ns += ns;
		fclose(file);
	}
	closedir(tasks);
	return total_ns;
}

/* Waits for the end of the helper's next look: its time moves, then stands still. */
static void await_look(void)
{
	uint64_t begun_ns = now_ns(), was_ns = helper_ns(), moved_ns = 0;

	while (now_ns() - begun_ns < MAX_LOOK) {
		uint64_t is_ns = helper_ns();

		if (is_ns != was_ns)
			moved_ns = now_ns();
		else if (moved_ns && now_ns() - moved_ns > 4 * PATIENCE)
			return;
		was_ns = is_ns;
		pause_ns(PATIENCE / 10);
	}
}

/* Prints "bytes HOW_MUCH_GREW", then for a line with a number of milliseconds the
 * per cent of a core that the helper used meanwhile. */
static void hold(int n, int n_places)
{
	struct rlimit limit;
	int bits = 0, *fds = calloc((size_t)n, sizeof(*fds));
	long ms;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	while (1 << bits < n_places)
		bits++;
	make_pair(); /* the helper is there, and its stack */
	memset(fds, 1, (size_t)n * sizeof(*fds));
	pause_ns(10 * (long)PATIENCE);
	long before = resident_bytes();
	for (int i = 0; i < n; i += 2) {
		fds[i] = connect_once(turn((unsigned)(i / 2 % n_places), bits));
		fds[i + 1] = accept_once();
		if (i % 1000 == 998)
			pause_ns(PATIENCE); /* copies are few and unwound meanwhile */
	}
	pause_ns(20 * (long)PATIENCE);
	printf("ready\n%ld\n", resident_bytes() - before);
	while (scanf("%ld", &ms) == 1) {
		/* From look to look: a length of time that holds one look more than it
		 * pays for would say too much, one look less too little. */
		await_look();
		uint64_t helped_ns = helper_ns(), begun_ns = now_ns();

		while (helper_ns() && now_ns() - begun_ns < (uint64_t)ms * 1000000)
			await_look();
		printf("%.5f\n", 100.0 * (double)(helper_ns() - helped_ns) /
					 (double)(now_ns() - begun_ns));
	}
}

/* How many rounds next, 0 = the end.  Between the warm turns what waits is unwound, and
 * remembered from then on. */
NOINLINE static long next_rounds(void)
{
	static int warm_turns;
	long n;

	if (warm_turns > 0 && warm_turns <= WARM_TURNS) {
		sockleak_check();
		pause_ns(PATIENCE);
	}
	if (warm_turns < WARM_TURNS) {
		warm_turns++;
		return WARM;
	}
	if (warm_turns++ == WARM_TURNS)
		printf("ready\n");
	return scanf("%ld", &n) == 1 ? n : 0;
}

NOINLINE static void say_result(double cpu_ns, double wall_ns)
{
	static int turns;

	if (turns++ >= WARM_TURNS)
		printf("%.2f %.2f\n", cpu_ns, wall_ns);
}

/* One call for the warm rounds and those that are measured: another would be another
 * place. */
static void serve(void (*rounds)(long n))
{
	long n;

	while ((n = next_rounds()) > 0) {
		uint64_t begun_ns = used_ns(), begun_wall_ns = now_ns();

		left_out_ns = 0;
		rounds(n);
		say_result((double)(used_ns() - begun_ns - left_out_ns) / (double)n,
			   (double)(now_ns() - begun_wall_ns) / (double)n);
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*rounds)(long n);
	} loops[] = {
		{"connections", connections},
		{"threads", threads},
		{"recv", receive},
		{"read", receive_by_read},
		{"eagain", find_nothing},
		{"untracked", close_untracked},
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	start_listening();
	if (argc == 4 && !strcmp(argv[1], "hold")) {
		hold(atoi(argv[2]), atoi(argv[3]));
		return 0;
	}
	make_pair();
	depth = argc > 2 ? atoi(argv[2]) : depth;
	if (argc > 3)
		start_idle_thread();
	for (size_t i = 0; argc > 1 && i < sizeof(loops) / sizeof(loops[0]); i++)
		if (!strcmp(argv[1], loops[i].name)) {
			serve(loops[i].rounds);
			return 0;
		}
	fprintf(stderr, "loops: no such loop\n");
	return 2;
}
