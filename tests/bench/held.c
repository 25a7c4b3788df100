/* Hosts of `make bench` that hold sockets.
 *
 *     held hold N PLACES   N descriptors opened in PLACES places; see hold()
 *     held passes N        N descriptors; a line with a number n makes n scan passes and
 *                          prints the nanoseconds of processor time of one
 *     held first           what the first connection takes; see first()
 *     held leak            forgets a socket on each line; see leak() */
#include "bench.h"
#include "sockleak.h"

#include <dirent.h>

#define MAX_LOOK UINT64_C(120000000000) /* ns: no look comes later than this */
#define BY_PORTS 20000                  /* connections to one address: there are 28,000 */

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

/* The system has a port for each connection to one address, but not for 50,000. */
static int connect_elsewhere(int fd, int i)
{
	struct sockaddr_in there = address;

	there.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (in_addr_t)(i / BY_PORTS));
	must(!connect(fd, (struct sockaddr *)&there, sizeof(there)), "connect");
	return fd;
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
	int bits = 0, *fds = calloc((size_t)n, sizeof(*fds));
	long ms;

	allow_descriptors(n);
	while (1 << bits < n_places)
		bits++;
	connect_once(socket_once()); /* the helper is there, and its stack */
	accept_once();
	memset(fds, 1, (size_t)n * sizeof(*fds));
	pause_ns(10 * (long)PATIENCE);
	long before = resident_bytes();
	for (int i = 0; i < n; i += 2) {
		fds[i] = connect_elsewhere(turn((unsigned)(i / 2 % n_places), bits), i);
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

static void passes(int n)
{
	long n_passes;

	allow_descriptors(n);
	for (int i = 0; i < n; i += 2) {
		connect_elsewhere(socket_once(), i);
		accept_once();
	}
	sockleak_check();
	printf("ready\n");
	while (scanf("%ld", &n_passes) == 1) {
		uint64_t begun_ns = used_ns();

		for (long i = 0; i < n_passes; i++)
			sockleak_check();
		printf("%.0f\n", (double)(used_ns() - begun_ns) / (double)n_passes);
	}
}

/* Prints the nanoseconds of processor time that the first connection takes until its
 * sockets are closed, those that the process has taken when all is quiet again, and the
 * bytes of memory it has then and had not before. */
static void first(void)
{
	resident_bytes();
	long before = resident_bytes();
	uint64_t begun_ns = used_ns();

	start_listening();
	int client = connect_once(socket_once());
	int server = accept_once();
	close_once(client);
	end_once(server);
	close_once(server);
	uint64_t closed_ns = used_ns();
	pause_ns(4 * (long)PATIENCE);
	uint64_t quiet_ns = used_ns();
	printf("ready\n%llu %llu %ld\n", (unsigned long long)(closed_ns - begun_ns),
	       (unsigned long long)(quiet_ns - begun_ns), resident_bytes() - before);
}

/* For each line: the peer of a new connection closes, which prints the time on the clock,
 * and this side forgets it. */
static void leak(void)
{
	char line[16];

	close_once(connect_once(socket_once())); /* from here on there are scans */
	close_once(accept_once());
	printf("ready\n");
	while (fgets(line, sizeof(line), stdin)) {
		int client = connect_once(socket_once());

		accept_once();
		pause_ns(4 * (long)PATIENCE);
		close_once(client);
		printf("%llu\n", (unsigned long long)now_ns());
	}
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!strcmp(what, "first")) {
		first();
		return 0;
	}
	start_listening();
	if (!strcmp(what, "hold") && argc > 3)
		hold(n, atoi(argv[3]));
	else if (!strcmp(what, "passes") && argc > 2)
		passes(n);
	else if (!strcmp(what, "leak"))
		leak();
	else
		return 2;
	return 0;
}
