/* See leak_groups.h. */
#include "report/leak_groups.h"

#include "base/guard.h"
#include "base/sections.h"
#include "common/verdict.h"
#include "report/frame_names.h"
#include "report/groups_internal.h"
#include "report/publish_records.h"
#include "report/suppressions.h"
#include "report/test_names.h"
#include "unwind/origin.h"

#include <string.h>

/* A socket that more than one descriptor may hold, counted once a scan: where it is a
 * leak by one of them, as one. */
struct seen {
	uint64_t cookie;
	struct leak_group *pending; /* where it was counted so far; NULL = as a leak */
	UT_hash_handle hh;
};

struct leak_group *leak_groups;
static struct seen *seen;
static size_t seen_bytes;
static struct seen *seen_nodes; /* pages for the nodes of one scan */
static size_t n_seen;
uint64_t groups_n_unplaced, groups_n_unplaced_leaks;

ARENA_TABLE static struct text_frame matched_frames[SL_MAX_FRAMES];

static bool rule_matches(const struct suppression *rule, const struct text_frame *frames,
			 unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if ((frames[i].function &&
		     text_matches(rule->pattern, frames[i].function)) ||
		    (frames[i].language && frames[i].file &&
		     text_matches(rule->pattern, frames[i].file)) ||
		    (frames[i].module && text_matches(rule->pattern, frames[i].module)))
			return true;
	return false;
}

static void match_rules(struct leak_group *leak_group)
{
	frame_names_begin();
	frame_names_want(leak_group->key.origin);
	frame_names_look_up();
	unsigned n = group_frames(leak_group->key.origin, matched_frames);
	leak_group->rule = NO_RULE;
	for (unsigned i = 0; i < n_suppressions && leak_group->rule == NO_RULE; i++)
		if (rule_matches(&suppressions[i], matched_frames, n))
			leak_group->rule = (int)i;
}

/* Sockets of this scan that count. */
uint64_t group_leaked(struct leak_group *leak_group)
{
	uint64_t n = leak_group->n + leak_group->n_by_end;

	if (leak_group->rule == NOT_MATCHED && n_suppressions && n)
		match_rules(leak_group);
	if (leak_group->rule < 0)
		return n;
	uint64_t max = suppressions[leak_group->rule].max;
	return max && n > max ? n - max : 0;
}

bool group_is_suppressed(struct leak_group *leak_group)
{
	if (leak_group->rule == NOT_MATCHED && n_suppressions)
		match_rules(leak_group);
	return leak_group->rule >= 0;
}

void leak_groups_begin(void)
{
	groups_n_unplaced = groups_n_unplaced_leaks = 0;
	groups_print_no_more();
	HASH_CLEAR(hh, seen);
	seen = NULL;
	n_seen = 0;
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		leak_group->n = leak_group->n_by_grace = leak_group->n_forgotten = 0;
		leak_group->sums = (struct text_place){0};
		leak_group->n_uses = 0;
	}
}

/* Whether another descriptor of the same socket was counted in this scan, in its place or
 * in a better one. */
static bool was_seen(uint64_t cookie, struct leak_group *leak_group)
{
	struct leak_group *pending = leak_group->key.is_pending ? leak_group : NULL;
	struct seen *found = NULL;

	HASH_FIND(hh, seen, &cookie, sizeof(cookie), found);
	if (found && (!found->pending || pending))
		return true;
	if (found) {
		found->pending->n--;
		found->pending = NULL;
		return false;
	}
	if ((n_seen + 1) * sizeof(*seen_nodes) > seen_bytes) {
		/* Nodes of this scan are linked into the table: they may not move.  What
		 * does not fit is counted twice in this scan and fits in the next. */
		if (n_seen)
			return false;
		arena_unmap(seen_nodes, seen_bytes);
		seen_bytes = seen_bytes ? 4 * seen_bytes : 65536;
		seen_nodes = arena_map(seen_bytes);
		if (!seen_nodes)
			seen_bytes = 0;
	}
	if (!seen_nodes)
		return false;
	struct seen *node = &seen_nodes[n_seen++];
	node->cookie = cookie;
	node->pending = pending;
	HASH_ADD(hh, seen, cookie, sizeof(node->cookie), node);
	return false;
}

