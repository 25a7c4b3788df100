/* What counts leaks (leak_groups.c) and what prints them (print_groups.c, late_groups.c)
 * share.  By the owner of the scan lock alone. */
#ifndef SOCKLEAK_GROUPS_INTERNAL_H
#define SOCKLEAK_GROUPS_INTERNAL_H

#include "base/arena.h"
#include "base/probe.h"
#include "common/text.h"
#include "report/late.h"
#include "track/notices.h"
#include "track/socket.h"
#include "track/uses.h"

#include <stdbool.h>
#include <stdint.h>

/* uthash ends the host when memory runs out and takes it from malloc, unless told not to.
 */
#define HASH_NONFATAL_OOM      1
#define uthash_malloc(bytes)   arena_map(bytes)
#define uthash_free(at, bytes) arena_unmap(at, bytes)
#include <uthash.h>

struct group_key {
	uint32_t origin;
	uint8_t kind, call, origin_kind, is_pending;
	uint8_t is_elsewhere; /* another process holds it */
	uint8_t reserved[3];
};

/* Sockets of a group that were last used at one place. */
struct group_use {
	struct use use; /* of the one that was used longest ago */
	uint64_t ms;    /* how long ago */
	uint64_t n;     /* sockets; 0 = none */
};
#define GROUP_USES 8 /* places that are told apart */

/* One socket, as a report shows it. */
struct closed_example {
	struct text_place sums;
	uint32_t eof_origin;
	struct group_use use;
	bool is_there;
};

struct leak_group {
	struct group_key key;
	int rule;            /* index, NO_RULE, or NOT_MATCHED yet */
	uint64_t next_print; /* count at which it is printed again; 0 = never printed */
	uint64_t n;          /* sockets in this scan */
	uint64_t n_by_grace; /* of them, past grace */
	uint64_t n_forgotten;
	struct text_place sums; /* of this scan, and one socket as the example */
	uint32_t eof_origin;
	struct group_use uses[GROUP_USES]; /* of this scan; the first `n_uses` */
	unsigned n_uses;
	struct group_use example_use; /* of the socket in `sums` */
	struct late late;             /* of its leaks that were closed after all */
	struct closed_example last_late, first_late; /* of them; of those not told of */
	uint64_t n_by_end;           /* at the end: of them, closed by it */
	struct late_count earlier;   /* ... and before */
	struct late_count told_late; /* of the latter, in JSON lines */
	UT_hash_handle hh;
};
enum { NO_RULE = -1, NOT_MATCHED = -2 };

/* Their table; by hh.next in the order of their finding. */
extern struct leak_group *leak_groups;
/* Sockets of this scan for which there was no memory for a group. */
extern uint64_t groups_n_unplaced, groups_n_unplaced_leaks;

/* The group of this key, made if there is none; NULL = no memory. */
struct leak_group *group_find(const struct group_key *key);
/* That of a socket. */
struct leak_group *group_of(const struct fd_entry *entry, const struct socket_end *end,
			    bool is_pending, bool is_elsewhere);
/* The socket becomes the example that a report shows of its group. */
void group_take_example(struct leak_group *group, int fd, const struct fd_entry *entry,
			const struct socket_end *end);
void group_take_notice(struct leak_group *group, const struct eof_notice *notice,
		       const struct socket_end *end, uint64_t now_ns);
/* That of the socket which `fd` held, with this entry; `is_example`: it is that of the
 * group, so far. */
void group_take_use(struct leak_group *group, int fd, const struct fd_entry *entry,
		    bool is_example, uint64_t now_ns);
bool group_is_same_use(const struct group_use *a, const struct group_use *b);
/* Of text_place, at `now_ns`. */
uint64_t group_opened_ms(const struct fd_entry *entry, uint64_t now_ns);
/* Its sockets of this scan that count: not suppressed. */
uint64_t group_leaked(struct leak_group *group);
bool group_is_suppressed(struct leak_group *group);

/* print_groups.c: what a report says of a group. */

/* The buffer in which every report is made: one at a time. */
struct text group_new_report(void);
uint64_t group_realtime_ms(void);
/* The frames of a backtrace, with the names that frame_names_look_up() found. */
struct text_frame;
unsigned group_frames(uint32_t origin, struct text_frame *frames);
/* What is printed of the group beside its sums, for `count` sockets. */
void group_fill_out(struct leak_group *group, uint64_t count);
extern bool groups_are_json;

/* late_groups.c */

/* At the end: the leaks that were closed after all. */
void groups_list_late(const struct fd_access *access);

/* In a child: the leaks that the parent closed late are not reported. */
void groups_late_fork_child(void);
/* print_groups.c: the same of what was printed. */
void groups_print_fork_child(void);
/* A scan begins: what the last scan counted is not printed any more. */
void groups_print_no_more(void);

#endif
