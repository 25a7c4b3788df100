/* What has become of the other end of a connection.
 *
 * Where both ends lie in this network namespace the kernel lists the other one, too: with
 * the two addresses the other way round.  In FIN_WAIT_2 it waits for this side to close.
 * If it is not there, in whatever state, then it has forgotten the connection; but only
 * if it ever was here, and under that address.  So nothing is claimed unless
 *  - our end is here (by its cookie), with its peer gone;
 *  - the peer's address belongs to this namespace;
 *  - no translation of addresses can have come between.  Of a connection that was made to
 *    us the other end has the address that we see, whatever it believes to be connected
 *    to: no socket may have that one.  Of one that was made from here not even that is
 *    sure, so the kernel must not be translating at all;
 *  - asked for this one connection, the kernel knows none: a list takes its time, and
 *    what moves within the table meanwhile may be missing from it.
 *
 * What a process held that has just ended is closed, and the peer's end has got a FIN: if
 * it waited for one it is in TIME_WAIT now.  If it is not there it may have been gone
 * before, or an RST has ended it, or the kernel has no room for more: nobody knows. */
#include "annotate/peers.h"

#include "support/clock.h"
#include "support/say.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

/* A connection of the same two addresses can be made again, but not so soon. */
#define JUST_ENDED_NS UINT64_C(1000000000)

struct peers {
	struct diag sockets;                /* by cookie */
	const struct diag_socket **by_ends; /* owned; see compare_ends() */
	struct ifaddrs *addresses;          /* owned; of this namespace */
	bool may_translate;                 /* addresses, here */
};

struct peers_known {
	uint64_t cookie;
	UT_hash_handle hh;
};

/* -- the list --------------------------------------------------------------------- */

static int compare_port(const struct diag_socket *a, const struct diag_socket *b)
{
	if (a->local_port != b->local_port)
		return a->local_port < b->local_port ? -1 : 1;
	return (b->state == TCP_LISTEN) - (a->state == TCP_LISTEN);
}

static int compare_local(const struct diag_socket *a, const struct diag_socket *b)
{
	int order = compare_port(a, b);

	if (order)
		return order;
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->local, b->local, sizeof(a->local));
}

/* By port, listeners first; by local address; by peer. */
static int compare_ends(const struct diag_socket *a, const struct diag_socket *b)
{
	int order = compare_local(a, b);

	if (order)
		return order;
	if (a->peer_port != b->peer_port)
		return a->peer_port < b->peer_port ? -1 : 1;
	return memcmp(a->peer, b->peer, sizeof(a->peer));
}

static int sort_ends(const void *a, const void *b)
{
	return compare_ends(*(const struct diag_socket *const *)a,
			    *(const struct diag_socket *const *)b);
}

/* The first that is not before `wanted`; `peers->sockets.n` = none. */
static size_t first_at(const struct peers *peers, const struct diag_socket *wanted,
		       int (*compare)(const struct diag_socket *,
				      const struct diag_socket *))
{
	size_t from = 0, to = peers->sockets.n;

	while (from < to) {
		size_t middle = from + (to - from) / 2;

		if (compare(peers->by_ends[middle], wanted) < 0)
			from = middle + 1;
		else
			to = middle;
	}
	return from;
}

static const struct diag_socket *
find(const struct peers *peers, const struct diag_socket *wanted,
     int (*compare)(const struct diag_socket *, const struct diag_socket *))
{
	size_t at = first_at(peers, wanted, compare);

	return at < peers->sockets.n && compare(peers->by_ends[at], wanted) == 0
		       ? peers->by_ends[at]
		       : NULL;
}

/* Connections are tracked where addresses are translated. */
static bool may_translate(void)
{
	unsigned long n = 1;
	FILE *file = fopen("/proc/sys/net/netfilter/nf_conntrack_count", "re");

	if (!file)
		return false;
	if (fscanf(file, "%lu", &n) != 1)
		n = 1;
	fclose(file);
	return n > 0;
}

struct peers *peers_look(void)
{
	struct peers *peers = say_calloc(1, sizeof(*peers));

