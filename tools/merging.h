/* What the files of the merge share: rows on their way to sockets and places.  For
 * merge.c, merge_exec.c, merge_sockets.c and merge_places.c alone. */
#ifndef SOCKLEAK_MERGING_H
#define SOCKLEAK_MERGING_H

#include "judge.h"
#include "merge.h"
#include "say.h"

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

struct backtrace {
	struct text_frame *frames; /* without names */
	unsigned n_frames;
	bool is_short;
	char ids[SL_KIND_DEAD + 1][TEXT_ID_BYTES]; /* "" = not asked yet */
	UT_hash_handle hh;                         /* by module numbers and offsets */
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
	uint32_t last_process;
	UT_hash_handle hh;
};

struct process {
	struct judge_process judged;
	struct program *program;
	uint32_t sequence;
	uint32_t boot; /* number of its boot id */
};

struct row { /* one process's view */
	struct row *next;
	struct sl_descriptor row;
	struct judge_row judged;
	const struct backtrace *origin, *eof;
	const char *test;
	uint32_t process;
	uint32_t fd;
	bool is_overruled; /* by the program that came after */
};

struct socket_key {
	uint64_t cookie;  /* or serial */
	uint32_t boot;    /* of cookies */
	uint32_t process; /* of serials, from 1 */
	uint64_t fd;      /* where there is no serial either, from 1 */
};

struct joined {
	struct socket_key key;
	struct row *rows; /* in the order of processes */
	struct row **end;
	struct joined *next_in_place;
	bool is_leak; /* to some holder */
	struct findings_socket found;
	UT_hash_handle hh;
};

struct place_key {
	char id[TEXT_ID_BYTES];
	/* Of places without frames, which the id does not tell apart. */
	uint8_t note;
	bool origin_is_pending;
	uint16_t call;
};

struct place {
	struct place_key key;
	struct findings_place found;
	struct joined *sockets;
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
	struct backtrace *backtraces;
	struct program *programs;
	struct joined *sockets;
	struct place *leaks, *pending;
	struct seen_end *ends;
};

/* merge_exec.c */

/* Before the sockets are judged. */
void merging_join_over_exec(struct merge *merge);

/* merge_sockets.c */

/* Judges the rows of a socket; those of a program that became another one say only what
 * the later program's do not. */
void merging_judge_rows(struct merge *merge, struct joined *socket);
/* Fills socket->found; false = nothing to report of it. */
bool merging_find_socket(struct merge *merge, struct joined *socket);
/* After the two above. */
bool merging_is_holder(const struct merge *merge, const struct joined *socket,
		       const struct row *row);
/* The row that tells best where the socket was opened: the opener's, else any that has an
 * origin. */
const struct row *merging_origin_row(const struct joined *socket);

/* merge_places.c */

/* A socket that was found joins the leaks or the pending of its place. */
void merging_add_to_place(struct merge *merge, struct joined *socket);
/* The places as findings have them. */
struct findings_place *merging_gather_places(struct findings *findings,
					     struct place *places, size_t *n);

#endif
