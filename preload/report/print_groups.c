/* Prints groups of leaks: each new one in full, later only when its count has doubled. */
#include "report/leak_groups.h"

#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"
#include "ledger/ledger_writer.h"
#include "report/frame_names.h"
#include "report/groups_internal.h"
#include "report/json_lines.h"
#include "report/log.h"
#include "report/suppressions.h"
#include "unwind/origin.h"

#include <sys/syscall.h>

#define REPORT_BYTES 65536

/* The leak groups of this scan are printed one by one, until the next scan begins. */
static bool is_to_print;
static struct leak_group *last_visited; /* NULL = none yet */
bool groups_are_json;
static unsigned max_reports, n_reports;
static bool lacks_lines; /* some report in the log */

ARENA_TABLE static char report[REPORT_BYTES];
ARENA_TABLE static struct text_frame origin_frames[SL_MAX_FRAMES],
	eof_frames[SL_MAX_FRAMES];

struct text group_new_report(void)
{
	return (struct text){report, sizeof(report), 0, false};
}

uint64_t group_realtime_ms(void)
{
	return clock_ns(CLOCK_REALTIME) / 1000000;
}

AT_START void leak_groups_start(const struct settings *settings)
{
	groups_are_json = settings->json;
	max_reports = settings->max_reports;
	if (settings->suppressions[0])
		suppressions_read(settings->suppressions);
}

static void take_line(struct text_frame *frame, uint32_t id)
{
	const struct origin_line *line = origin_line(id);

	*frame = (struct text_frame){0};
	if (!line)
		return;
	frame->language = line->language;
	frame->function = line->function;
	frame->file = line->file[0] ? line->file : NULL;
	frame->line = line->line;
}

/* With the names that were looked up. */
unsigned group_frames(uint32_t origin, struct text_frame *frames)
{
	const struct origin_backtrace *trace =
		origin & ORIGIN_PENDING_BIT ? NULL : origin_backtrace(origin);
	unsigned n = trace ? trace->n_frames : 0;

	for (unsigned i = 0; i < n; i++) {
		const struct origin_module *module =
			origin_module(SL_FRAME_MODULE(trace->frames[i]));
		struct text_frame *frame = &frames[i];

		if (SL_FRAME_MODULE(trace->frames[i]) == SL_FRAME_LANGUAGE) {
			take_line(frame, (uint32_t)trace->frames[i]);
			continue;
		}
		*frame = (struct text_frame){.offset = SL_FRAME_OFFSET(trace->frames[i])};
		frame->address = frame->offset;
		if (!module)
			continue;
		frame->module = module->path;
		frame->address += module->base;
		frame->build_id = module->build_id;
		frame->build_id_bytes = module->build_id_bytes;
		frame->function =
			frame_names_get(trace->frames[i], &frame->function_offset);
	}
	text_fold(frames, n);
	text_mark_by_frame_pointer(frames, n);
	return n;
}

static int compare_uses(const struct group_use *a, const struct group_use *b)
{
	return a->n != b->n ? (a->n < b->n) - (a->n > b->n)
			    : (a->ms < b->ms) - (a->ms > b->ms);
}

/* Those of the most sockets first. */
static void sort_uses(struct group_use *uses, unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = i; j && compare_uses(&uses[j - 1], &uses[j]) > 0; j--) {
			struct group_use moved = uses[j];

			uses[j] = uses[j - 1];
			uses[j - 1] = moved;
		}
}

/* A waiting backtrace may have been unwound since the scan. */
static uint32_t use_origin(const struct group_use *use)
{
	return origin_resolve(use->use.origin);
}

/* Of those that a report shows. */
static void want_uses(const struct leak_group *leak_group)
{
	for (unsigned i = 0; i < leak_group->n_uses && i < TEXT_MAX_USES; i++)
		frame_names_want(use_origin(&leak_group->uses[i]));
}

static struct text_use shown_use(const struct group_use *from)
{
	return (struct text_use){
		.call = from->use.call,
		.is_sent = from->use.is_sent,
		.ms = from->ms,
		.bytes = from->use.bytes,
		.thread = (pid_t)from->use.thread,
		.n_sockets = from->n,
	};
}

static void fill_out_uses(const struct leak_group *leak_group, struct text_place *sums)
{
	ARENA_TABLE static struct text_frame frames[TEXT_MAX_USES][SL_MAX_FRAMES];
	ARENA_TABLE static struct text_use shown[TEXT_MAX_USES];

	sums->uses = shown;
	sums->n_uses =
		leak_group->n_uses < TEXT_MAX_USES ? leak_group->n_uses : TEXT_MAX_USES;
	sums->use = shown_use(&leak_group->example_use);
	sums->use_index = sums->n_uses;
	for (unsigned i = sums->n_uses; i-- > 0;) {
		const struct group_use *from = &leak_group->uses[i];

		shown[i] = shown_use(from);
		shown[i].frames = frames[i];
		shown[i].n_frames = group_frames(use_origin(from), frames[i]);
		if (sums->use.n_sockets &&
		    group_is_same_use(from, &leak_group->example_use))
			sums->use_index = i;
	}
}

