/* sockleak scan: every socket of this system whose peer is gone, by the process that
 * holds it, without any preload.
 *
 * The kernel's list (diag.c) says states, queues and since when the peer is silent; /proc
 * (holders.c) says who holds a socket.  Processes are looked at first: a socket that is
 * closed meanwhile is then in neither.  One in CLOSE_WAIT that no descriptor can refer to
 * (inode 0) was never accepted: it died in its listener's queue.  LAST_ACK and CLOSING
 * without an inode were closed by their program, and are the kernel's. */
#include "scan.h"

#include "commands.h"
#include "peers.h"
#include "say.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLOSE_WAIT  8
#define LAST_ACK    9
#define LISTEN      10
#define CLOSING     11
#define PEER_GONE   (1U << CLOSE_WAIT | 1U << LAST_ACK | 1U << CLOSING)
#define DEFAULT_FIN 60 /* seconds; the kernel's own default */

/* --- collecting --- */

static int add_namespace(struct scan *scan, uint64_t namespace)
{
	size_t sockets = scan->sockets.n, listeners = scan->listeners.n;
	if (diag_add(&scan->sockets, PEER_GONE) != 0 ||
	    diag_add(&scan->listeners, 1U << LISTEN) != 0)
		return -1;
	struct peers *peers = sockets < scan->sockets.n ? peers_look() : NULL;
	for (; sockets < scan->sockets.n; sockets++) {
		struct diag_socket *socket = &scan->sockets.at[sockets];
		socket->net_namespace = namespace;
		socket->peer_state =
			peers ? peers_state(peers, socket) : TEXT_PEER_UNKNOWN;
	}
	peers_free(peers);
	for (; listeners < scan->listeners.n; listeners++)
		scan->listeners.at[listeners].net_namespace = namespace;
	return 0;
}

static int enter(uint32_t pid)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/ns/net", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int result = fd < 0 ? -1 : setns(fd, CLONE_NEWNET);
	if (fd >= 0)
		close(fd);
	return result;
}

/* Those of containers.  Without the right to enter them they are counted. */
static void add_other_namespaces(struct scan *scan, uint64_t own)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < scan->holders.n_namespaces; i++) {
		const struct holders_namespace *one = &scan->holders.namespaces[i];
		if (one->inode == own)
			continue;
		if (home < 0 || enter(one->pid) != 0) {
			scan->n_unseen_namespaces++;
			continue;
		}
		if (add_namespace(scan, one->inode) != 0)
			scan->n_unseen_namespaces++;
		if (setns(home, CLONE_NEWNET) != 0)
			say_die(SAY_USAGE, "cannot return to the own network namespace:");
	}
	if (home >= 0)
		close(home);
}

static bool listens_for(const struct diag_socket *listener,
			const struct diag_socket *socket, bool *is_exact)
{
	static const uint8_t any[16];
	if (listener->local_port != socket->local_port ||
	    listener->net_namespace != socket->net_namespace ||
	    listener->is_mptcp != socket->is_mptcp)
		return false;
	size_t bytes = socket->family == AF_INET ? 4 : 16;
	*is_exact = listener->family == socket->family &&
		    !memcmp(listener->local, socket->local, bytes);
	/* A wildcard of IPv6 takes IPv4 too. */
	return *is_exact ||
	       (!memcmp(listener->local, any, sizeof any) &&
		(listener->family == socket->family || listener->family == AF_INET6));
}

/* Of several that share the port, one that has somebody waiting; then the exact one. */
static const struct diag_socket *find_listener(const struct scan *scan,
					       const struct diag_socket *socket)
{
	const struct diag_socket *best = NULL;
	bool best_is_exact = false;
	for (size_t i = 0; i < scan->listeners.n; i++) {
		const struct diag_socket *one = &scan->listeners.at[i];
		bool is_exact;
		if (!listens_for(one, socket, &is_exact))
			continue;
		if (!best || (one->queued > 0) > (best->queued > 0) ||
		    ((one->queued > 0) == (best->queued > 0) &&
		     is_exact > best_is_exact)) {
			best = one;
			best_is_exact = is_exact;
		}
	}
	return best;
}

static struct scan_socket judge(const struct scan *scan, const struct diag_socket *socket)
{
	struct scan_socket found = {
		.socket = socket,
		.listener = find_listener(scan, socket),
		.in_queue = socket->inode == 0,
		.is_leak = socket->has_age && socket->quiet_ms >= scan->grace_ms &&
			   socket->unsent_bytes == 0,
	};
	uint32_t inode = socket->inode;
	if (found.in_queue && found.listener)
		inode = found.listener->inode;
	found.holders = holders_of(&scan->holders, inode, &found.n_holders);
	found.owner = found.n_holders ? found.holders[0].pid : 0;
	return found;
}

