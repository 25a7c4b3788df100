/* shutdown() is not close().
 *
 * The client says goodbye with shutdown(SHUT_RDWR) and returns.  When the server has
 * closed too, the connection is over for both ends and `ss` lists it no more, but the
 * descriptor and its kernel memory are still held: a dead socket, not one in CLOSE_WAIT.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/shutdown_not_closed
 *     ==PID==ERROR: sockleak: 1 socket held by its owner at exit although the connection
 *     is dead, for AGE
 *       opened to connect by socket():
 *         #0 ADDRESS in open_connection+OFFSET (shutdown_not_closed+OFFSET)
 *         #1 ADDRESS in main+OFFSET (shutdown_not_closed+OFFSET)
 *         ...
 *       it was shut down AGE ago by shutdown():
 *         #0 ADDRESS in say_goodbye+OFFSET (shutdown_not_closed+OFFSET)
 *         #1 ADDRESS in main+OFFSET (shutdown_not_closed+OFFSET)
 *         ...
 *       why: never-read, shut-not-closed. HOST:PORT -> HOST:PORT (fd N). The end of
 *       stream is still unread.
 *       No connection is left behind it; only a close frees it.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 1 socket leaked at 1 place; ...
 */
#include "expect.h" /* LEAK(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static NOINLINE int open_connection(const struct sockaddr *address, socklen_t size)
{
	int fd = LEAK("dead", "never-read,shut-not-closed",
		      socket(AF_INET, SOCK_STREAM, 0));

	return connect(fd, address, size) == 0 ? fd : -1;
}

static NOINLINE int say_goodbye(int fd)
{
	return shutdown(fd, SHUT_RDWR); /* a close() would have done both */
}

int main(void)
{
	int listener = peer_listen(), fd, server;
	struct sockaddr_storage address;
	socklen_t size = peer_address(&address, AF_INET, peer_port(listener));

	fd = open_connection((struct sockaddr *)&address, size);
	server = peer_accept(listener);
	say_goodbye(fd);
	read_to_end(server);
	peer_close(server);
	await_state(fd, TCP_CLOSE);
	peer_close(listener);
	return 0;
}
