/* What the kernel lists.
 *
 * Theory of operation.  kernel/ tells what is there now, and keeps nothing: diag.c which
 * sockets the kernel has, holders.c which processes have descriptors of them,
 * held_elsewhere.c puts the two together for sockets whose opener has closed them, and
 * process.c says whether a process runs.  All of them work without privileges and then
 * see less; what may not be looked at is counted.  A list is not one moment: what is
 * closed or accepted meanwhile may be missing or come twice.
 *
 * One dump each of TCP and MPTCP sockets, IPv4 and IPv6.  The subflows of an MPTCP
 * connection are TCP sockets of the kernel's own, and are left out. */
#include "kernel/diag.h"

#include "common/address.h"
#include "support/say.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP 262
#endif
#define ANSWER_BYTES (64 * 1024) /* more than the kernel puts into one datagram */
#define STATE_LISTEN 10

static int send_request(int netlink, uint8_t family, uint32_t protocol, uint32_t states)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
		struct rtattr
			protocol_head; /* for a protocol that needs more than a byte */
		uint32_t protocol;
	} request = {
		.head = {.nlmsg_len = sizeof request,
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.body = {.sdiag_family = family,
			 .sdiag_protocol =
				 protocol == IPPROTO_TCP ? IPPROTO_TCP : IPPROTO_RAW,
			 .idiag_ext = 1 << (INET_DIAG_INFO - 1),
			 .idiag_states = states},
		.protocol_head = {.rta_len = RTA_LENGTH(sizeof(uint32_t)),
				  .rta_type = INET_DIAG_REQ_PROTOCOL},
		.protocol = protocol,
	};
	if (protocol == IPPROTO_TCP)
		request.head.nlmsg_len = NLMSG_LENGTH(sizeof request.body);
	return send(netlink, &request, request.head.nlmsg_len, 0) < 0 ? -1 : 0;
}

static void set_addresses(struct diag_socket *socket, const struct inet_diag_msg *message)
{
	const uint8_t *local = (const void *)message->id.idiag_src;
	const uint8_t *peer = (const void *)message->id.idiag_dst;
	const uint8_t *ipv4 =
		message->idiag_family == AF_INET6 ? address_mapped_ipv4(local) : NULL;
	size_t from = ipv4 ? (size_t)(ipv4 - local) : 0;
	socket->family = ipv4 ? AF_INET : message->idiag_family;
	size_t bytes = socket->family == AF_INET ? 4 : 16;
	memcpy(socket->local, local + from, bytes);
	memcpy(socket->peer, peer + from, bytes);
	socket->local_port = ntohs(message->id.idiag_sport);
	socket->peer_port = ntohs(message->id.idiag_dport);
}

/* The FIN takes one number in the receive queue's sequence space until it is read. */
static void set_queues(struct diag_socket *socket, const struct inet_diag_msg *message)
{
	socket->unsent_bytes = message->idiag_wqueue;
	socket->unread_bytes = -1;
	if (socket->state == STATE_LISTEN) {
		socket->queued = message->idiag_rqueue;
	} else if (!socket->is_mptcp) {
		socket->fin_unread = message->idiag_rqueue > 0;
		socket->unread_bytes =
			message->idiag_rqueue - (uint32_t)socket->fin_unread;
	}
}

static bool is_subflow(const struct rtattr *attribute)
{
	const struct rtattr *inner = RTA_DATA(attribute);
	for (int left = (int)RTA_PAYLOAD(attribute); RTA_OK(inner, left);
	     inner = RTA_NEXT(inner, left)) {
		if (inner->rta_type == INET_ULP_INFO_NAME)
			return !strncmp(RTA_DATA(inner), "mptcp", RTA_PAYLOAD(inner));
	}
	return false;
}

/* What netlink sends is aligned to 4 bytes, struct tcp_info to 8. */
static uint32_t quiet_ms_of(const struct rtattr *attribute)
{
	const char *info = RTA_DATA(attribute);
	uint32_t quiet_ms;
	memcpy(&quiet_ms, info + offsetof(struct tcp_info, tcpi_last_ack_recv),
	       sizeof quiet_ms);
	return quiet_ms;
}

static void add_socket(struct diag *sockets, const struct nlmsghdr *head, bool is_mptcp)
{
	const struct inet_diag_msg *message = NLMSG_DATA(head);
	struct diag_socket socket = {
		.cookie = (uint64_t)message->id.idiag_cookie[1] << 32 |
			  message->id.idiag_cookie[0],
		.inode = message->idiag_inode,
		.uid = message->idiag_uid,
		.state = message->idiag_state,
		.is_mptcp = is_mptcp,
	};
	int left = (int)head->nlmsg_len - (int)NLMSG_LENGTH(sizeof *message);
	const struct rtattr *attribute = (const void *)(message + 1);
	for (; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left)) {
		if (attribute->rta_type == INET_DIAG_ULP_INFO && is_subflow(attribute))
			return;
		if (attribute->rta_type == INET_DIAG_INFO && !is_mptcp &&
		    RTA_PAYLOAD(attribute) >= offsetof(struct tcp_info, tcpi_pmtu)) {
			socket.has_age = true;
			socket.quiet_ms = quiet_ms_of(attribute);
		}
	}
	set_addresses(&socket, message);
	set_queues(&socket, message);
	sockets->at = say_one_more(sockets->at, sockets->n, sizeof *sockets->at);
	sockets->at[sockets->n++] = socket;
}

