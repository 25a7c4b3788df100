/* Running processes that keep a ledger, and what is in it: plain structs, and the two
 * formats of list. */
#ifndef SOCKLEAK_LIST_H
#define SOCKLEAK_LIST_H

#include "common/text.h"
#include "findings/facts.h"
#include "kernel/process.h"
#include "read/generated_names.h"
#include "read/reader.h"

#include <stdio.h>

struct list_holder {
	uint32_t pid; /* 0 = not known: its /proc may not be read */
	uint32_t fd;
	char program[PROCESS_NAME_BYTES];
};

/* A socket, however many descriptors and processes hold it. */
struct list_socket {
	const struct reader_row *row; /* of the holder that it looks worst to */
	struct reader_row *asked;     /* owned: `row`, where it is what the kernel says
					 now; NULL = `row` is the ledger's */
	struct sl_descriptor opening; /* the row that tells best where it was opened */
	size_t opener;                /* index of the process whose ledger has that row */
	struct sl_descriptor used;    /* the row that tells of its last use */
	size_t user;                  /* the same of that row */
	struct judged_row judged;
	enum text_peer peer;
	char id[TEXT_ID_BYTES];   /* of its place */
	const char *test;         /* NULL = opened outside a named test */
	struct text_frame origin; /* the first frame in user code; module NULL = none */
	struct text_frame use;    /* the same of its last use */
	struct list_holder *holders; /* owned; at least 1 */
	size_t n_holders;
	bool is_elsewhere; /* this process has closed it, and others hold it */
};

struct list_process {
	uint32_t pid;
	char root[32]; /* before the paths of its files: "", or "/proc/PID/root" */
	struct reader_ledger ledger;  /* owned */
	struct generated_names names; /* of it */
	struct list_socket *sockets;  /* owned; ascending by descriptor; then those that
					others hold; each in one process alone */
	size_t n_sockets;
	size_t n_held;   /* descriptors */
	size_t n_joined; /* of them, of sockets that are listed with another process */
};

struct list {
	struct list_process *processes; /* owned; ascending by pid */
	size_t n_processes;
	size_t n_unseen; /* processes whose /proc may not be read */
	uint64_t now_ns; /* CLOCK_MONOTONIC, which all ledgers of this boot count */
};

size_t list_n_leaks(const struct list *list);

/* `verbose`: each socket; else how many by listener or peer, state and place. */
void list_print(const struct list *list, bool verbose, FILE *file);
/* -1 after one line on standard error; `path` NULL = standard output. */
int list_write_json(const struct list *list, const char *path);

#endif
