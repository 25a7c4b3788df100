/* What a scan of the system found: plain structs for its two formats. */
#ifndef SOCKLEAK_SCAN_H
#define SOCKLEAK_SCAN_H

#include "diag.h"
#include "holders.h"

#include <stdbool.h>
#include <stdio.h>

struct scan_socket {
	const struct diag_socket *socket;
	const struct diag_socket *listener; /* that listens on its port; NULL = none */
	const struct holder
		*holders; /* of it, or of the listener if it is in its queue */
	size_t n_holders;
	uint32_t owner; /* pid of the first holder; 0 = not known */
	bool in_queue;  /* died in the listener's accept queue: nobody holds it yet */
	bool is_leak;   /* its peer has been gone, and this side silent, for `grace` */
};

struct scan {
	struct holders holders;
	struct diag sockets; /* whose peer is gone */
	struct diag listeners;
	struct scan_socket *found; /* owned; by owner, oldest first */
	size_t n_found;
	size_t n_unseen_namespaces;
	uint64_t grace_ms;
};

size_t scan_n_leaks(const struct scan *scan);

#define SCAN_NAME_BYTES 64
/* What the kernel calls the process ("" if it has ended). */
void scan_process_name(uint32_t pid, char name[SCAN_NAME_BYTES]);

void scan_print(const struct scan *scan, FILE *file);
/* -1 after one line on standard error; `path` NULL = standard output. */
int scan_write_json(const struct scan *scan, const char *path);

#endif
