/* A host that does something unusual, and has conversations (one connection each) while
 * it does.  Each is a case:
 *
 *     HOST                 lists the cases
 *     HOST NAME [leaks]    runs one; with `leaks` one conversation leaves a socket that
 *                          counts as a leak at exit, told and kept
 *
 * Bare and preloaded the output and the status must be the same. */
#ifndef HOST_H
#define HOST_H

#include "peer.h"

#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static bool host_leaks; /* the next conversation leaves its socket */

/* For hosts on small stacks and in handlers: no stdio. */
static inline void tell(const char *text)
{
	must(write(STDOUT_FILENO, text, strlen(text)) == (ssize_t)strlen(text));
}

/* A client comes, sends, is answered and goes; the server sees its end and closes, or
 * forgets to.  No stdio, little stack. */
NOINLINE static void have_conversation(bool leaks)
{
	char bytes[4];
	int listener = peer_listen(), client = peer_connect(listener);
	int server = peer_accept(listener);

	peer_send(client, "ask", 3);
	must(recv(server, bytes, 3, MSG_WAITALL) == 3 && !memcmp(bytes, "ask", 3));
	peer_send(server, "yes", 3);
	must(read(client, bytes, 4) == 3);
	peer_close(client);
	must(recv(server, bytes, 4, 0) == 0);
	if (!leaks)
		peer_close(server);
	peer_close(listener);
}

/* The conversation that leaves a socket where one is to be left: once in a program, and
 * by one thread. */
static inline void converse(void)
{
	bool leaks = host_leaks;

	host_leaks = false;
	have_conversation(leaks);
}

/* One before it, or beside it. */
static inline void chat(void)
{
	have_conversation(false);
}

static inline void tell_status(int status)
{
	char text[64];

	snprintf(text, sizeof(text), "child: exit %d, signal %d\n",
		 WIFEXITED(status) ? WEXITSTATUS(status) : -1,
		 WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	tell(text);
}

static inline void await_child(pid_t pid)
{
	int status;

	must(pid > 0 && waitpid(pid, &status, 0) == pid);
	tell_status(status);
}

/* Whose leak is a child's has none itself. */
static inline void leave_it_to(pid_t pid)
{
	must(pid >= 0);
	if (pid)
		host_leaks = false;
}

/* The leak, if any, is the child's. */
static inline void in_child_of(pid_t pid)
{
	leave_it_to(pid);
	if (pid)
		return await_child(pid);
	converse();
	tell("the child\n");
	_exit(3);
}

/* What this user, container or kernel may not do: the host has its conversation without.
 */
#define NEEDS(call)                                                                      \
	do {                                                                             \
		if ((call) < 0) {                                                        \
			must(errno == EPERM || errno == EACCES || errno == EINVAL ||     \
			     errno == ENOMEM || errno == ENOSYS);                        \
			tell("refused: " #call "\n");                                    \
			converse();                                                      \
			return;                                                          \
		}                                                                        \
	} while (0)

static inline void *new_pages(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);

	must(at != MAP_FAILED);
	return at;
}

struct host_case {
	const char *name;
	void (*run)(void);
};

static inline int host_main(const struct host_case *cases, size_t n, int argc,
			    char **argv)
{
	alarm(60);
	host_leaks = argc > 2 && !strcmp(argv[2], "leaks");
	for (size_t i = 0; i < n; i++) {
		if (argc < 2)
			puts(cases[i].name);
		else if (!strcmp(argv[1], cases[i].name))
			return cases[i].run(), 7;
	}
	return argc < 2 ? 0 : 96;
}

#define HOST_MAIN(cases)                                                                 \
	int main(int argc, char **argv)                                                  \
	{                                                                                \
		return host_main(cases, sizeof(cases) / sizeof *(cases), argc, argv);    \
	}

#endif
