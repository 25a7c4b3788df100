/* The life of a connection after one end has left it, measured: state and buffers of both
 * ends, and how many segments went between them.
 *
 *     $ build/examples/lifecycle
 *
 * It makes itself a network namespace with a tcp_fin_timeout of a second or three, so
 * that nobody else's segments are counted; where it may not, TCP_LINGER2 does for
 * tcp_fin_timeout and nothing is counted.  Each line: ms since the connection was made;
 * what was done, or waited for; the client's end and the server's (state, bytes of
 * buffers; "-" = the kernel has forgotten it); segments since the line before.
 *
 * What there is to see:
 *  - a peer that closed waits in FIN_WAIT_2 for tcp_fin_timeout and then forgets; our
 *    CLOSE_WAIT end gets nothing when it does, and stays;
 *  - what our end sends from then on is met by an RST; what it sends next, by EPIPE;
 *  - a peer that only shut its write side waits without a limit;
 *  - keepalive finds out, and turns CLOSE_WAIT into CLOSE: gone from `ss`, still held. */
#include "peer.h"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <sched.h>

static bool own_namespace;
static int fin_timeout_s;
static long started_ms;
static long long n_segments_before;

struct end {
	int fd; /* -1 = this program has closed it */
	uint16_t port;
};
static struct end client, server;

struct seen {
	unsigned state; /* 0 = the kernel knows nothing of it */
	unsigned bytes;
};

static const char *state_name(unsigned state)
{
	static const char *const names[] = {"-",         "ESTABLISHED", "SYN_SENT",
					    "SYN_RECV",  "FIN_WAIT_1",  "FIN_WAIT_2",
					    "TIME_WAIT", "CLOSE",       "CLOSE_WAIT",
					    "LAST_ACK",  "LISTEN",      "CLOSING"};

	return state < sizeof(names) / sizeof *names ? names[state] : "?";
}

/* ---- what the kernel says: of a descriptor, and of ends nobody holds (sock_diag) ----
 */

static unsigned buffer_bytes(const uint32_t *memory)
{
	return memory[SK_MEMINFO_RMEM_ALLOC] + memory[SK_MEMINFO_WMEM_QUEUED] +
	       memory[SK_MEMINFO_FWD_ALLOC] + memory[SK_MEMINFO_OPTMEM];
}

static struct seen take_answer(const struct nlmsghdr *head)
{
	const struct inet_diag_msg *one = (const void *)(head + 1);
	const char *at = (const char *)(one + 1);
	const char *end = (const char *)head + head->nlmsg_len;
	struct seen seen = {one->idiag_state, 0};

	/* Of an end that is gone the kernel shows the listener that would take its place.
	 */
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || one->idiag_state == TCP_LISTEN)
		return (struct seen){0, 0};
	while (at + sizeof(struct nlattr) <= end) {
		const struct nlattr *attribute = (const void *)at;

		if (attribute->nla_type == INET_DIAG_SKMEMINFO)
			seen.bytes = buffer_bytes((const uint32_t *)(attribute + 1));
		at += NLA_ALIGN(attribute->nla_len);
	}
	return seen;
}

static struct seen ask_sock_diag(uint16_t from, uint16_t to)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = {
		.head = {sizeof(request), SOCK_DIAG_BY_FAMILY, NLM_F_REQUEST, 1, 0},
		.body = {.sdiag_family = AF_INET,
			 .sdiag_protocol = IPPROTO_TCP,
			 .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1),
			 .idiag_states = ~0U,
			 .id = {.idiag_sport = htons(from),
				.idiag_dport = htons(to),
				.idiag_src = {htonl(INADDR_LOOPBACK)},
				.idiag_dst = {htonl(INADDR_LOOPBACK)},
				.idiag_cookie = {INET_DIAG_NOCOOKIE,
						 INET_DIAG_NOCOOKIE}}},
	};
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

	must(fd >= 0 && send(fd, &request, sizeof(request), 0) == sizeof(request));
	must(recv(fd, &answer, sizeof(answer), 0) >= (ssize_t)sizeof(struct nlmsghdr));
	close(fd);
	return take_answer(&answer.head);
}

static struct seen look(const struct end *end, const struct end *other)
{
	uint32_t memory[SK_MEMINFO_VARS];
	socklen_t size = sizeof(memory);
	struct seen seen = ask_sock_diag(end->port, other->port);

	if (end->fd >= 0) {
		must(!getsockopt(end->fd, SOL_SOCKET, SO_MEMINFO, memory, &size));
		seen.bytes = buffer_bytes(memory);
		seen.state = peer_state(end->fd);
	}
	return seen;
}

