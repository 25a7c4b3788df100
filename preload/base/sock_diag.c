/* See sock_diag.h. */
#include "base/sock_diag.h"

#include "base/guard.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define ANSWER_BYTES 4096 /* more than one socket's answer takes */

long sock_diag_open(struct stat *is)
{
	return guard_raise(guard_sys(SYS_socket, AF_NETLINK,
				     SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
				     NETLINK_SOCK_DIAG),
			   is);
}

struct request {
	struct nlmsghdr head;
	struct inet_diag_req_v2 body;
};

static void fill_request(struct request *request, const struct probe_ends *ends,
			 uint64_t cookie)
{
	size_t bytes = ends->family == AF_INET ? 4 : 16;

	memset(request, 0, sizeof(*request));
	request->head.nlmsg_len = sizeof(*request);
	request->head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
	request->head.nlmsg_flags = NLM_F_REQUEST;
	request->body.sdiag_family = (uint8_t)ends->family;
	request->body.sdiag_protocol = IPPROTO_TCP;
	request->body.idiag_ext =
		1 << (INET_DIAG_INFO - 1) | 1 << (INET_DIAG_SKMEMINFO - 1);
	request->body.idiag_states = ~0U;
	request->body.id.idiag_sport = htons(ends->local_port);
	request->body.id.idiag_dport = htons(ends->peer_port);
	request->body.id.idiag_if = ends->interface;
	request->body.id.idiag_cookie[0] = (uint32_t)cookie;
	request->body.id.idiag_cookie[1] = (uint32_t)(cookie >> 32);
	memcpy(request->body.id.idiag_src, ends->local, bytes);
	memcpy(request->body.id.idiag_dst, ends->peer, bytes);
}

/* What netlink sends is aligned to 4 bytes, struct tcp_info to 8. */
static void read_attribute(const struct rtattr *attribute,
			   struct sock_diag_answer *answer)
{
	size_t bytes = RTA_PAYLOAD(attribute);
	uint32_t memory[SK_MEMINFO_VARS] = {0};
	struct tcp_info info;

	memset(&info, 0, sizeof(info));
	if (attribute->rta_type == INET_DIAG_INFO) {
		memcpy(&info, RTA_DATA(attribute),
		       bytes < sizeof(info) ? bytes : sizeof(info));
		probe_read_info(&info, &answer->probe);
	} else if (attribute->rta_type == INET_DIAG_SKMEMINFO) {
		memcpy(memory, RTA_DATA(attribute),
		       bytes < sizeof(memory) ? bytes : sizeof(memory));
		answer->kernel_bytes =
			memory[SK_MEMINFO_RMEM_ALLOC] + memory[SK_MEMINFO_WMEM_QUEUED] +
			memory[SK_MEMINFO_FWD_ALLOC] + memory[SK_MEMINFO_OPTMEM];
	}
}

/* The FIN takes one number of the receive queue until it is read. */
static enum sock_diag_result read_answer(const struct nlmsghdr *head, long bytes,
					 uint64_t cookie, struct sock_diag_answer *answer)
{
	const struct inet_diag_msg *message = NLMSG_DATA(head);

	if (bytes < (long)NLMSG_LENGTH(sizeof(struct nlmsgerr)) ||
	    head->nlmsg_len > (unsigned long)bytes)
		return SOCK_DIAG_REFUSED;
	if (head->nlmsg_type == NLMSG_ERROR) {
		int error = ((const struct nlmsgerr *)NLMSG_DATA(head))->error;

		return error == -ENOENT || error == -ESTALE ? SOCK_DIAG_NONE
							    : SOCK_DIAG_REFUSED;
	}
	if (head->nlmsg_len < NLMSG_LENGTH(sizeof(*message)))
		return SOCK_DIAG_REFUSED;
	if (!message->idiag_inode)
		return SOCK_DIAG_NONE;
	answer->probe.cookie = cookie;
	answer->inode = message->idiag_inode;
	answer->fin_unread = message->idiag_rqueue > 0;
	answer->unread_bytes = message->idiag_rqueue - answer->fin_unread;
	const struct rtattr *attribute = (const void *)(message + 1);
	for (int left = (int)(head->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));
	     RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		read_attribute(attribute, answer);
	answer->probe.state = message->idiag_state;
	return SOCK_DIAG_FOUND;
}

enum sock_diag_result sock_diag_ask(long netlink, const struct probe_ends *ends,
				    uint64_t cookie, struct sock_diag_answer *answer)
{
	struct request request;
	union {
		struct nlmsghdr head;
		char bytes[ANSWER_BYTES];
	} room;

	memset(answer, 0, sizeof(*answer));
	fill_request(&request, ends, cookie);
	/* The kernel has answered before the call returns. */
	if (guard_sys(SYS_sendto, netlink, &request, sizeof(request), 0, NULL, 0) < 0)
		return SOCK_DIAG_REFUSED;
	long n = guard_sys(SYS_recvfrom, netlink, &room, sizeof(room), 0, NULL, NULL);
	return read_answer(&room.head, n, cookie, answer);
}
