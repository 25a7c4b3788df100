/* A server that does it right, with a thread for each client: nothing is printed.
 *
 * One function owns the descriptor from accept() to close(), and every way out of it
 * passes the close.  An error of the connection is a way out like any other.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/clean_server
 */
#include "expect.h" /* expect_none(): nothing may be reported */
#include "peer.h"   /* the other end */

#include <pthread.h>

#define N_CLIENTS 20

static void *serve(void *listener)
{
	int fd = accept(*(int *)listener, NULL, NULL);
	char request[256];
	ssize_t n = -1;

	if (fd < 0)
		return NULL;
	while ((n = recv(fd, request, sizeof(request), 0)) > 0)
		if (send(fd, request, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	close(fd);
	return NULL;
}

int main(void)
{
	int listener = peer_listen();
	pthread_t threads[N_CLIENTS];
	int n_started = 0;

	expect_none();
	while (n_started < N_CLIENTS) {
		int client = peer_connect(listener);

		if (pthread_create(&threads[n_started++], NULL, serve, &listener) != 0)
			return 1;
		peer_send(client, "hello", 5);
		if (n_started % 4 == 0)
			peer_reset(client); /* some leave rudely */
		else
			peer_close(client);
	}
	while (n_started > 0)
		pthread_join(threads[--n_started], NULL);
	peer_close(listener);
	return 0;
}
