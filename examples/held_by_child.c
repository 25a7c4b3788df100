/* A child that keeps what its parent closed.
 *
 * The server starts a worker while a connection is open.  fork() gives the worker a copy
 * of every descriptor; the worker never uses this one and never closes it.  The parent
 * does everything right.  It is the child that holds the socket, so it is the child that
 * reports it, with the origin in the parent's code.  The child was told nothing: age
 * decides.
 *
 *     $ SOCKLEAK_OPTIONS=grace=200ms:interval=50ms \
 *       LD_PRELOAD=build/libsockleak.so build/examples/held_by_child
 *     ==PID==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for AGE
 *       accepted by accept():
 *         #0 ADDRESS in accept_client+OFFSET (held_by_child+OFFSET)
 *         #1 ADDRESS in main+OFFSET (held_by_child+OFFSET)
 *         ...
 *       why: read-unseen, held-by-child. HOST:PORT <- HOST:PORT (fd N).
 *       A peer that closed fully forgets this connection when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 1 socket leaked at 1 place; ...
 */
#include "expect.h" /* LEAK(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

#include <sys/wait.h>

static NOINLINE int accept_client(int listener)
{
	return LEAK("close-wait", "read-unseen,held-by-child",
		    accept(listener, NULL, NULL));
}

static NOINLINE pid_t start_worker(int client)
{
	pid_t worker = fork();

	if (worker == 0) {
		peer_close(client); /* the peer is another program */
		stay_ms(1000);      /* works, on anything but the connection */
		exit(0);
	}
	return worker;
}

int main(void)
{
	int listener = peer_listen();
	int client = peer_connect(listener);
	int fd = accept_client(listener);
	pid_t worker;

	stay_ms(500); /* serves it for a while */
	worker = start_worker(client);
	peer_close(client);
	read_to_end(fd);
	close(fd); /* but not the worker's copy */
	waitpid(worker, NULL, 0);
	peer_close(listener);
	return 0;
}