	peers->may_translate = may_translate();
	if (getifaddrs(&peers->addresses) != 0)
		peers->addresses = NULL;
	if (diag_add(&peers->sockets, ~0U) != 0) {
		peers_free(peers);
		return NULL;
	}
	peers->by_ends = say_calloc(peers->sockets.n, sizeof(*peers->by_ends));
	for (size_t i = 0; i < peers->sockets.n; i++)
		peers->by_ends[i] = &peers->sockets.at[i];
	qsort(peers->by_ends, peers->sockets.n, sizeof(*peers->by_ends), sort_ends);
	return peers;
}

void peers_free(struct peers *peers)
{
	if (!peers)
		return;
	if (peers->addresses)
		freeifaddrs(peers->addresses);
	free(peers->by_ends);
	diag_free(&peers->sockets);
	free(peers);
}

/* -- one socket ------------------------------------------------------------------- */

static bool is_of_here(const struct peers *peers, uint16_t family,
		       const uint8_t address[16])
{
	if (family == AF_INET && address[0] == 127)
		return true; /* the whole net is the loopback's */
	for (const struct ifaddrs *one = peers->addresses; one; one = one->ifa_next) {
		if (!one->ifa_addr || one->ifa_addr->sa_family != family)
			continue;
		const void *own =
			family == AF_INET
				? (void *)&((struct sockaddr_in *)one->ifa_addr)->sin_addr
				: (void *)&((struct sockaddr_in6 *)one->ifa_addr)
					  ->sin6_addr;
		if (memcmp(own, address, family == AF_INET ? 4 : 16) == 0)
			return true;
	}
	return false;
}

/* The socket was accepted if its local port has a listener; a socket that connected from
 * here has none. */
static bool was_accepted(const struct peers *peers, const struct diag_socket *own)
{
	struct diag_socket listener = {.local_port = own->local_port,
				       .state = TCP_LISTEN};

	return find(peers, &listener, compare_port) != NULL;
}

static bool is_gone(const struct peers *peers, const struct diag_socket *peer,
		    bool is_accepted)
{
	if (!is_of_here(peers, peer->family, peer->local))
		return false;
	if (is_accepted ? find(peers, peer, compare_local) != NULL : peers->may_translate)
		return false;
	return diag_has(peer->family, peer->local, peer->local_port, peer->peer,
			peer->peer_port) == 0;
}

/* As the other end would stand in the list. */
static struct diag_socket other_end(uint16_t family, const uint8_t local[16],
				    uint16_t local_port, const uint8_t peer[16],
				    uint16_t peer_port)
{
	struct diag_socket other = {
		.family = family, .local_port = peer_port, .peer_port = local_port};
	size_t bytes = family == AF_INET ? 4 : 16;

	memcpy(other.local, peer, bytes);
	memcpy(other.peer, local, bytes);
	return other;
}

enum text_peer peers_state(const struct peers *peers, const struct diag_socket *own)
{
	if (own->is_mptcp || (own->state != TCP_CLOSE_WAIT &&
			      own->state != TCP_LAST_ACK && own->state != TCP_CLOSING))
		return TEXT_PEER_UNKNOWN;
	struct diag_socket wanted = other_end(own->family, own->local, own->local_port,
					      own->peer, own->peer_port);
	const struct diag_socket *peer = find(peers, &wanted, compare_ends);
	if (peer)
		return peer->state == TCP_FIN_WAIT2 ? TEXT_PEER_FIN_WAIT_2
						    : TEXT_PEER_UNKNOWN;
	return is_gone(peers, &wanted, was_accepted(peers, own)) ? TEXT_PEER_FORGOTTEN
								 : TEXT_PEER_UNKNOWN;
}

static int compare_cookie(const void *cookie, const void *socket)
{
	uint64_t left = *(const uint64_t *)cookie,
		 right = ((const struct diag_socket *)socket)->cookie;

	return (left > right) - (left < right);
}

