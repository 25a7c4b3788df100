/* Leaks that were closed after all: counted by group, told at the end. */
#include "report/leak_groups.h"

#include "report/groups_internal.h"
#include "report/json_lines.h"
#include "report/log.h"
#include "unwind/origin.h"

static uint64_t n_late, late_max_ms;

/* A leak group of one socket, separate from what this scan has counted so far. */
static struct leak_group one_closed(int fd, const struct socket_end *end,
				    const struct eof_notice *notice, uint64_t after_ms)
{
	uint64_t closed_ns = end->peer_gone_since_ns + after_ms * 1000000;
	struct leak_group one = *end->leak_group;

	one.sums = (struct text_place){
		.why = end->why,
		.oldest_ms = after_ms,
		.newest_ms = after_ms,
		.opened_ms = group_opened_ms(&end->counted, closed_ns),
		.unread_bytes = text_add_unread(0, end->unread_bytes),
		.kernel_bytes = end->kernel_bytes + SL_SLAB_BYTES,
		.peer_state = end->peer_forgot ? TEXT_PEER_FORGOTTEN : TEXT_PEER_UNKNOWN,
	};
	group_take_example(&one, fd, &end->counted, end);
	one.n_uses = 0;
	if (one.key.is_elsewhere) {
		one.sums.is_elsewhere = true;
	} else {
		group_take_notice(&one, notice, end, closed_ns);
		group_take_use(&one, fd, &end->counted, true, closed_ns);
	}
	return one;
}

/* A leak may have been found, and closed, before its backtrace was resolved. */
static struct leak_group *with_known_origin(struct leak_group *group)
{
	struct group_key key = group->key;

	key.origin = origin_place(origin_resolve(key.origin));
	struct leak_group *known =
		key.origin != group->key.origin ? group_find(&key) : NULL;
	return known ? known : group;
}

void leak_groups_closed_late(int fd, const struct socket_end *end,
			     const struct eof_notice *notice, uint64_t closed_ns,
			     uint64_t after_ms)
{
	const struct leak_group one = one_closed(fd, end, notice, after_ms);
	struct leak_group *group = with_known_origin(end->leak_group);

	n_late++;
	if (after_ms > late_max_ms)
		late_max_ms = after_ms;
	late_add(&group->late, closed_ns, after_ms);
	group->last_late = (struct closed_example){
		one.sums, one.eof_origin,
		one.n_uses ? one.uses[0] : (struct group_use){.n = 0}, true};
	if (!group->first_late.is_there)
		group->first_late = group->last_late;
}

void leak_groups_closed_unseen(int fd, struct socket_end *end,
			       const struct eof_notice *notice, uint64_t closed_ns,
			       uint64_t after_ms)
{
	end->leak_group = group_of(&end->counted, end, false, false);
	if (end->leak_group)
		leak_groups_closed_late(fd, end, notice, closed_ns, after_ms);
}

static void take_closed_example(struct leak_group *group,
				const struct closed_example *from)
{
	group->sums = from->sums;
	group->eof_origin = from->eof_origin;
	group->uses[0] = group->example_use = from->use;
	group->n_uses = from->use.n > 0;
}

/* The leak group as a report of its closed sockets shows it: `count` of them, held for up
 * to `max_ms`. */
static struct leak_group as_closed(const struct leak_group *leak_group, uint64_t count,
				   uint64_t max_ms)
{
	struct leak_group closed = *leak_group;

	closed.n = closed.n_by_grace = count;
	take_closed_example(&closed, &leak_group->first_late);
	closed.n_forgotten = closed.sums.peer_state == TEXT_PEER_FORGOTTEN ? count : 0;
	closed.sums.closed = "late";
	if (max_ms > closed.sums.oldest_ms)
		closed.sums.oldest_ms = max_ms;
	group_fill_out(&closed, count);
	return closed;
}

/* Prints those that no JSON line has reported yet. */
static void tell_closed_late(struct leak_group *leak_group,
			     const struct late_count *earlier, bool has_more,
			     const struct fd_access *access)
{
	struct late_count *told = &leak_group->told_late;
	struct text text = group_new_report();

	if (earlier->n == told->n)
		return;
	const struct leak_group closed =
		as_closed(leak_group, earlier->n - told->n,
			  earlier->max_ms > told->max_ms ? earlier->max_ms : 0);
	json_lines_closed_late(&text, &closed.sums, group_realtime_ms());
	log_write(access, text.at, text.used);
	*told = *earlier;
	/* Of what was closed in the last second. */
	leak_group->first_late = leak_group->last_late;
	leak_group->first_late.is_there = has_more;
}

void leak_groups_tell_late(uint64_t now_ns, const struct fd_access *access)
{
	for (struct leak_group *leak_group = leak_groups; groups_are_json && leak_group;
	     leak_group = leak_group->hh.next) {
		struct late_count by_end, earlier;

		if (!leak_group->next_print)
			continue; /* not reported as a leak: perhaps suppressed */
		late_split(&leak_group->late, now_ns, &by_end, &earlier);
		tell_closed_late(leak_group, &earlier, by_end.n, access);
	}
}

void leak_groups_end(uint64_t now_ns)
{
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		struct late_count by_end;
		/* The sockets were closed before the backtrace was unwound; they are not
		 * moved to another group any more. */
		uint32_t origin = origin_place(origin_resolve(leak_group->key.origin));

		if (origin)
			leak_group->key.origin = origin;
		late_split(&leak_group->late, now_ns, &by_end, &leak_group->earlier);
		leak_group->n_by_end = by_end.n;
		if (by_end.n && !leak_group->n) {
			take_closed_example(leak_group, &leak_group->last_late);
			leak_group->sums.closed = "end";
		}
		if (by_end.max_ms > leak_group->sums.oldest_ms)
			leak_group->sums.oldest_ms = by_end.max_ms;
		leak_group->sums.n_closed_by_end = by_end.n;
	}
}

/* At the end; as JSON what was not told while the program ran. */
void groups_list_late(const struct fd_access *access)
{
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		struct text text = group_new_report();

		if (!leak_group->earlier.n || group_is_suppressed(leak_group))
			continue;
		if (groups_are_json) {
			tell_closed_late(leak_group, &leak_group->earlier, false, access);
			continue;
		}
		const struct leak_group closed = as_closed(
			leak_group, leak_group->earlier.n, leak_group->earlier.max_ms);
		text_closed_late(&text, &closed.sums);
		log_write(access, text.at, text.used);
	}
}

uint64_t leak_groups_late(uint64_t *max_ms)
{
	*max_ms = late_max_ms;
	return n_late;
}

void groups_late_fork_child(void)
{
	n_late = late_max_ms = 0;
}
