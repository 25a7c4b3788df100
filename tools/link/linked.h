/* Sockets, joined over all ledgers: what judge/ judges.  For the files of link/ and
 * judge/ alone. */
#ifndef SOCKLEAK_LINKED_H
#define SOCKLEAK_LINKED_H

#include "findings/facts.h"
#include "findings/findings.h"
#include "read/reader.h"
#include "support/say.h"

#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

/* Keys of hashes are compared byte by byte: every one is zeroed before it is filled. */

struct module {
	const char *path;
	const uint8_t *build_id;
	unsigned build_id_bytes;
	uint32_t number;
	UT_hash_handle hh; /* by what the three first say */
};

struct line {
	struct text_frame frame; /* its texts are kept */
	uint32_t number;
	UT_hash_handle hh; /* by what it says */
};

struct backtrace {
	struct text_frame *frames; /* without names */
	unsigned n_frames;
	bool is_short;
	char ids[SL_KIND_DEAD + 1][TEXT_ID_BYTES]; /* "" = not asked yet */
	UT_hash_handle hh; /* by module numbers and offsets, or numbers of lines */
};

struct program_key { /* what an exec keeps */
	uint64_t start_ticks;
	uint8_t boot_id[16];
	uint32_t pid;
	uint32_t reserved;
};

struct program {
	struct program_key key;
	uint32_t last_sequence;
	UT_hash_handle hh;
};

struct added { /* a ledger; named twice, it is added once */
	struct added_key {
		uint64_t start_ticks, started_ns;
		uint8_t boot_id[16];
		char host[64];
		uint32_t pid, sequence;
	} key;
	UT_hash_handle hh;
};

struct process {
	struct process_facts facts;
	struct program *program;
	uint32_t sequence;
	uint32_t boot; /* number of its boot id */
	uint32_t parent_pid;
	uint64_t pid_namespace, started_ns, started_realtime_ns;
	struct findings_point *points; /* ascending by time */
	uint32_t n_points;
	uint64_t n_opened; /* sockets held at the last scan that it did not inherit */
};

struct row { /* one process's view */
	struct row *next;
	struct sl_descriptor row;
	struct judged_row judged; /* by judge/ */
	const struct backtrace *origin, *eof, *use;
	const char *test;
	uint32_t process;
	uint32_t fd;
	bool is_overruled; /* by a row of the program that came after, over exec */
	/* Not the process whose ledger it is from, but another one holds the socket. */
	bool is_elsewhere;
	uint32_t holder_pid; /* with is_elsewhere; 0 = not known */
	const char *program; /* its name; NULL = not known */
	uint32_t record;     /* with is_elsewhere: the later ones have higher numbers */
	bool is_from_kernel; /* with is_elsewhere: the kernel said so now, no record */
};

struct socket_key {
	uint64_t cookie;  /* or socket id */
	uint32_t boot;    /* of cookies */
	uint32_t process; /* of socket ids, from 1 */
	uint64_t fd;      /* where there is no socket id either, from 1 */
};

struct joined {
	struct socket_key key;
	struct row *rows; /* in the order of processes */
	struct row **end;
	/* By judge/: */
	struct joined *next_in_place;
	const struct row *used; /* the row with the last use; NULL = none is known */
	bool is_leak;           /* to some holder */
	struct findings_socket found;
	UT_hash_handle hh;
};

struct boot {
	uint8_t id[16];
	uint32_t number;
	bool is_this;
	UT_hash_handle hh;
};

struct seen_end {
	struct seen_end *next;
	uint32_t pid;
	int signal;
};

struct merge {
	struct findings *findings;
	struct process *processes; /* as many as findings has */
	struct boot *boots;
	struct module *modules;
	struct line *lines;
	struct backtrace *backtraces;
	struct program *programs;
	struct joined *sockets;
	struct seen_end *ends;
	struct added *added;
	uint32_t n_elsewhere; /* records of ledgers so far */
};

/* merge.c */

/* The row that tells best where the socket was opened: the opener's, else any that has an
 * origin. */
const struct row *linked_origin_row(const struct joined *socket);
bool linked_was_opened_here(const struct row *row);

/* merge_exec.c */

void linked_join_over_exec(struct merge *merge);
/* Whether `later` is of a program that the process of `row` became, by exec. */
bool linked_overrules(const struct merge *merge, const struct row *later,
		      const struct row *row);
/* Marks the rows of programs that became another one, which has a row, too. */
void linked_mark_overruled(const struct merge *merge, struct joined *socket);

/* merge_parents.c */

void linked_find_parents(struct merge *merge);

/* merge_series.c */

void linked_take_series(struct merge *merge, struct process *process,
			const struct sl_header *head);
void linked_join_series(struct merge *merge);
/* That a process held a leak, by its own clock. */
struct linked_span {
	uint32_t process;
	uint64_t from_ns, to_ns; /* to_ns 0 = to its end */
	bool by_end; /* only the end of the program closed it: points behind it count it */
};
/* The socket's span in the series grows by the points that count it.  Before the series
 * are joined. */
void linked_add_span(const struct merge *merge, const struct linked_span *span,
		     struct findings_socket *found);

/* merge_elsewhere.c */

/* What the opener's ledger says of one that another process holds; of a later record of
 * the same socket, which takes the place of the earlier ones, too. */
void linked_take_elsewhere(struct merge *merge, struct row *row,
			   const struct sl_elsewhere *from,
			   const struct backtrace *origin);
/* Adds what other processes hold, as far as the kernel knows. */
void linked_add_elsewhere(struct merge *merge);

#endif