void group_fill_out(struct leak_group *leak_group, uint64_t count)
{
	const struct origin_backtrace *trace = origin_backtrace(leak_group->key.origin);
	struct text_place *sums = &leak_group->sums;

	sums->pid = guard_pid;
	sums->kind = leak_group->key.kind;
	sums->call = leak_group->key.call;
	sums->origin_kind = leak_group->key.origin_kind;
	if (sums->origin_kind == SL_ORIGIN_KIND_NONE && sums->call != SL_CALL_NONE &&
	    (!trace || trace->is_short))
		sums->origin_kind = SL_ORIGIN_SHORT;
	sums->n_sockets = count;
	sums->at_exit = !leak_group->n_by_grace && !leak_group->n_by_end;
	sums->peer_state = leak_group->n && leak_group->n_forgotten == leak_group->n
				   ? TEXT_PEER_FORGOTTEN
				   : TEXT_PEER_UNKNOWN;
	uint32_t eof_origin = sums->eof_call ? leak_group->eof_origin : 0;
	frame_names_begin();
	frame_names_want(leak_group->key.origin);
	frame_names_want(eof_origin);
	sort_uses(leak_group->uses, leak_group->n_uses);
	want_uses(leak_group);
	frame_names_look_up();
	sums->origin = origin_frames;
	sums->n_origin = group_frames(leak_group->key.origin, origin_frames);
	sums->eof = eof_frames;
	sums->n_eof = group_frames(eof_origin, eof_frames);
	fill_out_uses(leak_group, sums);
}

/* Warns once, when a report needs it: also with log=none, because the ledger has such
 * origins. */
static void say_what_is_missing(void)
{
	static bool was_said;
	const char *path = origin_missing();

	if (!path || was_said)
		return;
	was_said = true;
	log_warn_of("libunwind cannot be loaded, so origins are short", path);
}

static void print_place(struct leak_group *leak_group, uint64_t count, bool in_full,
			const struct fd_access *access)
{
	struct text text = group_new_report();

	say_what_is_missing();
	if (!log_is_kept())
		return;
	group_fill_out(leak_group, count);
	if (groups_are_json)
		json_lines_leak(&text, &leak_group->sums, group_realtime_ms());
	else if (in_full && n_reports < max_reports)
		text_place(&text, &leak_group->sums);
	else
		text_count(&text, &leak_group->sums);
	if (in_full) {
		n_reports++;
		lacks_lines |= text_lacks_lines(&leak_group->sums);
	}
	log_write(access, text.at, text.used);
}

enum how { NOT_AT_ALL, AS_COUNT, IN_FULL };

static enum how how_to_print(const struct leak_group *leak_group, uint64_t count,
			     bool at_exit, bool in_full)
{
	if (!count)
		return NOT_AT_ALL;
	if (!leak_group->next_print || in_full)
		return IN_FULL;
	/* At exit the last report on a place has its final count. */
	return count >= leak_group->next_print ||
			       (at_exit && count * 2 != leak_group->next_print)
		       ? AS_COUNT
		       : NOT_AT_ALL;
}

/* Asks for the names of all leak groups that are to be matched or printed, so that the
 * symbol table of each module is read once for all of them. */
static void name_places(bool at_exit, bool in_full)
{
	frame_names_begin();
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		uint64_t n = leak_group->key.is_pending ? 0 : leak_group->n;

		if (n && n_suppressions && leak_group->rule == NOT_MATCHED)
			frame_names_want(leak_group->key.origin);
		if (!log_is_kept() ||
		    how_to_print(leak_group, n, at_exit, in_full) == NOT_AT_ALL)
			continue;
		frame_names_want(leak_group->key.origin);
		if (leak_group->sums.eof_call)
			frame_names_want(leak_group->eof_origin);
		want_uses(leak_group);
	}
	frame_names_look_up();
}

/* Prints it if that is due; returns how many of its sockets count as leaks. */
static uint64_t print_if_due(struct leak_group *leak_group,
			     const struct fd_access *access, bool at_exit, bool in_full)
{
	uint64_t count = leak_group->key.is_pending ? 0 : group_leaked(leak_group);
	enum how how = how_to_print(leak_group, count, at_exit, in_full);

	if (how == NOT_AT_ALL)
		return count;
	leak_group->sums.runs_on = in_full;
	print_place(leak_group, count, how == IN_FULL, access);
	leak_group->next_print = 2 * count;
	return count;
}

static int compare_counts(struct leak_group *a, struct leak_group *b)
{
	uint64_t left = group_leaked(a), right = group_leaked(b);

	return (left < right) - (left > right);
}

