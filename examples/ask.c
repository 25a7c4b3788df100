/* A program that asks: what a test suite does around each test.
 *
 * Nothing is linked, and without the library every question costs one load and answers
 * 0.  `sockleak_check_since()` counts what was opened since the mark, whose peer is gone
 * and that is still held when the drain time is over: a close that is on its way is no
 * leak.  It returns at once where nothing is left.
 *
 *     $ SOCKLEAK_OPTIONS=log=none LD_PRELOAD=build/libsockleak.so build/examples/ask
 *     closes its socket: ok
 *     forgets its socket: 1 left open
 *     keeps one on purpose: ok
 */
#include "sockleak.h"

#include "peer.h" /* the other end */

static int kept[2];

static void closes(int listener)
{
	int client = peer_connect(listener), fd = peer_accept(listener);

	peer_close(client);
	peer_close(fd);
}

static void forgets(int listener)
{
	int client = peer_connect(listener);

	kept[0] = peer_accept(listener);
	peer_close(client);
}

static void keeps_on_purpose(int listener)
{
	int client = peer_connect(listener);

	kept[1] = peer_accept(listener);
	sockleak_expect(kept[1]);
	peer_close(client);
}

static void run_test(const char *name, void (*test)(int listener), int listener)
{
	uint64_t mark = sockleak_mark();
	int n_left;

	sockleak_name(name);
	test(listener);
	sockleak_name(NULL);
	n_left = sockleak_check_since(mark, 100);
	if (n_left > 0)
		printf("%s: %d left open\n", name, n_left);
	else
		printf("%s: ok\n", name);
}

int main(void)
{
	int listener = peer_listen();

	run_test("closes its socket", closes, listener);
	run_test("forgets its socket", forgets, listener);
	run_test("keeps one on purpose", keeps_on_purpose, listener);
	close(kept[0]);
	close(kept[1]);
	peer_close(listener);
	return 0;
}
