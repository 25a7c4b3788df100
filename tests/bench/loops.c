/* The hosts of `make bench`: one loop each, driven by lines on standard input.
 *
 *     loops connections [DEPTH]   connect, accept and two closes, in one thread
 *     loops ended [DEPTH]         the same, and the end of stream is read in between
 *     loops threads [DEPTH]       the latter, each connection on a new thread, in four
 *                                 threads at a time
 *     loops recv|read|eagain      a read call on a tracked socket
 *     loops untracked             close of a descriptor that is no socket
 *     loops passed DEPTH N        a descriptor goes over a Unix socket to its sender, who
 *                                 holds N that came so
 *     loops LOOP DEPTH threaded   any of these, with an idle thread beside
 *     loops LOOP DEPTH N          any of these, with N other sockets open
 *
 * Says "ready" when the way is warm.  A line with a number n makes it do n rounds and
 * print the nanoseconds of one, of processor time and by the clock; end of input ends it.
 * The bare and the preloaded one are so driven in alternation. */
#include "bench.h"
#include "sockleak.h"

#include <pthread.h>

#define WARM       200 /* rounds of each turn before "ready" */
#define WARM_TURNS 3
#define FILL       16384 /* bytes read one by one between two sends */
#define N_THREADS  4

static int depth = 20;

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

/* The same with the end of the stream read, as a server does whose client is done. */
NOINLINE static int one_ended(void)
{
	int client = connect_once(socket_once());
	int server = accept_once();

	close_once(client);
	end_once(server);
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

static void ended(long n)
{
	for (long i = 0; i < n; i++)
		deeper(depth - 3, one_ended);
}

static void *connection_of_thread(void *nothing)
{
	deeper(depth - 3, one_ended);
	return nothing;
}

static pthread_t started(void *(*what)(void *argument), void *argument)
{
	pthread_t thread;

	must(!pthread_create(&thread, NULL, what, argument), "pthread_create");
	return thread;
}

static void *one_after_another(void *number)
{
	for (long i = *(long *)number; i > 0; i--)
		pthread_join(started(connection_of_thread, NULL), NULL);
	return NULL;
}

static void threads(long n)
{
	pthread_t workers[N_THREADS];
	long each = (n + N_THREADS - 1) / N_THREADS;

	for (int i = 0; i < N_THREADS; i++)
		workers[i] = started(one_after_another, &each);
	for (int i = 0; i < N_THREADS; i++)
		pthread_join(workers[i], NULL);
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
	started(sleep_for_ever, NULL);
}

static int channel[2]; /* of Unix; 0 = not made */

/* To ourselves; the sender's descriptor is closed. */
NOINLINE static int pass_once(int fd)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.head = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec byte = {(char[1]){0}, 1};
	struct msghdr message = {.msg_iov = &byte,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};

	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	must(sendmsg(channel[0], &message, 0) == 1, "sendmsg");
	must(recvmsg(channel[1], &message, 0) == 1, "recvmsg");
	close(fd);
	memcpy(&fd, CMSG_DATA(&control.head), sizeof(fd));
	return fd;
}

static void make_channel(void)
{
	must(!socketpair(AF_UNIX, SOCK_STREAM, 0, channel), "socketpair");
}

static void hold_others(int n)
{
	allow_descriptors(n);
	for (int i = 0; i < n; i++) {
		int fd = socket_once();

		if (channel[0])
			pass_once(fd);
	}
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

static void pass_on(long n)
{
	for (long i = 0; i < n; i++)
		close(pass_once(dup(ends[0])));
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
		{"connections", connections},   {"ended", ended},
		{"threads", threads},           {"recv", receive},
		{"read", receive_by_read},      {"eagain", find_nothing},
		{"untracked", close_untracked}, {"passed", pass_on},
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	start_listening();
	make_pair();
	depth = argc > 2 ? atoi(argv[2]) : depth;
	if (argc > 1 && !strcmp(argv[1], "passed"))
		make_channel();
	if (argc > 3 && !strcmp(argv[3], "threaded"))
		start_idle_thread();
	else if (argc > 3)
		hold_others(atoi(argv[3]));
	for (size_t i = 0; argc > 1 && i < sizeof(loops) / sizeof(loops[0]); i++)
		if (!strcmp(argv[1], loops[i].name)) {
			serve(loops[i].rounds);
			return 0;
		}
	fprintf(stderr, "loops: no such loop\n");
	return 2;
}