struct leak_group *group_find(const struct group_key *key)
{
	struct leak_group *leak_group = NULL;

	HASH_FIND(hh, leak_groups, key, sizeof(*key), leak_group);
	if (leak_group)
		return leak_group;
	leak_group = arena_take(sizeof(*leak_group));
	if (!leak_group)
		return NULL;
	leak_group->key = *key;
	leak_group->rule = NOT_MATCHED;
	HASH_ADD(hh, leak_groups, key, sizeof(leak_group->key), leak_group);
	return leak_group->hh.tbl ? leak_group : NULL; /* no memory for the table */
}

struct leak_group *group_of(const struct fd_entry *entry, const struct socket_end *end,
			    bool is_pending, bool is_elsewhere)
{
	const struct group_key key = {
		.origin = origin_place(atomic_load(&entry->origin)),
		.kind = end->kind,
		.call = entry->call,
		.origin_kind = entry->origin_kind,
		.is_pending = is_pending,
		.is_elsewhere = is_elsewhere,
	};
	struct leak_group *leak_group = group_find(&key);

	if (!leak_group && (is_pending || n_suppressions))
		groups_n_unplaced++; /* where there are rules, one might have matched it
				      */
	else if (!leak_group)
		groups_n_unplaced_leaks++;
	return leak_group;
}

void group_take_example(struct leak_group *leak_group, int fd,
			const struct fd_entry *entry, const struct socket_end *end)
{
	struct text_place *sums = &leak_group->sums;

	sums->fd = fd;
	sums->cookie = entry->cookie;
	sums->inode = end->inode;
	sums->state = end->state;
	sums->family = end->family;
	memcpy(sums->local, end->local, sizeof(sums->local));
	memcpy(sums->peer, entry->peer, sizeof(sums->peer));
	sums->local_port = end->local_port;
	sums->peer_port = entry->family ? entry->peer_port : 0;
	sums->test = test_names_text(entry->name);
}

uint64_t group_opened_ms(const struct fd_entry *entry, uint64_t now_ns)
{
	return sl_opening_was_seen(entry->call, entry->origin_kind)
		       ? fd_table_since_ns(entry->opened_ns, now_ns) / 1000000
		       : TEXT_MS_UNKNOWN;
}

void group_take_notice(struct leak_group *leak_group, const struct eof_notice *notice,
		       const struct socket_end *end, uint64_t now_ns)
{
	const struct verdict_telling telling = {notice->eof_ns, notice->shut_ns,
						notice->shut_how};
	bool by_shutdown;
	uint64_t told_ns =
		verdict_told_ns(&telling, end->kind, end->sent_ns, &by_shutdown);
	leak_group->sums.eof_call = by_shutdown ? SL_CALL_shutdown : notice->eof_call;
	if (!told_ns)
		return;
	leak_group->eof_origin =
		origin_resolve(by_shutdown ? notice->shut_origin : notice->eof_origin);
	leak_group->sums.told_ms = fd_table_since_ns(told_ns, now_ns) / 1000000;
}

bool group_is_same_use(const struct group_use *a, const struct group_use *b)
{
	return origin_place(a->use.origin) == origin_place(b->use.origin) &&
	       a->use.call == b->use.call && a->use.is_sent == b->use.is_sent;
}

static void add_use(struct leak_group *leak_group, struct group_use one)
{
	struct group_use *known = leak_group->uses, *end = known + leak_group->n_uses;

	while (known < end && !group_is_same_use(known, &one))
		known++;
	if (known < end) {
		one.n += known->n;
		if (known->ms > one.ms)
			known->n = one.n;
		else
			*known = one;
	} else if (leak_group->n_uses < GROUP_USES) {
		*known = one;
		leak_group->n_uses++;
	}
}

