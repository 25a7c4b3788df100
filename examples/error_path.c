/* The error path that loses the descriptor.
 *
 * A request that cannot be understood is answered, and the function returns early: past
 * the close() that every good request reaches.  Tests with good requests never see it.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/error_path
 *     ==PID==ERROR: sockleak: 1 socket left in CLOSE_WAIT by its owner at exit, for AGE
 *       accepted by accept():
 *         #0 ADDRESS in handle_client+OFFSET (error_path+OFFSET)
 *         #1 ADDRESS in main+OFFSET (error_path+OFFSET)
 *         ...
 *       end of stream was read AGE ago by read():
 *         #0 ADDRESS in read_request+OFFSET (error_path+OFFSET)
 *         #1 ADDRESS in handle_client+OFFSET (error_path+OFFSET)
 *         #2 ADDRESS in main+OFFSET (error_path+OFFSET)
 *         ...
 *       why: eof-read. HOST:PORT <- HOST:PORT (fd N).
 *       A peer that closed fully forgets this connection when its tcp_fin_timeout ends.
 *     sockleak: `sockleak symbolize LOG` adds file and line to these frames.
 *     ==PID==SUMMARY: sockleak: 1 socket leaked at 1 place; ...
 */
#include "expect.h" /* LEAKS(): says what must be reported of the call inside it */
#include "peer.h"   /* the other end */

static NOINLINE ssize_t read_request(int fd, char *request, size_t size)
{
	size_t used = 0;
	ssize_t n;

	while ((n = read(fd, request + used, size - used)) > 0)
		used += (size_t)n;
	return n < 0 ? n : (ssize_t)used;
}

static NOINLINE int handle_client(int listener)
{
	int fd = LEAK("close-wait", "eof-read", accept(listener, NULL, NULL));
	char request[256];
	ssize_t n = read_request(fd, request, sizeof(request));

	if (n < 4 || memcmp(request, "GET ", 4) != 0)
		return -1; /* here it is lost */
	n = send(fd, "hello\n", 6, MSG_NOSIGNAL);
	close(fd);
	return (int)n;
}

int main(void)
{
	static const char *const requests[] = {"GET /", "GET /a", "nonsense", "GET /b"};
	int listener = peer_listen();

	for (int i = 0; i < 4; i++) {
		int client = peer_connect(listener);

		peer_send(client, requests[i], strlen(requests[i]));
		peer_close(client);
		handle_client(listener);
	}
	peer_close(listener);
	return 0;
}
