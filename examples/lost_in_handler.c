/* One accept opens every connection; which of its users lost one?
 *
 * All connections come from the same line, and most are closed.  Some are lost where a
 * request is refused, and some where the protocol is switched and nobody takes over.
 * With uses=yes the report says where each was last used.
 *
 *     $ SOCKLEAK_OPTIONS=uses=yes:at_exit=all \
 *       LD_PRELOAD=build/libsockleak.so build/examples/lost_in_handler
 *     ==PID==ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner at exit, oldest AGE
 *       accepted by accept():
 *         #0 ADDRESS in accept_client+OFFSET (lost_in_handler+OFFSET)
 *         #1 ADDRESS in main+OFFSET (lost_in_handler+OFFSET)
 *         ...
 *       2 of 3 last used, e.g. AGE ago by thread N: sent 10 bytes by send():
 *         #0 ADDRESS in switch_protocol+OFFSET (lost_in_handler+OFFSET)
 *         #1 ADDRESS in serve+OFFSET (lost_in_handler+OFFSET)
 *         #2 ADDRESS in main+OFFSET (lost_in_handler+OFFSET)
 *         ...
 *       1 of 3 last used AGE ago by thread N: received 8 bytes by read():
 *         #0 ADDRESS in read_request+OFFSET (lost_in_handler+OFFSET)
 *         #1 ADDRESS in serve+OFFSET (lost_in_handler+OFFSET)
 *         #2 ADDRESS in main+OFFSET (lost_in_handler+OFFSET)
 *         ...
 *       why: never-read. HOST:PORT <- HOST:PORT (fd N), and 2 more. The end of
 *       stream is still unread.
 *       A peer that closed fully forgets these connections when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 3 sockets leaked at 1 place; ...
 */
#include "expect.h" /* LEAKS(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static NOINLINE int accept_client(int listener)
{
	return LEAKS(3, "close-wait", "never-read", accept(listener, NULL, NULL));
}

static NOINLINE ssize_t read_request(int fd, char *request, size_t size)
{
	ssize_t n = read(fd, request, size);

	request[n > 0 ? n : 0] = '\0';
	return n;
}

static NOINLINE int switch_protocol(int fd)
{
	return send(fd, "switching\n", 10, MSG_NOSIGNAL) == 10 ? 0 : -1;
}

static NOINLINE int serve(int fd)
{
	char request[64];

	if (read_request(fd, request, sizeof(request) - 1) <= 0)
		return close(fd);
	if (!strcmp(request, "UPGRADE"))
		return switch_protocol(fd); /* nobody takes over: here it is lost */
	if (strcmp(request, "GET /"))
		return -1; /* and here */
	send(fd, "hello\n", 6, MSG_NOSIGNAL);
	return close(fd);
}

int main(void)
{
	static const char *const requests[] = {"GET /", "UPGRADE", "nonsense", "GET /",
					       "UPGRADE"};
	int listener = peer_listen();
	char answer[64];

	for (int i = 0; i < 5; i++) {
		int client = peer_connect(listener), fd = accept_client(listener);

		peer_send(client, requests[i], strlen(requests[i]));
		serve(fd);
		while (recv(client, answer, sizeof(answer), MSG_DONTWAIT) > 0)
			;
		peer_close(client);
		if (i % 3)
			await_fin(fd);
	}
	peer_close(listener);
	for (int i = 0; i < 10; i++)
		pause_ms(100); /* the rest of the server's day */
	return 0;
}