void group_take_use(struct leak_group *leak_group, int fd, const struct fd_entry *entry,
		    bool is_example, uint64_t now_ns)
{
	struct group_use one = {0};

	uses_read(fd, entry, &one.use);
	if (one.use.ns) {
		one.n = 1;
		one.ms = fd_table_since_ns(one.use.ns, now_ns) / 1000000;
		add_use(leak_group, one);
	}
	if (is_example)
		leak_group->example_use = one;
}

static void take_notice(struct leak_group *leak_group, const struct fd_entry *entry,
			const struct socket_end *end, uint64_t now_ns)
{
	struct eof_notice notice;

	notice_read(entry, &notice);
	group_take_notice(leak_group, &notice, end, now_ns);
}

/* The process that holds the socket does not know what this process was told before it
 * closed it. */
static void take_holder(struct leak_group *leak_group, const struct leak_holder *holder)
{
	struct text_place *sums = &leak_group->sums;

	sums->is_elsewhere = true;
	sums->holder_pid = holder->pid;
	sums->program = holder->program[0] ? holder->program : NULL;
}

static struct leak_group *count(const struct leak_holder *holder, int fd,
				const struct fd_entry *entry,
				const struct socket_end *end, bool is_pending,
				uint64_t now_ns)
{
	uint64_t word = atomic_load(&entry->word);
	struct leak_group *leak_group = group_of(entry, end, is_pending, holder != NULL);

	if (!leak_group)
		return NULL;
	if (((word & ENTRY_DUPLICATED) || entry->origin_kind != SL_ORIGIN_KIND_NONE) &&
	    was_seen(entry->cookie, leak_group))
		return NULL;
	struct text_place *sums = &leak_group->sums;
	uint64_t age_ms = fd_table_since_ns(end->peer_gone_since_ns, now_ns) / 1000000;
	bool is_example = !leak_group->n || age_ms > sums->oldest_ms;
	if (is_example) {
		sums->oldest_ms = age_ms;
		group_take_example(leak_group, fd, entry, end);
		/* A socket that this scan itself has found is younger than the scan. */
		sums->opened_ms = group_opened_ms(entry, now_ns);
		if (holder)
			take_holder(leak_group, holder);
		else
			take_notice(leak_group, entry, end, now_ns);
	}
	if (!leak_group->n || age_ms < sums->newest_ms)
		sums->newest_ms = age_ms;
	if (!holder)
		group_take_use(leak_group, fd, entry, is_example, now_ns);
	leak_group->n++;
	leak_group->n_by_grace += end->verdict == SL_LEAK_GRACE;
	leak_group->n_forgotten += end->peer_forgot;
	sums->why |= end->why;
	sums->unread_bytes = text_add_unread(sums->unread_bytes, end->unread_bytes);
	sums->kernel_bytes += end->kernel_bytes + SL_SLAB_BYTES;
	return leak_group;
}

struct leak_group *leak_groups_count(int fd, const struct fd_entry *entry,
				     const struct socket_end *end, bool is_pending,
				     uint64_t now_ns)
{
	return count(NULL, fd, entry, end, is_pending, now_ns);
}

struct leak_group *leak_groups_count_elsewhere(const struct leak_holder *holder,
					       const struct fd_entry *entry,
					       const struct socket_end *end,
					       bool is_pending, uint64_t now_ns)
{
	return count(holder, holder->fd, entry, end, is_pending, now_ns);
}

void leak_groups_fork_child(void)
{
	/* The parent's scanning thread may have been at work on the tables when we were
	 * copied: they are left as they are, and new ones begun. */
	leak_groups = NULL;
	groups_print_fork_child();
	groups_late_fork_child();
	publish_records_fork_child();
	frame_names_fork_child();
	seen = NULL;
	seen_nodes = NULL;
	seen_bytes = n_seen = 0;
	for (unsigned i = 0; i < n_suppressions; i++)
		suppressions[i].n_used = 0;
}
