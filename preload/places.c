/* See places.h. */
#include "places.h"

#include "arena.h"
#include "guard.h"
#include "ledger_writer.h"
#include "log.h"
#include "names.h"
#include "origin.h"
#include "text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

/* uthash ends the host when memory runs out and takes it from malloc, unless told not to.
 */
#define HASH_NONFATAL_OOM      1
#define uthash_malloc(bytes)   arena_map(bytes)
#define uthash_free(at, bytes) arena_unmap(at, bytes)
#include <uthash.h>

#define REPORT_BYTES  65536
#define NAME_BYTES    256
#define RULES_BYTES   65536 /* of a suppression file; the rest is ignored, with a word */
#define N_TEST_NAMES  4096
#define N_TOP_HOLDERS 3

struct key {
	uint32_t origin;
	uint8_t kind, call, note, is_pending;
};

struct place {
	struct key key;
	int rule;            /* index, NO_RULE, or NOT_MATCHED yet */
	uint64_t next_print; /* count at which it is printed again; 0 = never printed */
	uint64_t n;          /* sockets in this look */
	uint64_t n_by_grace; /* of them, past grace */
	uint64_t n_forgotten;
	struct text_place sums; /* of this look, and one socket as the example */
	uint32_t eof_origin;
	UT_hash_handle hh;
};
enum { NO_RULE = -1, NOT_MATCHED = -2 };

struct rule {
	char *pattern; /* terminated; into the file's pages */
	uint64_t max;  /* 0 = all */
	uint64_t n_used;
};

/* A socket that more than one descriptor may hold, counted once a look: where it is a
 * leak by one of them, as one. */
struct seen {
	uint64_t cookie;
	struct place *pending; /* where it was counted so far; NULL = as a leak */
	UT_hash_handle hh;
};

static struct place *places;
static struct seen *seen;
static size_t seen_bytes;
static struct seen *seen_nodes; /* pages for the nodes of one look */
static size_t n_seen;
static bool is_json;
static unsigned max_reports, n_reports;
static struct rule *rules;
static unsigned n_rules;
static uint64_t n_late, late_max_ms;
static uint64_t n_unplaced; /* sockets of this look that there was no memory for */
ARENA_TABLE static const char *_Atomic test_names[N_TEST_NAMES];
static _Atomic unsigned n_test_names;
static uint32_t published_backtraces, published_modules, published_names;

ARENA_TABLE static char report[REPORT_BYTES];
ARENA_TABLE static struct text_frame origin_frames[SL_MAX_FRAMES],
	eof_frames[SL_MAX_FRAMES];
ARENA_TABLE static char frame_names[2][SL_MAX_FRAMES][NAME_BYTES];

static struct text new_report(void)
{
	return (struct text){report, sizeof(report), 0, false};
}

static uint64_t realtime_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- suppressions ---- */

static void add_rule(char *line, size_t bytes)
{
	const char *pattern;
	size_t pattern_bytes;
	uint64_t max;
	int what = text_rule(line, bytes, &pattern, &pattern_bytes, &max);

	if (what < 0) {
		char problem[300];
		struct text text = {problem, sizeof(problem) - 1, 0, false};

		line[bytes < 200 ? bytes : 200] = '\0';
		text_string(&text,
			    "a line of the suppressions is no rule and is ignored: ");
		text_escaped(&text, line);
		problem[text.used] = '\0';
		log_complain(problem);
	}
	if (what != 1)
		return;
	char *start = line + (pattern - line);
	start[pattern_bytes] = '\0';
	rules[n_rules++] = (struct rule){start, max, 0};
}