/* InSegs of /proc/net/snmp, the tenth field: on loopback, what arrives is what was sent.
 */
static long long n_segments(void)
{
	char line[512];
	long long n = 0;
	FILE *file = fopen("/proc/self/net/snmp", "r");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Tcp: %*d %*d %*d %*d %*d %*d %*d %*d %*d %lld", &n) ==
		    1)
			break;
	if (file)
		fclose(file);
	return n;
}

/* ---- the time line ---- */

static void show(const char *what)
{
	struct seen ours = look(&client, &server), theirs = look(&server, &client);
	long long n = n_segments();

	printf("%6ld  %-38s %-11s %7u  %-11s %7u", now_ms() - started_ms, what,
	       state_name(ours.state), ours.bytes, state_name(theirs.state),
	       theirs.bytes);
	if (own_namespace)
		printf(" %4lld", n - n_segments_before);
	puts("");
	fflush(stdout);
	n_segments_before = n;
}

#define await_end(one, other, wanted)                                                    \
	for (long until = now_ms() + 30000; look(&one, &other).state != wanted;          \
	     pause_ms(2))                                                                \
	must(now_ms() < until)

static void begin(const char *title)
{
	static int listener = -1;
	int small = 20000;

	if (listener < 0)
		listener = peer_listen();
	printf("\n%s\n", title);
	n_segments_before = n_segments();
	started_ms = now_ms();
	client.fd = socket(AF_INET, SOCK_STREAM, 0);
	must(!setsockopt(client.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	must(!setsockopt(client.fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	if (!own_namespace)
		must(!setsockopt(client.fd, IPPROTO_TCP, TCP_LINGER2, &fin_timeout_s,
				 sizeof(fin_timeout_s)));
	peer_connect_fd(client.fd, listener);
	server.fd = peer_accept(listener);
	must(!setsockopt(server.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small)));
	client.port = peer_port(client.fd);
	server.port = peer_port(server.fd);
	show("connected");
}

static void close_end(struct end *end)
{
	if (end->fd >= 0)
		peer_close(end->fd);
	end->fd = -1;
}

static void set_fin_timeout(int seconds)
{
	int fd;

	fin_timeout_s = seconds;
	if (!own_namespace)
		return;
	fd = open("/proc/sys/net/ipv4/tcp_fin_timeout", O_WRONLY);
	must(fd >= 0 && dprintf(fd, "%d", seconds) > 0 && !close(fd));
}

static void both_close(void)
{
	begin("Both ends close");
	close_end(&client);
	await_end(client, server, TCP_FIN_WAIT2);
	show("the client closes");
	close_end(&server);
	await_end(client, server, TCP_TIME_WAIT);
	await_end(server, client, 0);
	show("the server closes");
}

static void peer_closes(void)
{
	begin("The peer closes, we forget to");
	close_end(&client);
	await_end(client, server, TCP_FIN_WAIT2);
	show("the client closes");
	await_end(client, server, 0);
	show("FIN_WAIT_2 is over");
	pause_ms(300);
	show("a while later");
	must(send(server.fd, "x", 1, MSG_NOSIGNAL) == 1);
	await_end(server, client, TCP_CLOSE);
	show("the server sends a byte: RST");
	must(send(server.fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE);
	show("and another: EPIPE");
	close_end(&server);
	show("the server closes");
}

static void peer_shuts(void)
{
	begin("The peer shuts its write side");
	must(!shutdown(client.fd, SHUT_WR));
	await_end(client, server, TCP_FIN_WAIT2);
	show("the client shuts its write side");
	pause_ms(2500 * fin_timeout_s);
	show("2.5 times tcp_fin_timeout later");
	must(send(server.fd, "x", 1, MSG_NOSIGNAL) == 1);
	await_unread(client.fd, 1);
	show("the server sends a byte");
	close_end(&server);
	await_end(client, server, TCP_CLOSE);
	show("the server closes");
	close_end(&client);
	show("the client closes");
}

/* Until nothing more was taken for a while: a receiver squeezes what it has, and takes
 * some more. */
static void fill(int fd)
{
	static const char bytes[4096];

	for (long full_since = now_ms(); now_ms() - full_since < 500;) {
		if (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			full_since = now_ms();
		else
			pause_ms(5);
	}
	must(errno == EAGAIN);
}

static void full_queues(void)
{
	begin("The queues are full");
	fill(client.fd);
	show("the client sends what it can");
	close_end(&client);
	await_end(client, server, TCP_FIN_WAIT1);
	show("the client closes");
	read_to_end(server.fd);
	await_end(client, server, TCP_FIN_WAIT2);
	show("the server reads to the end");
	close_end(&server);
	begin("The same, the other way round");
	must(!shutdown(client.fd, SHUT_WR));
	await_end(server, client, TCP_CLOSE_WAIT);
	fill(server.fd);
	show("half-closed; the server sends");
	must(!shutdown(server.fd, SHUT_WR));
	await_end(server, client, TCP_LAST_ACK);
	show("the server shuts its write side");
	read_to_end(client.fd);
	await_end(server, client, TCP_CLOSE);
	show("the client reads to the end");
	close_end(&server);
	close_end(&client);
}

/* ms since a segment of the peer's was taken. */
static long last_ack_ms(int fd)
{
	struct tcp_info info;
	socklen_t size = sizeof(info);

	must(!getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size));
	return info.tcpi_last_ack_recv;
}

static void keepalive(void)
{
	int on = 1, seconds = 2;

	begin("Keepalive of two seconds, FIN_WAIT_2 of three");
	must(!setsockopt(server.fd, IPPROTO_TCP, TCP_KEEPIDLE, &seconds,
			 sizeof(seconds)));
	must(!setsockopt(server.fd, IPPROTO_TCP, TCP_KEEPINTVL, &seconds,
			 sizeof(seconds)));
	must(!setsockopt(server.fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on)));
	close_end(&client);
	await_end(client, server, TCP_FIN_WAIT2);
	show("the client closes");
	/* An answer that came well after the FIN: to the first probe. */
	for (long closed = now_ms(); last_ack_ms(server.fd) + 1000 > now_ms() - closed;
	     pause_ms(2))
		must(now_ms() - closed < 30000);
	show("a probe, answered in FIN_WAIT_2");
	await_end(client, server, 0);
	show("FIN_WAIT_2 is over");
	await_end(server, client, TCP_CLOSE);
	show("a probe, answered by RST");
	close_end(&server);
}

/* ---- a network of its own ---- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	bool written = fd >= 0 && write(fd, text, strlen(text)) > 0;

	if (fd >= 0)
		close(fd);
	return written;
}

static bool raise_loopback(void)
{
	struct {
		char name[16];
		short flags;
		char rest[22];
	} request = {.name = "lo", .flags = 1 /* IFF_UP */};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool raised = fd >= 0 && !ioctl(fd, 0x8914 /* SIOCSIFFLAGS */, &request);

	if (fd >= 0)
		close(fd);
	return raised;
}

static bool make_namespace(void)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %d 1", (int)getuid());
	if (unshare(CLONE_NEWNET)) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWNET))
			return false;
		if (!write_file("/proc/self/uid_map", map))
			return false;
	}
	return raise_loopback() && write_file("/proc/sys/net/ipv4/tcp_fin_timeout", "1");
}

