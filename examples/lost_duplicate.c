/* The duplicate that nobody closes.
 *
 * The connection is handed to a log as a duplicate, as dup(), fdopen() of a dup() or a
 * library's "keep your own copy" do.  The server closes its descriptor and believes the
 * connection ended; the duplicate keeps it, and the peer never sees a FIN.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/lost_duplicate
 *     ==PID==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner at exit, for AGE
 *       accepted by accept():
 *         #0 ADDRESS in accept_client+OFFSET (lost_duplicate+OFFSET)
 *         #1 ADDRESS in main+OFFSET (lost_duplicate+OFFSET)
 *         ...
 *       end of stream was read AGE ago by recv():
 *         #0 ADDRESS in serve+OFFSET (lost_duplicate+OFFSET)
 *         #1 ADDRESS in main+OFFSET (lost_duplicate+OFFSET)
 *         ...
 *       why: eof-read, duplicate. HOST:PORT <- HOST:PORT (fd N).
 *       A peer that closed fully forgets this connection when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 1 socket leaked at 1 place; ...
 */
#include "expect.h" /* LEAK(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static int log_fd = -1;

static NOINLINE int accept_client(int listener)
{
	return LEAK("close-wait", "eof-read,duplicate", accept(listener, NULL, NULL));
}

static NOINLINE int log_to(int fd)
{
	log_fd = dup(fd); /* who closes this one? */
	return log_fd;
}

static NOINLINE ssize_t serve(int fd)
{
	char request[256];
	ssize_t n;

	while ((n = recv(fd, request, sizeof(request), 0)) > 0)
		;
	close(fd);
	return n;
}

int main(void)
{
	int listener = peer_listen();
	int client = peer_connect(listener);
	int fd = accept_client(listener);

	log_to(fd);
	peer_send(client, "hello", 5);
	peer_close(client);
	serve(fd);
	peer_close(listener);
	return log_fd < 0;
}