/* 1 = more comes, 0 = that was all, -1 with errno. */
static int take_answer(struct diag *sockets, const char *answer, size_t bytes,
		       bool is_mptcp)
{
	const struct nlmsghdr *head = (const void *)answer;
	for (; NLMSG_OK(head, bytes); head = NLMSG_NEXT(head, bytes)) {
		if (head->nlmsg_type == NLMSG_DONE)
			return 0;
		if (head->nlmsg_type == NLMSG_ERROR) {
			const struct nlmsgerr *error = NLMSG_DATA(head);
			errno = -error->error;
			return -1;
		}
		if (head->nlmsg_len >= NLMSG_LENGTH(sizeof(struct inet_diag_msg)))
			add_socket(sockets, head, is_mptcp);
	}
	return 1;
}

static int dump(struct diag *sockets, int netlink, uint8_t family, uint32_t protocol,
		uint32_t states)
{
	char *answer = say_calloc(1, ANSWER_BYTES);
	int more = send_request(netlink, family, protocol, states) == 0 ? 1 : -1;
	while (more > 0) {
		ssize_t n = recv(netlink, answer, ANSWER_BYTES, 0);
		if (n > 0)
			more = take_answer(sockets, answer, (size_t)n,
					   protocol == IPPROTO_MPTCP);
		else if (n == 0 || errno != EINTR)
			more = -1;
	}
	free(answer);
	return more;
}

/* What a socket is: MPTCP sockets that one listener accepted all have its cookie, if any
 * process asked for it before. */
static int by_identity(const void *a, const void *b)
{
	const struct diag_socket *x = a, *y = b;
	if (x->cookie != y->cookie)
		return x->cookie < y->cookie ? -1 : 1;
	if (x->local_port != y->local_port)
		return x->local_port - y->local_port;
	if (x->peer_port != y->peer_port)
		return x->peer_port - y->peer_port;
	int order = memcmp(x->local, y->local, sizeof x->local);
	return order ? order : memcmp(x->peer, y->peer, sizeof x->peer);
}

/* A socket that moves within the kernel's table during the dump may come twice. */
static void drop_doubles(struct diag *sockets, size_t from)
{
	size_t kept = from;
	if (sockets->n - from < 2)
		return;
	qsort(sockets->at + from, sockets->n - from, sizeof *sockets->at, by_identity);
	for (size_t i = from + 1; i < sockets->n; i++) {
		if (by_identity(&sockets->at[i], &sockets->at[kept]) != 0)
			sockets->at[++kept] = sockets->at[i];
	}
	sockets->n = kept + 1;
}

static int open_diag(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
}

int diag_add(struct diag *sockets, uint32_t states)
{
	static const struct {
		uint8_t family;
		uint32_t protocol;
		bool is_optional;
	} kinds[] = {
		{AF_INET, IPPROTO_TCP, false},
		{AF_INET6, IPPROTO_TCP, true},
		{AF_INET, IPPROTO_MPTCP, true},
		{AF_INET6, IPPROTO_MPTCP, true},
	};
	size_t from = sockets->n;
	int netlink = open_diag(), error = 0;
	if (netlink < 0)
		return -1;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !error; i++) {
		if (dump(sockets, netlink, kinds[i].family, kinds[i].protocol, states) ==
		    0)
			continue;
		/* A kernel without IPv6 or MPTCP has no such sockets. */
		error = kinds[i].is_optional && errno == ENOENT ? 0 : errno;
	}
	close(netlink);
	drop_doubles(sockets, from);
	errno = error;
	return error ? -1 : 0;
}

static int ask_exactly(int netlink, const struct inet_diag_req_v2 *wanted)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = {
		.head = {.nlmsg_len = sizeof request,
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST},
		.body = *wanted,
	};
	union {
		struct nlmsghdr head;
		char bytes[4096];
	} answer;
	if (send(netlink, &request, sizeof request, 0) < 0)
		return -1;
	ssize_t n = recv(netlink, &answer, sizeof answer, 0);
	if (n < (ssize_t)NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return -1;
	if (answer.head.nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *error = NLMSG_DATA(&answer.head);
		return error->error == -ENOENT ? 0 : -1;
	}
	/* Where there is none, the listener is shown that would take its place. */
	const struct inet_diag_msg *message = NLMSG_DATA(&answer.head);
	return message->idiag_state != STATE_LISTEN;
}

int diag_has(uint16_t family, const uint8_t local[16], uint16_t local_port,
	     const uint8_t peer[16], uint16_t peer_port)
{
	size_t bytes = family == AF_INET ? 4 : 16;
	struct inet_diag_req_v2 wanted = {
		.sdiag_family = (uint8_t)family,
		.sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0U,
		.id = {.idiag_sport = htons(local_port),
		       .idiag_dport = htons(peer_port),
		       .idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	int netlink = open_diag();
	if (netlink < 0)
		return -1;
	memcpy(wanted.id.idiag_src, local, bytes);
	memcpy(wanted.id.idiag_dst, peer, bytes);
	int result = ask_exactly(netlink, &wanted);
	close(netlink);
	return result;
}

uint64_t diag_namespace(void)
{
	struct stat own = {0};
	stat("/proc/thread-self/ns/net", &own);
	return own.st_ino;
}

void diag_free(struct diag *sockets)
{
	free(sockets->at);
	*sockets = (struct diag){0};
}