uint64_t leak_groups_print(const struct fd_access *access, bool at_exit, bool in_full)
{
	uint64_t n_leaked = groups_n_unplaced_leaks;

	/* The last report begins with the place that has the most sockets. */
	if (at_exit)
		HASH_SORT(leak_groups, compare_counts);
	name_places(at_exit, in_full);
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next)
		n_leaked += print_if_due(leak_group, access, at_exit, in_full);
	return n_leaked;
}

void leak_groups_print_later(void)
{
	is_to_print = true;
	last_visited = NULL;
}

bool leak_groups_print_next(const struct fd_access *access)
{
	if (!is_to_print)
		return false;
	if (!last_visited)
		name_places(false, false);
	struct leak_group *next = last_visited ? last_visited->hh.next : leak_groups;
	for (; next; next = next->hh.next) {
		uint64_t before = next->next_print;

		last_visited = next;
		print_if_due(next, access, false, false);
		if (next->next_print != before)
			return next->hh.next != NULL;
	}
	return false;
}

static void list_pending(const struct fd_access *access)
{
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		struct text text = group_new_report();

		if (!leak_group->key.is_pending || !leak_group->n || groups_are_json)
			continue;
		group_fill_out(leak_group, leak_group->n);
		text_pending(&text, &leak_group->sums);
		log_write(access, text.at, text.used);
	}
}

static void list_rules(struct text *text)
{
	for (unsigned i = 0; i < n_suppressions; i++) {
		if (!suppressions[i].n_used)
			continue;
		text_string(text, "==");
		text_unsigned(text, (uint64_t)guard_pid);
		text_string(text, "==sockleak: suppressed ");
		text_unsigned(text, suppressions[i].n_used);
		text_string(text, " by leak:");
		text_escaped(text, suppressions[i].pattern);
		text_string(text, "\n");
	}
}

/* What does not depend on a scan. */
static struct text_summary counts(void)
{
	uint64_t opened, closed;

	fd_table_count_sockets(&opened, &closed);
	return (struct text_summary){
		.pid = guard_pid,
		.opened = opened,
		.closed = closed,
		.missed = atomic_load(&fd_table_counts.missed),
		.dropped = log_lost() + ledger_dropped(),
	};
}

static void sum_up(struct text *text, const struct text_summary *summary)
{
	if (groups_are_json)
		json_lines_summary(text, summary, group_realtime_ms());
	else
		text_summary(text, summary);
}

/* What one group adds to it. */
static void add_group(struct text_summary *summary, struct leak_group *leak_group)
{
	if (leak_group->key.is_pending) {
		summary->pending += leak_group->n;
		return;
	}
	uint64_t count = group_leaked(leak_group), n_by_end = leak_group->n_by_end;
	summary->n_leaked += count;
	summary->n_places += count > 0;
	summary->closed_by_end += count < n_by_end ? count : n_by_end;
	if (leak_group->rule >= 0) {
		uint64_t n_suppressed = leak_group->n + n_by_end - count;

		suppressions[leak_group->rule].n_used += n_suppressed;
		summary->suppressed += n_suppressed;
	}
}

/* What all groups add to it.  false = nothing leaked, and all was recorded. */
static bool add_groups(struct text_summary *summary)
{
	uint64_t late_max_ms;
	bool has_leaked = leak_groups_late(&late_max_ms) > 0 || groups_n_unplaced ||
			  summary->missed;

	summary->n_leaked = groups_n_unplaced_leaks;
	summary->missed += groups_n_unplaced + origin_lost();
	for (struct leak_group *leak_group = leak_groups; leak_group;
	     leak_group = leak_group->hh.next) {
		has_leaked |= leak_group->next_print > 0;
		summary->closed_late += leak_group->earlier.n;
		if (leak_group->earlier.max_ms > summary->closed_late_max_ms)
			summary->closed_late_max_ms = leak_group->earlier.max_ms;
		add_group(summary, leak_group);
	}
	return summary->n_leaked || has_leaked;
}

void leak_groups_summary(const struct fd_access *access)
{
	struct text_summary summary = counts();

	if (!add_groups(&summary))
		return;
	groups_list_late(access);
	list_pending(access);
	struct text text = group_new_report();
	if (!groups_are_json && lacks_lines)
		text_hint(&text);
	sum_up(&text, &summary);
	if (!groups_are_json)
		list_rules(&text);
	log_write(access, text.at, text.used);
}

uint64_t leak_groups_summary_without(uint64_t n_leaked)
{
	char bytes[1024];
	struct text text = {bytes, sizeof(bytes), 0, false};
	struct text_summary summary = counts();

	summary.n_leaked = n_leaked;
	log_warn("a scan of the sockets did not come to its end: what leaked is "
		 "counted, but its places are not known");
	if (n_suppressions)
		return 0;
	sum_up(&text, &summary);
	log_write(&fd_access_directly, text.at, text.used);
	return n_leaked;
}

void groups_print_no_more(void)
{
	is_to_print = false;
}

void groups_print_fork_child(void)
{
	is_to_print = lacks_lines = false;
	n_reports = 0;
}
