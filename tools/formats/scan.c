/* What a scan found, as text and as JSON. */
#include "formats/scan.h"

#include "common/text.h"
#include "formats/formats.h"
#include "formats/values.h"

#include <string.h>

#define LINE_BYTES   512
#define MOST_HOLDERS 8 /* named in a line; more are counted */

size_t scan_n_leaks(const struct scan *scan)
{
	size_t n = 0;
	for (size_t i = 0; i < scan->n_found; i++)
		n += scan->found[i].is_leak;
	return n;
}

static void put_process(struct text *text, const struct scan_holder *holder)
{
	text_escaped(text, *holder->name ? holder->name : "a process that has ended");
	text_string(text, " (pid ");
	text_unsigned(text, holder->at.pid);
	text_string(text, ")");
}

static const char *sockets(size_t n)
{
	return n == 1 ? " socket" : " sockets";
}

/* The heading of `n` sockets with the same owner. */
static void put_heading(struct text *text, const struct scan_socket *first, size_t n)
{
	const struct diag_socket *listener = first->listener;
	if (first->owner)
		put_process(text, &first->holders[0]);
	else if (first->in_queue)
		text_string(text, "A process that could not be seen");
	else
		text_string(text, "Processes that could not be seen");
	text_string(text, first->in_queue ? " never accepted "
			  : first->owner  ? " holds "
					  : " hold ");
	text_unsigned(text, n);
	text_string(text, sockets(n));
	text_string(text, " whose peer is gone");
	if (first->in_queue && listener) {
		text_string(text, ", listening on ");
		text_address(text, listener->family, listener->local,
			     listener->local_port);
	}
	text_string(text, ":\n");
}

static void put_age(struct text *text, const struct scan_socket *found)
{
	text_string(text, found->is_leak ? ", for " : ", pending for ");
	if (found->socket->has_age)
		text_duration(text, found->socket->quiet_ms);
	else
		text_string(text, "an unknown time");
	text_string(text, ". Unread: ");
	if (found->socket->unread_bytes < 0)
		text_string(text, "unknown");
	else
		text_unsigned(text, (uint64_t)found->socket->unread_bytes);
	text_string(text, found->socket->unread_bytes == 1 ? " byte" : " bytes");
	text_string(text, found->socket->fin_unread ? " and the end of stream." : ".");
	if (found->socket->peer_state == TEXT_PEER_FORGOTTEN)
		text_string(text, " Forgotten by its peer.");
	else if (found->socket->peer_state == TEXT_PEER_FIN_WAIT_2)
		text_string(text, " Its peer is in FIN_WAIT_2.");
	text_string(text, "\n");
}

/* "    CLOSE_WAIT 127.0.0.1:8080 <- 127.0.0.1:40112 (fd 7), for 1m04s. Unread: ..." */
static void put_socket(struct text *text, const struct scan_socket *found)
{
	const struct diag_socket *socket = found->socket;
	text_string(text, "    ");
	text_string(text, text_state_name(socket->state));
	text_string(text, " ");
	text_address(text, socket->family, socket->local, socket->local_port);
	text_string(text, found->listener ? " <- " : " -> ");
	text_address(text, socket->family, socket->peer, socket->peer_port);
	if (!found->in_queue && found->owner) {
		text_string(text, " (fd ");
		text_unsigned(text, found->holders[0].at.fd);
		text_string(text, ")");
	}
	if (!found->in_queue && !found->owner) {
		text_string(text, " (uid ");
		text_unsigned(text, socket->uid);
		text_string(text, ")");
	}
	put_age(text, found);
}

static size_t n_processes(const struct scan_socket *found)
{
	size_t n = 0;
	for (size_t i = 0; i < found->n_holders; i++)
		n += i == 0 || found->holders[i].at.pid != found->holders[i - 1].at.pid;
	return n;
}

/* "        held by 3 descriptors of 2 processes: fd 7 of 4711, fd 9 of 4711, ..." */
static void put_holders(struct text *text, const struct scan_socket *found)
{
	size_t n = n_processes(found);
	text_string(text, "        held by ");
	text_unsigned(text, found->n_holders);
	text_string(text, " descriptors of ");
	text_unsigned(text, n);
	text_string(text, n == 1 ? " process: " : " processes: ");
	for (size_t i = 0; i < found->n_holders && i < MOST_HOLDERS; i++) {
		text_string(text, i ? ", fd " : "fd ");
		text_unsigned(text, found->holders[i].at.fd);
		text_string(text, " of ");
		text_unsigned(text, found->holders[i].at.pid);
	}
	text_string(text, found->n_holders > MOST_HOLDERS ? ", ...\n" : "\n");
}

static bool are_together(const struct scan_socket *a, const struct scan_socket *b)
{
	return a->owner == b->owner && a->in_queue == b->in_queue &&
	       (!a->in_queue || a->listener == b->listener);
}

static void put_summary(struct text *text, const struct scan *scan)
{
	size_t in_queue = 0, leaks = scan_n_leaks(scan);
	for (size_t i = 0; i < scan->n_found; i++)
		in_queue += scan->found[i].in_queue;
	text_string(text, "sockleak: ");
	format_put_count(text, scan->n_found, sockets(scan->n_found));
	text_string(text, " whose peer is gone");
	if (scan->n_found) {
		text_string(text, ": ");
		format_put_count(text, leaks, " for ");
		text_duration(text, scan->grace_ms);
		text_string(text, " or longer, ");
		format_put_count(text, scan->n_found - leaks, " pending; ");
		format_put_count(text, in_queue, " never accepted");
	}
	text_string(text, ".\n");
	if (scan->n_unseen) {
		format_put_count(text, scan->n_unseen,
				 scan->n_unseen == 1 ? " process" : " processes");
		text_string(text, " may not be looked at by this user.\n");
	}
	if (scan->n_unseen_namespaces) {
		format_put_count(text, scan->n_unseen_namespaces,
				 scan->n_unseen_namespaces == 1
					 ? " other network namespace"
					 : " other network namespaces");
		text_string(text, " could not be entered.\n");
	}
}