static int by_owner_and_age(const void *a, const void *b)
{
	const struct scan_socket *x = a, *y = b;
	if (x->in_queue != y->in_queue)
		return x->in_queue - y->in_queue;
	if (x->owner != y->owner) /* the unknown one last */
		return x->owner - 1 < y->owner - 1 ? -1 : 1;
	if (x->socket->quiet_ms != y->socket->quiet_ms)
		return x->socket->quiet_ms > y->socket->quiet_ms ? -1 : 1;
	return x->socket->cookie < y->socket->cookie ? -1 : 1;
}

static void collect(struct scan *scan)
{
	struct stat own = {0};
	holders_find(&scan->holders);
	stat("/proc/self/ns/net", &own);
	if (add_namespace(scan, own.st_ino) != 0)
		say_die(SAY_USAGE, "cannot ask the kernel for its sockets (sock_diag):");
	add_other_namespaces(scan, own.st_ino);
	scan->found = say_calloc(scan->sockets.n + 1, sizeof *scan->found);
	for (size_t i = 0; i < scan->sockets.n; i++) {
		const struct diag_socket *socket = &scan->sockets.at[i];
		if (socket->inode || socket->state == CLOSE_WAIT)
			scan->found[scan->n_found++] = judge(scan, socket);
	}
	qsort(scan->found, scan->n_found, sizeof *scan->found, by_owner_and_age);
}

size_t scan_n_leaks(const struct scan *scan)
{
	size_t n = 0;
	for (size_t i = 0; i < scan->n_found; i++)
		n += scan->found[i].is_leak;
	return n;
}

void scan_process_name(uint32_t pid, char name[SCAN_NAME_BYTES])
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/comm", pid);
	FILE *file = fopen(path, "re");
	name[0] = 0;
	if (!file)
		return;
	if (fgets(name, SCAN_NAME_BYTES, file))
		name[strcspn(name, "\n")] = 0;
	fclose(file);
}

/* --- the command --- */

static const char help[] =
	"Usage: sockleak scan [OPTION]...\n"
	"List every TCP socket of this system whose peer is gone (CLOSE_WAIT, LAST_ACK,\n"
	"CLOSING) by the process that holds it; no preload needed.  Also those that "
	"died\n"
	"in an accept queue, with their listener.\n"
	"\n"
	"  --grace=DURATION    a socket silent for so long is a leak (500ms, 10s, 2m;\n"
	"                      default: the system's tcp_fin_timeout)\n"
	"  --json[=FILE]       as JSON\n"
	"  --error-exitcode=N  end with N if there is a leak\n"
	"  --help              this text\n"
	"\n"
	"Without privileges other users' sockets are listed, but not who holds them.\n"
	"\n"
	"Exit status: 0, or N of --error-exitcode; 2 on wrong usage.\n"
	"\n"
	"Examples:\n"
	"  sudo sockleak scan\n"
	"  sockleak scan --json | jq '.sockets[] | select(.leak) | .holders[0].name'\n"
	"  sockleak scan --grace=10m --error-exitcode=1\n";

enum { GRACE = 1, JSON, ERROR_EXITCODE };

static const struct option options[] = {
	{"grace", required_argument, NULL, GRACE},
	{"json", optional_argument, NULL, JSON},
	{"error-exitcode", required_argument, NULL, ERROR_EXITCODE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static uint64_t system_grace_ms(void)
{
	uint64_t seconds = DEFAULT_FIN;
	FILE *file = fopen("/proc/sys/net/ipv4/tcp_fin_timeout", "re");
	if (file && fscanf(file, "%" SCNu64, &seconds) != 1)
		seconds = DEFAULT_FIN;
	if (file)
		fclose(file);
	return seconds * 1000;
}

int command_scan(int argc, char **argv)
{
	struct scan scan = {.grace_ms = system_grace_ms()};
	const char *json_path = NULL;
	bool is_json = false;
	int error_exitcode = 0, status = 0;
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (option == GRACE) {
			scan.grace_ms = say_parse_grace_ms("scan", optarg);
		} else if (option == JSON) {
			is_json = true;
			json_path = optarg && strcmp(optarg, "-") != 0 ? optarg : NULL;
		} else if (option == ERROR_EXITCODE) {
			error_exitcode = say_parse_exitcode("scan", optarg);
		} else if (option == 'h') {
			fputs(help, stdout);
			return 0;
		} else {
			say_bad_option("scan", option, argv);
		}
	}
	if (optind < argc)
		say_usage("scan", "takes no argument, but got '%s'", argv[optind]);
	collect(&scan);
	if (!is_json || json_path)
		scan_print(&scan, stdout);
	if (fflush(stdout) != 0)
		say_die(SAY_USAGE, "cannot write standard output:");
	if (is_json && scan_write_json(&scan, json_path) != 0)
		status = SAY_USAGE;
	if (status == 0 && scan_n_leaks(&scan))
		status = error_exitcode;
	free(scan.found);
	diag_free(&scan.sockets);
	diag_free(&scan.listeners);
	holders_free(&scan.holders);
	return status;
}
