/* A correct half-close: no leak, however long it takes.
 *
 * The peer sends its request, shuts its write side and waits for the answer.  This end
 * reads the end of stream, and the kernel shows CLOSE_WAIT from then on, just as for a
 * forgotten socket.  The difference is that this side still sends.  Here the answer takes
 * three times the grace; then the socket is closed.
 *
 *     $ SOCKLEAK_OPTIONS=grace=1s:interval=50ms \
 *       LD_PRELOAD=build/libsockleak.so build/examples/half_close
 */
#include "expect.h" /* expect_none(): nothing may be reported */
#include "peer.h"   /* the other end */

static NOINLINE int answer_slowly(int fd)
{
	int n_sent = 0;

	for (; n_sent < 20; n_sent++) {
		pause_ms(150); /* a slow query */
		if (send(fd, "row\n", 4, MSG_NOSIGNAL) < 0)
			break;
	}
	return n_sent;
}

int main(void)
{
	int listener = peer_listen();
	int client = peer_connect(listener);
	int fd = peer_accept(listener);

	expect_none();
	peer_send(client, "SELECT 1", 8);
	shutdown(client, SHUT_WR);
	read_to_end(fd);
	if (answer_slowly(fd) < 20)
		return 1;
	close(fd);
	peer_close(client);
	peer_close(listener);
	return 0;
}