void scan_print_sockets(const struct scan *scan, FILE *file)
{
	char line[LINE_BYTES];
	struct text text = {.at = line, .size = sizeof line};
	for (size_t i = 0, n; i < scan->n_found; i += n) {
		for (n = 1; i + n < scan->n_found &&
			    are_together(&scan->found[i], &scan->found[i + n]);)
			n++;
		put_heading(&text, &scan->found[i], n);
		format_flush(&text, file);
		for (size_t j = i; j < i + n; j++) {
			put_socket(&text, &scan->found[j]);
			format_flush(&text, file);
			if (!scan->found[j].in_queue && scan->found[j].n_holders > 1)
				put_holders(&text, &scan->found[j]);
			format_flush(&text, file);
		}
	}
}

/* Where it was accepted or waits to be; else to whom it is connected. */
static void put_end(struct text *text, const struct scan_socket *found)
{
	const struct diag_socket *socket = found->socket, *listener = found->listener;
	text_string(text, found->in_queue ? "not accepted at "
			  : listener      ? "at "
					  : "to ");
	if (listener)
		text_address(text, listener->family, listener->local,
			     listener->local_port);
	else if (found->in_queue)
		text_address(text, socket->family, socket->local, socket->local_port);
	else
		text_address(text, socket->family, socket->peer, socket->peer_port);
}

const struct groups_columns scan_columns = {{"PROCESS", "LISTENER OR PEER", "STATE"}, 3};

struct groups scan_group(const struct scan *scan)
{
	char bytes[LINE_BYTES];
	struct text cells = {.at = bytes, .size = sizeof bytes};
	struct groups groups = {0};
	for (size_t i = 0; i < scan->n_found; i++) {
		const struct scan_socket *found = &scan->found[i];
		if (found->owner)
			put_process(&cells, &found->holders[0]);
		else
			text_string(&cells, "not seen");
		text_string(&cells, "\t");
		put_end(&cells, found);
		text_string(&cells, "\t");
		text_string(&cells, text_state_name(found->socket->state));
		groups_add(&groups, &cells, found->is_leak, found->socket->has_age,
			   found->socket->quiet_ms);
	}
	groups_merge(&groups);
	return groups;
}

void scan_print_summary(const struct scan *scan, FILE *file)
{
	char line[LINE_BYTES];
	struct text text = {.at = line, .size = sizeof line};
	put_summary(&text, scan);
	format_flush(&text, file);
}

/* --- JSON --- */

static json_t *json_holders(const struct scan_socket *found)
{
	json_t *array = json_array();
	for (size_t i = 0; i < found->n_holders; i++) {
		json_t *holder = json_object();
		values_set(holder, "pid", values_number(found->holders[i].at.pid));
		values_set(holder, "fd", values_number(found->holders[i].at.fd));
		values_set(holder, "name", values_name(found->holders[i].name));
		values_append(array, holder);
	}
	return array;
}

static json_t *json_listener(const struct diag_socket *listener)
{
	json_t *object = json_object();
	values_set(
		object, "local",
		values_address(listener->family, listener->local, listener->local_port));
	values_set(object, "inode", values_number(listener->inode));
	values_set(object, "waiting", values_number(listener->queued));
	return object;
}

static json_t *json_socket(const struct scan_socket *found)
{
	const struct diag_socket *socket = found->socket;
	json_t *object = json_object();
	values_set(object, "state", json_string(text_state_name(socket->state)));
	values_set(object, "local",
		   values_address(socket->family, socket->local, socket->local_port));
	values_set(object, "peer",
		   values_address(socket->family, socket->peer, socket->peer_port));
	values_set(object, "cookie", values_cookie(socket->cookie));
	values_set(object, "inode", values_known(socket->inode));
	values_set(object, "peer_state", json_string(text_peer_name(socket->peer_state)));
	values_set(object, "uid",
		   socket->inode ? values_number(socket->uid) : json_null());
	values_set(object, "net_namespace", values_known(socket->net_namespace));
	values_set(object, "mptcp", json_boolean(socket->is_mptcp));
	values_set(object, "age_ms",
		   socket->has_age ? values_number(socket->quiet_ms) : json_null());
	values_set(object, "unread_bytes",
		   socket->unread_bytes < 0 ? json_null()
					    : json_integer(socket->unread_bytes));
	values_set(object, "eof_unread", json_boolean(socket->fin_unread));
	values_set(object, "unsent_bytes", values_number(socket->unsent_bytes));
	values_set(object, "leak", json_boolean(found->is_leak));
	values_set(object, "in_accept_queue", json_boolean(found->in_queue));
	values_set(object, "holders", json_holders(found));
	values_set(object, "listener",
		   found->listener ? json_listener(found->listener) : json_null());
	return object;
}

int scan_write_json(const struct scan *scan, const char *path)
{
	json_t *object = values_document(), *array = json_array();
	for (size_t i = 0; i < scan->n_found; i++)
		values_append(array, json_socket(&scan->found[i]));
	values_set(object, "grace_ms", values_number(scan->grace_ms));
	values_set(object, "leaked", values_number(scan_n_leaks(scan)));
	values_set(object, "sockets", array);
	values_set(object, "unseen_processes", values_number(scan->n_unseen));
	values_set(object, "unseen_namespaces", values_number(scan->n_unseen_namespaces));
	return values_write(object, path);
}
