/* What a scan of the system found: plain structs, and their two formats. */
#ifndef SOCKLEAK_SCAN_H
#define SOCKLEAK_SCAN_H

#include "formats/groups.h"
#include "kernel/diag.h"
#include "kernel/holders.h"
#include "kernel/process.h"

#include <stdbool.h>
#include <stdio.h>

struct scan_holder {
	struct holder at;
	char name[PROCESS_NAME_BYTES]; /* "" = it has ended */
};

struct scan_socket {
	const struct diag_socket *socket;
	const struct diag_socket *listener; /* that listens on its port; NULL = none */
	/* Owned; of it, or of the listener if it is in its queue. */
	struct scan_holder *holders;
	size_t n_holders;
	uint32_t owner; /* pid of the first holder; 0 = not known */
	bool in_queue;  /* died in the listener's accept queue: no process holds it yet */
	bool is_leak;   /* its peer has been gone, and this side silent, for `grace` */
};

struct scan {
	size_t n_unseen;     /* processes whose /proc may not be read */
	struct diag sockets; /* whose peer is gone */
	struct diag listeners;
	struct scan_socket *found; /* owned; by owner, oldest first */
	size_t n_found;
	size_t n_unseen_namespaces;
	uint64_t grace_ms;
};

size_t scan_n_leaks(const struct scan *scan);

/* By process, listener or peer, and state. */
struct groups scan_group(const struct scan *scan);
extern const struct groups_columns scan_columns;

/* Each socket. */
void scan_print_sockets(const struct scan *scan, FILE *file);
/* How many in all, and what could not be seen. */
void scan_print_summary(const struct scan *scan, FILE *file);
/* -1 after one line on standard error; `path` NULL = standard output. */
int scan_write_json(const struct scan *scan, const char *path);

#endif
