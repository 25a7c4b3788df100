/* A small web server with one mistake, for `make demo`: real enough for curl.
 *
 * One thread, one poll loop, keep-alive.  A page that does not exist is answered with 404
 * and the client is taken out of the poll set, but its descriptor is not closed.  The
 * client leaves when it has its answer; from then on the socket stands in CLOSE_WAIT, and
 * since the loop does not watch it any more, no read call ever says so.
 *
 *     $ export SOCKLEAK_OPTIONS=grace=1s
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/http_server
 *
 * SIGTERM and SIGINT end it in good order.
 */
#include "expect.h" /* NOINLINE */
#include "peer.h"   /* peer_listen(): loopback, a port the kernel picks */

#include <signal.h>

#define MAX_CLIENTS 64

static struct pollfd watched[1 + MAX_CLIENTS]; /* the listener, then the clients */
static nfds_t n_watched;
static volatile sig_atomic_t is_over;

static void end(int signal_number)
{
	(void)signal_number;
	is_over = 1;
}

static void watch(int fd)
{
	watched[n_watched++] = (struct pollfd){.fd = fd, .events = POLLIN};
}

static void unwatch(nfds_t at)
{
	watched[at] = watched[--n_watched];
}

static NOINLINE int accept_client(int listener)
{
	int fd = accept(listener, NULL, NULL);

	if (fd >= 0 && n_watched <= MAX_CLIENTS)
		watch(fd);
	else if (fd >= 0)
		close(fd);
	return fd;
}

static void answer(int fd, const char *status, const char *body)
{
	char text[512];
	int n = snprintf(text, sizeof(text),
			 "HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s", status,
			 strlen(body), body);

	if (send(fd, text, (size_t)n, MSG_NOSIGNAL) != n)
		perror("send");
}

static NOINLINE void serve(nfds_t at)
{
	int fd = watched[at].fd;
	char request[2048];
	ssize_t n = recv(fd, request, sizeof(request) - 1, 0);

	request[n > 0 ? n : 0] = 0;
	if (n <= 0) { /* the client has left */
		unwatch(at);
		close(fd);
	} else if (strncmp(request, "GET / ", 6) == 0) {
		answer(fd, "200 OK", "hello\n");
	} else {
		answer(fd, "404 Not Found", "no such page\n");
		unwatch(at); /* the mistake: close(fd) is missing */
	}
}

int main(void)
{
	signal(SIGTERM, end);
	signal(SIGINT, end);
	watch(peer_listen());
	printf("listening on 127.0.0.1:%u\n", peer_port(watched[0].fd));
	fflush(stdout);
	while (!is_over && poll(watched, n_watched, 200) >= 0) {
		for (nfds_t at = n_watched - 1; at > 0; at--)
			if (watched[at].revents)
				serve(at);
		if (watched[0].revents)
			accept_client(watched[0].fd);
	}
	return 0;
}
