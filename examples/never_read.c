/* A socket that is never read again.
 *
 * The loop takes a quiet client out of its poll set and forgets about it.  The client
 * sends a last message and closes, but nobody looks: no read call ever returns 0 here,
 * which is why sockleak asks the kernel.  The program was not told, so age decides.
 *
 *     $ SOCKLEAK_OPTIONS=grace=200ms:interval=50ms \
 *       LD_PRELOAD=build/libsockleak.so build/examples/never_read
 *     ==PID==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner, for AGE
 *       accepted by accept():
 *         #0 ADDRESS in accept_client+OFFSET (never_read+OFFSET)
 *         #1 ADDRESS in main+OFFSET (never_read+OFFSET)
 *         ...
 *       why: never-read. HOST:PORT <- HOST:PORT (fd N). The end of
 *       stream is still unread, behind 7 bytes.
 *       A peer that closed fully forgets this connection when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 1 socket leaked at 1 place; ...
 */
#include "expect.h" /* LEAK(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static NOINLINE int accept_client(int listener)
{
	return LEAK("close-wait", "never-read", accept(listener, NULL, NULL));
}

int main(void)
{
	int listener = peer_listen();
	int client = peer_connect(listener);
	struct pollfd watched[2] = {{listener, POLLIN, 0}};
	nfds_t n_watched = 1;

	watched[n_watched++] = (struct pollfd){accept_client(listener), POLLIN, 0};
	n_watched--; /* "it will be quiet for a while" */
	peer_send(client, "goodbye", 7);
	peer_close(client);
	for (int i = 0; i < 10; i++)
		poll(watched, n_watched, 100); /* the rest of the server's day */
	peer_close(listener);
	return 0;
}