static void show_slabs(void)
{
	static const char *const wanted[] = {
		"TCP ",  "tw_sock_TCP ", "request_sock_TCP ", "sock_inode_cache ",
		"filp ", "dentry "};
	FILE *file = fopen("/proc/slabinfo", "r");
	char line[256];

	puts("\nBesides the buffers, from the kernel's slabs (bytes each):");
	if (!file)
		puts("  /proc/slabinfo is not for us");
	while (file && fgets(line, sizeof(line), file))
		for (size_t i = 0; i < sizeof(wanted) / sizeof *wanted; i++) {
			unsigned long bytes;

			if (strncmp(line, wanted[i], strlen(wanted[i])))
				continue;
			if (sscanf(line, "%*s %*s %*s %lu", &bytes) == 1)
				printf("  %s%lu\n", wanted[i], bytes);
		}
	if (file)
		fclose(file);
}

int main(void)
{
	alarm(180);
	own_namespace = !getenv("LIFECYCLE_NO_NAMESPACE") && make_namespace();
	if (!own_namespace)
		puts("no network namespace: TCP_LINGER2 for tcp_fin_timeout, no "
		     "segments");
	printf("    ms  %-38s %-19s  %-19s %4s\n", "", "client, bytes", "server, bytes",
	       own_namespace ? "segs" : "");
	set_fin_timeout(1);
	both_close();
	peer_closes();
	peer_shuts();
	full_queues();
	set_fin_timeout(3);
	keepalive();
	show_slabs();
	return 0;
}
