/* sockleak scan: every socket of this system whose peer is gone, by the process that
 * holds it, without any preload.
 *
 * The kernel's list (diag.c) says states, queues and since when the peer is silent; /proc
 * (holders.c) says who holds a socket.  Processes are looked at first: a socket that is
 * closed meanwhile is then in neither.  One in CLOSE_WAIT that no descriptor can refer to
 * (inode 0) was never accepted: it died in its listener's queue.  LAST_ACK and CLOSING
 * without an inode were closed by their program, and are the kernel's. */
#include "formats/scan.h"
#include "annotate/peers.h"
#include "commands/commands.h"
#include "commands/scan_asked.h"
#include "commands/scan_stacks.h"
#include "commands/view.h"
#include "common/verdict.h"
#include "formats/prometheus.h"
#include "support/clock.h"
#include "support/say.h"

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
#include <time.h>
#include <unistd.h>

#define DEFAULT_FIN 60 /* seconds; the kernel's own default */

/* --- collecting --- */

static int add_namespace(struct scan *scan, uint64_t namespace)
{
	size_t sockets = scan->sockets.n, listeners = scan->listeners.n;
	if (diag_add(&scan->sockets, VERDICT_PEER_GONE_STATES) != 0 ||
	    diag_add(&scan->listeners, 1U << STATE_LISTEN) != 0)
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

/* Adds the sockets of containers.  Namespaces that this process may not enter are
 * counted. */
static void add_other_namespaces(struct scan *scan, const struct holders *holders,
				 uint64_t own)
{
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	for (size_t i = 0; i < holders->n_namespaces; i++) {
		const struct holders_namespace *one = &holders->namespaces[i];
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

/* Of several listeners that share the port, one with connections in its queue; then the
 * one with the exact address. */
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

/* With their names, as they are called now. */
static void add_holders(struct scan_socket *found, const struct holders *holders,
			uint32_t inode)
{
	const struct holder *held = holders_of(holders, inode, &found->n_holders);

	found->holders = say_calloc(found->n_holders, sizeof *found->holders);
	for (size_t i = 0; i < found->n_holders; i++) {
		found->holders[i].at = held[i];
		process_name(held[i].pid, found->holders[i].name);
	}
	found->owner = found->n_holders ? held[0].pid : 0;
}

static struct scan_socket judge(const struct scan *scan, const struct holders *holders,
				const struct diag_socket *socket)
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
	add_holders(&found, holders, inode);
	return found;
}

static int by_owner_and_age(const void *a, const void *b)
{
	const struct scan_socket *x = a, *y = b;
	if (x->in_queue != y->in_queue)
		return x->in_queue - y->in_queue;
	if (x->owner != y->owner) /* the unknown one last */
		return x->owner - 1 < y->owner - 1 ? -1 : 1;
	/* Sockets that died in the queue of a listener come next to the others of that
	 * listener. */
	if (x->in_queue && x->listener != y->listener)
		return x->listener < y->listener ? -1 : 1;
	if (x->socket->quiet_ms != y->socket->quiet_ms)
		return x->socket->quiet_ms > y->socket->quiet_ms ? -1 : 1;
	return x->socket->cookie < y->socket->cookie ? -1 : 1;
}

static void collect(struct scan *scan)
{
	struct stat own = {0};
	struct holders holders;
	holders_find(&holders);
	scan->n_unseen = holders.n_unseen;
	stat("/proc/self/ns/net", &own);
	if (add_namespace(scan, own.st_ino) != 0)
		say_die(SAY_USAGE, "cannot ask the kernel for its sockets (sock_diag):");
	add_other_namespaces(scan, &holders, own.st_ino);
	scan->found = say_calloc(scan->sockets.n + 1, sizeof *scan->found);
	for (size_t i = 0; i < scan->sockets.n; i++) {
		const struct diag_socket *socket = &scan->sockets.at[i];
		if (socket->inode || socket->state == STATE_CLOSE_WAIT)
			scan->found[scan->n_found++] = judge(scan, &holders, socket);
	}
	qsort(scan->found, scan->n_found, sizeof *scan->found, by_owner_and_age);
	holders_free(&holders);
}

static void free_scan(struct scan *scan)
{
	for (size_t i = 0; i < scan->n_found; i++)
		free(scan->found[i].holders);
	free(scan->found);
	diag_free(&scan->sockets);
	diag_free(&scan->listeners);
}

/* --- the command --- */

static const char usage[] =
	"Usage: sockleak scan [OPTION]... [PID|NAME|:PORT]...\n"
	"List every TCP socket of this system whose peer is gone (CLOSE_WAIT, LAST_ACK,\n"
	"CLOSING): how many by process, listener or peer, and state; no preload needed.\n"
	"Also those that died in an accept queue.  With arguments those of these\n"
	"processes and ports alone.\n";

static const char usage_end[] =
	"Without privileges other users' sockets are listed, but not who holds them.\n"
	"\n"
	"Exit status: 0, or N of --error-exitcode; 2 on wrong usage.\n"
	"\n"
	"Examples:\n"
	"  sudo sockleak scan\n"
	"  sockleak scan --verbose nginx :8080\n"
	"  sockleak scan --watch=10s 4711\n"
	"  sockleak scan --json | jq '.sockets[] | select(.leak) | .holders[0].name'\n"
	"  sockleak scan --grace=10m --error-exitcode=1\n";

struct wanted {
	uint64_t grace_ms, watch_ms;
	bool stacks;
	struct view view;
};

static const struct options_row rows[] = {
	{"grace", 0, "DURATION",
	 "a socket silent for so long is a leak: 500ms, 1.5s, 2m,\n"
	 "or 10 (seconds); default: the system's tcp_fin_timeout",
	 options_duration_ms, offsetof(struct wanted, grace_ms), OPTIONS_DURATION, NULL},
	{"stacks", 0, NULL,
	 "what each thread of the holders does now; stops each of\n"
	 "them for a moment",
	 options_flag, offsetof(struct wanted, stacks), NULL, NULL},
	{"watch", 0, "DURATION", "look again and again after so long, and tell what grew",
	 options_interval_ms, offsetof(struct wanted, watch_ms), OPTIONS_INTERVAL, NULL},
	{0},
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

/* The words that say what is asked for, ended by NULL. */
static char **take_options(struct wanted *wanted, int argc, char **argv)
{
	const struct options options = {
		.subcommand = "scan",
		.usage = usage,
		.usage_end = usage_end,
		.tables = {{rows, wanted}, {view_rows, &wanted->view}},
	};

	options_take(&options, argc, argv);
	view_check(&wanted->view, "scan");
	if (!wanted->watch_ms)
		scan_check_asked(argv + optind);
	return argv + optind;
}

static void print_time(FILE *file)
{
	char text[64] = "";
	time_t now = time(NULL);
	struct tm local;
	if (localtime_r(&now, &local))
		strftime(text, sizeof text, "%F %T", &local);
	fprintf(file, "%s\n", text);
}

static void print(const struct wanted *wanted, const struct scan *scan,
		  const struct groups *groups, const struct groups *before, FILE *file)
{
	if (wanted->watch_ms)
		print_time(file);
	if (wanted->view.verbose)
		scan_print_sockets(scan, file);
	groups_print(groups, &scan_columns, before, 0, file);
	if (wanted->stacks)
		scan_print_stacks(scan, file);
	scan_print_summary(scan, file);
	if (wanted->watch_ms)
		putc('\n', file);
}

static void print_metrics(const void *of, FILE *file)
{
	scan_prometheus(of, file);
}

/* -1 after one line on standard error. */
static int write_scan(struct wanted *wanted, const struct scan *scan,
		      const struct groups *groups, const struct groups *before)
{
	FILE *file = view_begin(&wanted->view);
	if (file)
		print(wanted, scan, groups, before, file);
	int result = view_end(&wanted->view, file);
	if (wanted->view.json.given && scan_write_json(scan, wanted->view.json.path) != 0)
		result = -1;
	if (view_write_metrics(&wanted->view, print_metrics, scan) != 0)
		result = -1;
	return result;
}

/* `before`: what the last look found, NULL = there was none. */
static int scan_once(struct wanted *wanted, char *const *words,
		     const struct groups *before, struct groups *groups)
{
	struct scan scan = {.grace_ms = wanted->grace_ms};
	collect(&scan);
	scan_leave_out(&scan, words);
	*groups = scan_group(&scan);
	int status = write_scan(wanted, &scan, groups, before) == 0 ? 0 : SAY_USAGE;
	if (status == 0 && scan_n_leaks(&scan))
		status = wanted->view.error_exitcode;
	free_scan(&scan);
	return status;
}

int command_scan(int argc, char **argv)
{
	struct wanted wanted = {.grace_ms = system_grace_ms()};
	char **words = take_options(&wanted, argc, argv);
	struct groups before, groups;
	int status = scan_once(&wanted, words, NULL, &before);
	while (wanted.watch_ms && status != SAY_USAGE) {
		clock_sleep_ms(wanted.watch_ms);
		status = scan_once(&wanted, words, &before, &groups);
		groups_free(&before);
		before = groups;
	}
	groups_free(&before);
	return status;
}