enum text_peer peers_state_by_cookie(const struct peers *peers, uint64_t cookie,
				     uint16_t local_port)
{
	const struct diag_socket *own =
		peers->sockets.n && cookie
			? bsearch(&cookie, peers->sockets.at, peers->sockets.n,
				  sizeof(*own), compare_cookie)
			: NULL;

	return own && own->local_port == local_port ? peers_state(peers, own)
						    : TEXT_PEER_UNKNOWN;
}

/* -- findings --------------------------------------------------------------------- */

struct telling {
	struct findings *findings;
	struct peers *peers; /* looked at when first needed; NULL = not yet, or in vain */
	bool was_looked_at;
	struct peers_known **known;
	uint64_t now_ns;        /* CLOCK_MONOTONIC */
	uint64_t net_namespace; /* ours; 0 = not known, or not asked */
};

static const struct peers *look_once(struct telling *telling)
{
	if (!telling->was_looked_at)
		telling->peers = peers_look();
	telling->was_looked_at = true;
	return telling->peers;
}

static enum text_peer recall(struct peers_known **known, uint64_t cookie,
			     enum text_peer seen)
{
	struct peers_known *found;

	if (!known)
		return seen;
	HASH_FIND(hh, *known, &cookie, sizeof(cookie), found);
	if (found)
		return TEXT_PEER_FORGOTTEN;
	if (seen == TEXT_PEER_FORGOTTEN) {
		found = say_calloc(1, sizeof(*found));
		found->cookie = cookie;
		HASH_ADD(hh, *known, cookie, sizeof(found->cookie), found);
	}
	return seen;
}

/* In this namespace, if that was asked for. */
static bool has_just_ended(const struct telling *telling,
			   const struct findings_process *process)
{
	return telling->net_namespace &&
	       process->net_namespace == telling->net_namespace &&
	       telling->now_ns - process->last_ns <= JUST_ENDED_NS;
}

/* The socket was closed a moment ago: looks at what is left of the peer's end. */
static enum text_peer state_after_end(const struct telling *telling,
				      const struct findings_socket *socket)
{
	if (socket->state != TCP_CLOSE_WAIT || !socket->family || !socket->peer_port)
		return TEXT_PEER_UNKNOWN;
	struct diag_socket wanted =
		other_end(socket->family, socket->local, socket->local_port, socket->peer,
			  socket->peer_port);
	const struct diag_socket *peer = find(telling->peers, &wanted, compare_ends);
	return peer && (peer->state == TCP_FIN_WAIT2 || peer->state == TCP_TIME_WAIT)
		       ? TEXT_PEER_FIN_WAIT_2
		       : TEXT_PEER_UNKNOWN;
}

static void tell_of(struct telling *telling, struct findings_socket *socket)
{
	const struct findings_process *process =
		&telling->findings->processes[socket->holders[0].process];
	enum text_peer peer = TEXT_PEER_UNKNOWN;

	bool is_held = findings_is_held(telling->findings, socket);

	if (socket->peer_state != TEXT_PEER_UNKNOWN || socket->kind == SL_KIND_DEAD ||
	    !socket->cookie || !process->is_of_this_boot)
		return;
	if (is_held && look_once(telling))
		peer = peers_state_by_cookie(telling->peers, socket->cookie,
					     socket->local_port);
	if (!is_held && has_just_ended(telling, process) && look_once(telling))
		peer = state_after_end(telling, socket);
	socket->peer_state = (uint8_t)recall(telling->known, socket->cookie, peer);
}

static void tell_places(struct telling *telling, const struct findings_place *places,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < places[i].n_sockets; j++)
			tell_of(telling, &places[i].sockets[j]);
}

void peers_tell(struct findings *findings, struct peers_known **known, bool is_the_end)
{
	struct telling telling = {
		.findings = findings, .known = known, .now_ns = clock_now_ns()};

	if (is_the_end)
		telling.net_namespace = diag_namespace();
	tell_places(&telling, findings->leaks, findings->n_leaks);
	tell_places(&telling, findings->pending, findings->n_pending);
	peers_free(telling.peers);
}

void peers_forget_known(struct peers_known *known)
{
	struct peers_known *one, *next;

	HASH_ITER(hh, known, one, next)
	{
		HASH_DEL(known, one);
		free(one);
	}
}