static void read_rules(const char *path)
{
	char *file = arena_map(RULES_BYTES);
	long fd =
		guard_sys(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	long n = fd < 0 || !file ? fd : guard_sys(SYS_read, fd, file, RULES_BYTES - 1);

	if (fd >= 0)
		guard_sys(SYS_close, fd);
	if (n < 0 || !file) {
		log_complain_of(
			"the file of suppressions cannot be read, nothing is suppressed",
			path);
		return;
	}
	unsigned n_lines = 1;
	for (long i = 0; i < n; i++)
		n_lines += file[i] == '\n';
	rules = arena_map(n_lines * sizeof(*rules));
	for (char *line = file; rules && line < file + n;) {
		char *end = memchr(line, '\n', (size_t)(file + n - line));

		end = end ? end : file + n;
		add_rule(line, (size_t)(end - line));
		line = end + 1;
	}
}

AT_START void places_start(const struct settings *settings)
{
	is_json = settings->json;
	max_reports = settings->max_reports;
	if (settings->suppressions[0])
		read_rules(settings->suppressions);
}

/* ---- frames with names ---- */

static unsigned name_frames(uint32_t origin, unsigned which, struct text_frame *frames)
{
	const struct origin_backtrace *trace =
		origin & ORIGIN_PENDING_BIT ? NULL : origin_backtrace(origin);
	unsigned n = trace ? trace->n_frames : 0;

	for (unsigned i = 0; i < n; i++) {
		const struct origin_module *module =
			origin_module(SL_FRAME_MODULE(trace->frames[i]));
		struct text_frame *frame = &frames[i];
		char *name = frame_names[which][i];

		*frame = (struct text_frame){.offset = SL_FRAME_OFFSET(trace->frames[i])};
		frame->address = frame->offset;
		if (!module)
			continue;
		frame->module = module->path;
		frame->address += module->base;
		frame->build_id = module->build_id;
		frame->build_id_bytes = module->build_id_bytes;
		if (!guard_is_sandboxed &&
		    names_find(module->path, module->build_id, module->build_id_bytes,
			       frame->offset, name, NAME_BYTES, &frame->function_offset))
			frame->function = name;
	}
	return n;
}

static bool rule_matches(const struct rule *rule, const struct text_frame *frames,
			 unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if ((frames[i].function &&
		     text_matches(rule->pattern, frames[i].function)) ||
		    (frames[i].module && text_matches(rule->pattern, frames[i].module)))
			return true;
	return false;
}

static void match_rules(struct place *place)
{
	unsigned n = name_frames(place->key.origin, 0, origin_frames);

	place->rule = NO_RULE;
	for (unsigned i = 0; i < n_rules && place->rule == NO_RULE; i++)
		if (rule_matches(&rules[i], origin_frames, n))
			place->rule = (int)i;
}

/* Sockets of this look that count. */
static uint64_t leaked(struct place *place)
{
	if (place->rule == NOT_MATCHED && n_rules && place->n)
		match_rules(place);
	if (place->rule < 0)
		return place->n;
	uint64_t max = rules[place->rule].max;
	return max && place->n > max ? place->n - max : 0;
}

/* ---- one look ---- */

void places_begin(void)
{
	n_unplaced = 0;
	HASH_CLEAR(hh, seen);
	seen = NULL;
	n_seen = 0;
	for (struct place *place = places; place; place = place->hh.next) {
		place->n = place->n_by_grace = place->n_forgotten = 0;
		place->sums = (struct text_place){0};
	}
}

/* Whether another descriptor of the same socket was counted in this look, in its place or
 * in a better one. */
static bool was_seen(uint64_t cookie, struct place *place)
{
	struct place *pending = place->key.is_pending ? place : NULL;
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
		/* Nodes of this look are linked into the table: they may not move.  What
		 * does not fit is counted twice in this look and fits in the next. */
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

static struct place *find_place(const struct key *key)
{
	struct place *place = NULL;

	HASH_FIND(hh, places, key, sizeof(*key), place);
	if (place)
		return place;
	place = arena_take(sizeof(*place));
	if (!place)
		return NULL;
	place->key = *key;
	place->rule = NOT_MATCHED;
	HASH_ADD(hh, places, key, sizeof(place->key), place);
	return place->hh.tbl ? place : NULL; /* no memory for the table */
}

static const char *name_text(uint16_t name)
{
	return name && name <= N_TEST_NAMES ? atomic_load(&test_names[name - 1]) : NULL;
}

static void take_example(struct place *place, int fd, const struct row *row,
			 const struct side *side)
{
	struct text_place *sums = &place->sums;

	sums->fd = fd;
	sums->cookie = row->cookie;
	sums->inode = side->inode;
	sums->state = side->state;
	sums->family = side->family;
	memcpy(sums->local, side->local, sizeof(sums->local));
	memcpy(sums->peer, row->peer, sizeof(sums->peer));
	sums->local_port = side->local_port;
	sums->peer_port = row->family ? row->peer_port : 0;
	sums->test = name_text(row->name);
}

static void take_told(struct place *place, const struct row *row, const struct side *side,
		      uint64_t now_ns)
{
	struct told told;

	registry_read_told(row, side, &told);
	place->sums.eof_call = told.eof_call;
	if (!told.eof_call)
		return;
	place->eof_origin = origin_settle(told.eof_origin);
	place->sums.told_ms = registry_since_ns(told.eof_ns, now_ns) / 1000000;
}

struct place *places_count(int fd, const struct row *row, const struct side *side,
			   bool is_pending, uint64_t now_ns)
{
	uint64_t word = atomic_load(&row->word);

	struct key key = {atomic_load(&row->origin), side->kind, row->call, row->note,
			  is_pending};
	struct place *place = find_place(&key);
	if (!place) {
		n_unplaced++;
		return NULL;
	}
	if (((word & ROW_DUPLICATED) || row->note != SL_NOTE_NONE) &&
	    was_seen(row->cookie, place))
		return NULL;
	struct text_place *sums = &place->sums;
	uint64_t age_ms = registry_since_ns(side->gone_ns, now_ns) / 1000000;
	if (!place->n || age_ms > sums->oldest_ms) {
		sums->oldest_ms = age_ms;
		take_example(place, fd, row, side);
		/* What was found in this very look is younger than the look. */
		sums->opened_ms = registry_since_ns(row->opened_ns, now_ns) / 1000000;
		take_told(place, row, side, now_ns);
	}
	if (!place->n || age_ms < sums->newest_ms)
		sums->newest_ms = age_ms;
	place->n++;
	place->n_by_grace += side->verdict == SL_LEAK_GRACE;
	place->n_forgotten += side->peer_forgot;
	sums->why |= side->why;
	sums->unread_bytes += side->unread_bytes;
	sums->kernel_bytes += side->kernel_bytes + SL_SLAB_BYTES;
	return place;
}

/* ---- printing ---- */

static void fill_out(struct place *place, uint64_t count)
{
	const struct origin_backtrace *trace = origin_backtrace(place->key.origin);
	struct text_place *sums = &place->sums;

	sums->pid = guard_pid;
	sums->kind = place->key.kind;
	sums->call = place->key.call;
	sums->note = place->key.note;
	if (sums->note == SL_NOTE_NONE && sums->call != SL_CALL_NONE &&
	    (!trace || trace->is_short))
		sums->note = SL_NOTE_SHORT;
	sums->n_sockets = count;
	sums->at_exit = !place->n_by_grace;
	sums->peer_state =
		place->n_forgotten == place->n ? TEXT_PEER_FORGOTTEN : TEXT_PEER_UNKNOWN;
	sums->origin = origin_frames;
	sums->n_origin = name_frames(place->key.origin, 0, origin_frames);
	sums->eof = eof_frames;
	sums->n_eof = sums->eof_call ? name_frames(place->eof_origin, 1, eof_frames) : 0;
}

/* Once, where a report needs it: also of a log=none, whose ledger has such origins. */
static void say_what_is_missing(void)
{
	static bool was_said;
	const char *path = origin_missing();

	if (!path || was_said)
		return;
	was_said = true;
	log_complain_of("libunwind cannot be loaded, so origins are short", path);
}

static void print_place(struct place *place, uint64_t count, bool in_full,
			const struct probe_way *way)
{
	struct text text = new_report();

	say_what_is_missing();
	fill_out(place, count);
	if (is_json)
		text_json_leak(&text, &place->sums, realtime_ms());
	else if (in_full && n_reports < max_reports)
		text_place(&text, &place->sums);
	else
		text_count(&text, &place->sums);
	if (in_full)
		n_reports++;
	log_write(way, text.at, text.used);
}

uint64_t places_print(const struct probe_way *way, bool at_exit, bool in_full)
{
	uint64_t n_leaked = 0;

	for (struct place *place = places; place; place = place->hh.next) {
		uint64_t count = place->key.is_pending ? 0 : leaked(place);

		n_leaked += count;
		if (!count)
			continue;
		place->sums.runs_on = in_full;
		/* At exit the last word on a place is its true count. */
		if (!place->next_print || in_full)
			print_place(place, count, true, way);
		else if (count >= place->next_print ||
			 (at_exit && count * 2 != place->next_print))
			print_place(place, count, false, way);
		else
			continue;
		place->next_print = 2 * count;
	}
	return n_leaked;
}

/* Beside what this look has counted so far. */
static void tell_closed_late(int fd, const struct side *side, uint64_t after_ms,
			     const struct probe_way *way)
{
	struct place one = *side->place;
	struct text text = new_report();
	uint64_t closed_ns = side->gone_ns + after_ms * 1000000;

	one.n = one.n_by_grace = 1;
	one.n_forgotten = side->peer_forgot;
	one.sums = (struct text_place){
		.why = side->why,
		.oldest_ms = after_ms,
		.newest_ms = after_ms,
		.opened_ms =
			registry_since_ns(side->counted.opened_ns, closed_ns) / 1000000,
		.unread_bytes = side->unread_bytes,
		.kernel_bytes = side->kernel_bytes + SL_SLAB_BYTES,
	};
	take_example(&one, fd, &side->counted, side);
	take_told(&one, &side->counted, side, closed_ns);
	fill_out(&one, 1);
	text_json_closed_late(&text, &one.sums, realtime_ms());
	log_write(way, text.at, text.used);
}

void places_closed_late(int fd, const struct side *side, uint64_t after_ms, bool json,
			const struct probe_way *way)
{
	n_late++;
	if (after_ms > late_max_ms)
		late_max_ms = after_ms;
	if (json && side->place->next_print)
		tell_closed_late(fd, side, after_ms, way);
}

uint64_t places_late(uint64_t *max_ms)
{
	*max_ms = late_max_ms;
	return n_late;
}

static void list_pending(const struct probe_way *way)
{
	for (struct place *place = places; place; place = place->hh.next) {
		struct text text = new_report();

		if (!place->key.is_pending || !place->n || is_json)
			continue;
		fill_out(place, place->n);
		text_pending(&text, &place->sums);
		log_write(way, text.at, text.used);
	}
}

static void list_rules(struct text *text)
{
	for (unsigned i = 0; i < n_rules; i++) {
		if (!rules[i].n_used)
			continue;
		text_string(text, "==");
		text_unsigned(text, (uint64_t)guard_pid);
		text_string(text, "==sockleak: suppressed ");
		text_unsigned(text, rules[i].n_used);
		text_string(text, " by leak:");
		text_escaped(text, rules[i].pattern);
		text_string(text, "\n");
	}
}

/* What does not depend on a look. */
static struct text_summary counts(void)
{
	return (struct text_summary){
		.pid = guard_pid,
		.opened = atomic_load(&registry_counts.opened),
		.closed = atomic_load(&registry_counts.closed),
		.missed = atomic_load(&registry_counts.missed),
		.dropped = log_lost() + ledger_dropped(),
	};
}

static void sum_up(struct text *text, const struct text_summary *summary)
{
	if (is_json)
		text_json_summary(text, summary, realtime_ms());
	else
		text_summary(text, summary);
}

void places_summary(const struct probe_way *way)
{
	struct text text = new_report();
	struct text_summary summary = counts();
	/* What could not be recorded may have leaked: it is told of, too. */
	bool has_leaked = n_late > 0 || n_unplaced || summary.missed;

	summary.missed += n_unplaced + origin_lost();
	summary.closed_late = n_late;
	summary.closed_late_max_ms = late_max_ms;
	for (struct place *place = places; place; place = place->hh.next) {
		uint64_t count = place->key.is_pending ? 0 : leaked(place);

		has_leaked |= place->next_print > 0;
		summary.n_leaked += count;
		summary.n_places += count > 0;
		if (place->key.is_pending)
			summary.pending += place->n;
		else if (place->rule >= 0) {
			rules[place->rule].n_used += place->n - count;
			summary.suppressed += place->n - count;
		}
	}
	if (!summary.n_leaked && !has_leaked)
		return;
	list_pending(way);
	sum_up(&text, &summary);
	if (!is_json)
		list_rules(&text);
	log_write(way, text.at, text.used);
}

uint64_t places_summary_without(uint64_t n_leaked)
{
	static const struct probe_way directly = {-1};
	char bytes[1024];
	struct text text = {bytes, sizeof(bytes), 0, false};
	struct text_summary summary = counts();

	summary.n_leaked = n_leaked;
	log_complain("a look at the sockets did not come to its end: what leaked is "
		     "counted, but its places are not known");
	if (n_rules)
		return 0;
	sum_up(&text, &summary);
	log_write(&directly, text.at, text.used);
	return n_leaked;
}

/* The origins that hold the most sockets, whatever their state: what a person wants to
 * know who has run out of descriptors. */
struct holder {
	uint32_t origin;
	uint8_t call;
	uint64_t n;
};

static unsigned rank_holders(struct holder *top)
{
	/* A table of its own: origins repeat, and the busiest are few.  The first 512
	 * origins met are counted. */
	ARENA_TABLE static struct holder all[512];
	unsigned n_all = 0;

	for (unsigned fd = 0; fd < registry_top(); fd++) {
		struct row row;
		unsigned i = 0;

		if (!registry_read((int)fd, &row) ||
		    (atomic_load(&row.word) & ROW_NOT_TCP))
			continue;
		uint32_t origin = origin_settle(atomic_load(&row.origin));
		while (i < n_all && all[i].origin != origin)
			i++;
		if (i == n_all && n_all < sizeof(all) / sizeof(all[0]))
			all[n_all++] = (struct holder){origin, row.call, 0};
		if (i < n_all)
			all[i].n++;
	}
	unsigned n_top = 0;
	for (; n_top < N_TOP_HOLDERS; n_top++) {
		struct holder *best = NULL;

		for (unsigned i = 0; i < n_all; i++)
			if (all[i].n && (!best || all[i].n > best->n))
				best = &all[i];
		if (!best)
			break;
		top[n_top] = *best;
		best->n = 0;
	}
	return n_top;
}

void places_print_holders(const struct probe_way *way, uint64_t limit)
{
	struct holder top[N_TOP_HOLDERS];
	unsigned n = rank_holders(top);
	struct text text = new_report();

	if (is_json)
		return;
	text_string(&text, "==");
	text_unsigned(&text, (uint64_t)guard_pid);
	text_string(&text, "==WARNING: sockleak: the limit of open descriptors (");
	text_unsigned(&text, limit);
	text_string(&text, ") was reached; the places that hold the most sockets:\n");
	for (unsigned i = 0; i < n; i++) {
		const char *call = text_call_name(top[i].call);

		text_string(&text, "  ");
		text_unsigned(&text, top[i].n);
		text_string(&text,
			    top[i].n == 1 ? " socket opened by " : " sockets opened by ");
		text_string(&text, call ? call : "a call nobody saw");
		text_string(&text, "():\n");
		text_frames(&text, origin_frames,
			    name_frames(top[i].origin, 0, origin_frames));
	}
	log_write(way, text.at, text.used);
}

/* ---- names of tests ---- */

uint16_t places_name(const char *text)
{
	size_t bytes = strnlen(text, 1024);
	unsigned n = atomic_load(&n_test_names);

	for (unsigned i = 0; i < n && i < N_TEST_NAMES; i++) {
		const char *there = atomic_load(&test_names[i]);

		if (there && strncmp(there, text, bytes) == 0 && !there[bytes])
			return (uint16_t)(i + 1);
	}
	char *copy = arena_take(bytes + 1);
	if (!copy)
		return 0;
	memcpy(copy, text, bytes);
	n = atomic_fetch_add(&n_test_names, 1);
	if (n >= N_TEST_NAMES)
		return 0;
	atomic_store(&test_names[n], copy);
	return (uint16_t)(n + 1);
}

/* ---- into the ledger ---- */

static bool publish_module(uint32_t id)
{
	const struct origin_module *module = origin_module(id);

	if (!module)
		return true;
	struct sl_module record = {
		.head = {SL_RECORD_MODULE, sizeof(record)},
		.id = id,
		.path_bytes = (uint16_t)strnlen(module->path, 4096),
		.build_id_bytes = (uint16_t)module->build_id_bytes,
		.base = module->base,
		.size = module->size,
	};
	memcpy(record.build_id, module->build_id, sizeof(record.build_id));
	return ledger_append(&record.head, module->path, record.path_bytes);
}

static bool publish_backtrace(uint32_t id)
{
	const struct origin_backtrace *trace = origin_backtrace(id);
	struct sl_backtrace record = {
		.head = {SL_RECORD_BACKTRACE, sizeof(record)},
		.id = id,
		.n_frames = trace->n_frames,
		.is_short = trace->is_short,
	};

	return ledger_append(&record.head, trace->frames,
			     (uint32_t)(trace->n_frames * sizeof(trace->frames[0])));
}

static bool publish_name(uint32_t id)
{
	const char *text = atomic_load(&test_names[id - 1]);
	struct sl_name record = {.head = {SL_RECORD_NAME, sizeof(record)}, .id = id};

	if (!text)
		return false;
	record.text_bytes = (uint32_t)strnlen(text, 1024);
	return ledger_append(&record.head, text, record.text_bytes);
}

static uint32_t n_names_kept(void)
{
	unsigned n = atomic_load(&n_test_names);

	return n < N_TEST_NAMES ? n : N_TEST_NAMES;
}

/* What finds no room waits for the file to grow: nothing may be named that is not there.
 */
static bool publish_new(uint32_t *published, uint32_t n, bool (*publish)(uint32_t id))
{
	while (*published < n && publish(*published + 1))
		++*published;
	return *published >= n;
}

void places_publish(void)
{
	if (!ledger_is_kept())
		return;
	if (publish_new(&published_modules, origin_n_modules(), publish_module))
		publish_new(&published_backtraces, origin_n_backtraces(),
			    publish_backtrace);
	publish_new(&published_names, n_names_kept(), publish_name);
}

uint64_t places_unpublished(void)
{
	return !ledger_is_kept()
		       ? 0
		       : (uint64_t)(origin_n_modules() - published_modules) +
				 (origin_n_backtraces() - published_backtraces) +
				 (n_names_kept() - published_names);
}

void places_fork_child(void)
{
	/* The parent's ticker may have been at work on the tables when we were copied:
	 * they are left as they are, and new ones begun. */
	places = NULL;
	seen = NULL;
	seen_nodes = NULL;
	seen_bytes = n_seen = 0;
	n_reports = 0;
	n_late = late_max_ms = 0;
	published_backtraces = published_modules = published_names = 0;
	for (unsigned i = 0; i < n_rules; i++)
		rules[i].n_used = 0;
}
