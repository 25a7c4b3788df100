/* A server that accepts, serves, reads the end of stream, and forgets to close.
 *
 * serve() returns when its client has gone, and the only copy of the number goes with
 * its stack frame.  Each client costs a descriptor until accept() fails with EMFILE.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/forgotten_accept
 *     ==PID==ERROR: sockleak: 3 sockets left in CLOSE_WAIT by their owner at exit, oldest
 *     AGE
 *       accepted by accept():
 *         #0 ADDRESS in accept_client+OFFSET (forgotten_accept+OFFSET)
 *         #1 ADDRESS in main+OFFSET (forgotten_accept+OFFSET)
 *         ...
 *       end of stream was read AGE ago by recv():
 *         #0 ADDRESS in serve+OFFSET (forgotten_accept+OFFSET)
 *         #1 ADDRESS in main+OFFSET (forgotten_accept+OFFSET)
 *         ...
 *       why: eof-read. HOST:PORT <- HOST:PORT (fd N), and 2 more.
 *       A peer that closed fully forgets these connections when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 3 sockets leaked at 1 place; ...
 */
#include "expect.h" /* LEAKS(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static NOINLINE int accept_client(int listener)
{
	return LEAKS(3, "close-wait", "eof-read", accept(listener, NULL, NULL));
}

static NOINLINE int serve(int fd)
{
	char request[256];
	ssize_t n;

	while ((n = recv(fd, request, sizeof(request), 0)) > 0)
		;      /* takes what comes */
	return (int)n; /* and fd? */
}

int main(void)
{
	int listener = peer_listen();

	for (int i = 0; i < 3; i++) {
		int client = peer_connect(listener);
		int fd = accept_client(listener);

		peer_send(client, "hello", 5);
		peer_close(client);
		if (serve(fd) < 0)
			perror("serve");
	}
	peer_close(listener);
	return 0;
}
