/* load close|keep N PORT: a client of HTTP that `make bench` drives.  For a line with a
 * number it makes so many requests, N at a time, each on a connection of its own or all
 * on connections that stay, and prints the nanoseconds by the clock of one; with N = 1
 * those of each request, too. */
#include "bench.h"

#include <poll.h>

#define MOST 16

static const char *request;
static bool stays; /* the connection, after an answer */
static int n_at_once;
static struct one {
	int fd;
	uint64_t begun_ns;
	size_t used;
	char answer[4096];
} all[MOST];

static void begin(struct one *one)
{
	size_t length = strlen(request);

	one->begun_ns = now_ns();
	one->used = 0;
	if (one->fd < 0)
		one->fd = connect_once(socket_once());
	must(write(one->fd, request, length) == (ssize_t)length, "write");
}

/* Whether the answer is there to its last byte. */
static bool is_whole(struct one *one)
{
	one->answer[one->used] = '\0';
	const char *body = strstr(one->answer, "\r\n\r\n");
	const char *length = strcasestr(one->answer, "\r\nContent-Length:");

	return body && length && length < body &&
	       one->used ==
		       (size_t)(body + 4 - one->answer) +
			       strtoul(length + strlen("\r\nContent-Length:"), NULL, 10);
}

/* Reads what is there; whether it was the last of an answer. */
static bool goes_on(struct one *one)
{
	ssize_t n = read(one->fd, one->answer + one->used,
			 sizeof(one->answer) - one->used - 1);

	must(n >= 0, "read");
	one->used += (size_t)n;
	must(one->used < sizeof(one->answer) - 1, "an answer that is too long");
	if (n > 0)
		return stays && is_whole(one);
	must(!stays && is_whole(one) && strstr(one->answer, " 200 ") != NULL,
	     "an answer");
	close_once(one->fd);
	one->fd = -1;
	return true;
}

static void requests(long n, uint64_t *each_ns)
{
	struct pollfd polls[MOST];
	long n_begun = 0, n_done = 0;

	for (int i = 0; i < n_at_once; i++) {
		if (n_begun++ < n)
			begin(&all[i]);
		polls[i] = (struct pollfd){.fd = all[i].fd, .events = POLLIN};
	}
	while (n_done < n) {
		must(poll(polls, (nfds_t)n_at_once, 20000) > 0, "poll");
		for (int i = 0; i < n_at_once; i++) {
			if (!polls[i].revents || !goes_on(&all[i]))
				continue;
			each_ns[n_done++] = now_ns() - all[i].begun_ns;
			if (n_begun++ < n)
				begin(&all[i]);
			polls[i].fd = all[i].fd;
		}
	}
}

int main(int argc, char **argv)
{
	long n;

	if (argc != 4 || atoi(argv[2]) < 1 || atoi(argv[2]) > MOST)
		return 2;
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	stays = !strcmp(argv[1], "keep");
	n_at_once = atoi(argv[2]);
	address.sin_family = AF_INET;
	address.sin_port = htons((uint16_t)atoi(argv[3]));
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	request = stays ? "GET / HTTP/1.1\r\nHost: here\r\n\r\n"
			: "GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
	for (int i = 0; i < n_at_once; i++)
		all[i].fd = -1;
	while (scanf("%ld", &n) == 1 && n > 0) {
		uint64_t *each_ns = calloc((size_t)n, sizeof(*each_ns));

		must(each_ns != NULL, "calloc");
		uint64_t begun_ns = now_ns();
		requests(n, each_ns);
		printf("%.1f", (double)(now_ns() - begun_ns) / (double)n);
		for (long i = 0; n_at_once == 1 && i < n; i++)
			printf(" %llu", (unsigned long long)each_ns[i]);
		printf("\n");
		fflush(stdout);
		free(each_ns);
	}
	return 0;
}
