/* A suite with cmocka in which a test that leaves a socket open turns red.
 *
 * Each test gets its name and a mark before, and is asked for what is left after it.  The
 * question returns at once where nothing is; a close that is on its way gets DRAIN_MS.
 *
 *     $ LD_PRELOAD=build/libsockleak.so build/examples/suites/cmocka/server_test
 *
 * The second test is red, and sockleak says above it which socket of which call is left.
 * Without the library all three are green.
 */
#include "sockleak.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define DRAIN_MS 500

/* --- for every suite --- */

static uint64_t mark;

static int begin(void **state)
{
	sockleak_name(*state);
	mark = sockleak_mark();
	return 0;
}

static int end(void **state)
{
	static char places[65537];
	int n_left = sockleak_check_since(mark, DRAIN_MS);
	sockleak_name(NULL);
	sockleak_text(places, sizeof places);
	if (n_left > 0)
		print_error("%s leaves %d socket(s) open whose peer is gone\n%s",
			    (const char *)*state, n_left, places);
	return n_left > 0 ? -1 : 0;
}

#define TEST(function)                                                                   \
	{                                                                                \
#function, function, begin, end, (void *)#function                       \
	}

/* --- what is tested: a server, with one mistake --- */

__attribute__((noinline)) static int answer(int listener)
{
	char request[64] = "";
	int fd = accept(listener, NULL, NULL);
	if (read(fd, request, sizeof request - 1) <= 0 || strcmp(request, "ping\n") != 0)
		return -1; /* the mistake: fd is lost */
	if (write(fd, "pong\n", 5) != 5)
		request[0] = 0;
	close(fd);
	return request[0] ? 0 : -1;
}

static int open_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0), yes = 1;
	assert_true(fd >= 0);
	assert_return_code(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), 0);
	return fd;
}

/* What answer() returns to a client that sends `text`. */
static int asked(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof address;
	int listener = open_socket(), client = open_socket();
	assert_return_code(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_return_code(listen(listener, 1), 0);
	assert_return_code(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_return_code(connect(client, (struct sockaddr *)&address, size), 0);
	assert_int_equal(send(client, text, strlen(text), 0), strlen(text));
	int result = answer(listener);
	close(client);
	close(listener);
	return result;
}

static void answers_a_ping(void **state)
{
	(void)state;
	assert_int_equal(asked("ping\n"), 0);
}

static void refuses_nonsense(void **state)
{
	(void)state;
	assert_int_equal(asked("nonsense\n"), -1);
}

static void answers_after_nonsense(void **state)
{
	(void)state;
	assert_int_equal(asked("ping\n"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_a_ping),
		TEST(refuses_nonsense),
		TEST(answers_after_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
