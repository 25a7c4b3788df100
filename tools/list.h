/* Running processes that keep a ledger, and what is in it: for the two formats of list.
 */
#ifndef SOCKLEAK_LIST_H
#define SOCKLEAK_LIST_H

#include "judge.h"
#include "peers.h"
#include "reader.h"
#include "text.h"

#include <stdio.h>

struct list_socket {
	const struct reader_row *row;
	struct judge_row judged;
	enum text_peer peer;
	struct text_frame origin; /* the first frame in user code; module NULL = none */
};

struct list_process {
	uint32_t pid;
	struct reader_ledger ledger; /* owned */
	struct list_socket *sockets; /* that it holds; owned; ascending by descriptor */
	size_t n_sockets;
};

struct list {
	struct list_process *processes; /* owned; ascending by pid */
	size_t n_processes;
	size_t n_unseen; /* processes that may not be looked at */
	uint64_t now_ns; /* CLOCK_MONOTONIC, which all ledgers of this boot count */
	struct symbols *symbols; /* owned: the names in frames */
};

size_t list_n_leaks(const struct list *list);
uint64_t list_ms_since(const struct list *list, uint64_t then_ns); /* 0 for 0 */

void list_print(const struct list *list, FILE *file);
/* -1 after one line on standard error; `path` NULL = standard output. */
int list_write_json(const struct list *list, const char *path);

#endif
