/* Rules take sockets out of the findings: by pattern (suppressions) or because their
 * place is known already (the baseline).
 *
 * Theory of operation.  Both take sockets out of places; findings_settle() then drops the
 * places that became empty and counts again.  Suppressions come first, in the order of
 * their file: a rule with max=N takes the oldest N of a process and leaves the others to
 * the next rule.  A baseline that is written is written between the two, so that it has
 * the places that were known before, too. */
#include "filter/rules.h"

#include "annotate/frames.h"
#include "common/text_characters.h"
#include "support/say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

struct rule {
	char *line; /* "leak:PATTERN max=N", as it stands in the file */
	char *pattern;
	uint64_t max; /* sockets of one place and process that are expected; 0 = all */
};

struct rules {
	struct rule *rule;
	size_t n;
};

/* -- reading ---------------------------------------------------------------------- */

/* Without the line's end and the spaces before it. */
static size_t trimmed(const char *line, size_t bytes)
{
	while (bytes && strchr(" \t\r\n", line[bytes - 1]))
		bytes--;
	return bytes;
}

static int add_rule(void *to, const char *line, size_t bytes)
{
	struct rules *rules = to;
	const char *pattern;
	size_t pattern_bytes;
	uint64_t max;
	int is_rule;

	bytes = trimmed(line, bytes);
	is_rule = text_rule(line, bytes, &pattern, &pattern_bytes, &max);
	if (is_rule <= 0)
		return is_rule;
	rules->rule = say_one_more(rules->rule, rules->n, sizeof(*rules->rule));
	rules->rule[rules->n++] = (struct rule){
		.line = say_printf("%.*s", (int)bytes, line),
		.pattern = say_printf("%.*s", (int)pattern_bytes, pattern),
		.max = max,
	};
	return 0;
}

/* Gives each line of a file to `add`, until that says -1: the line is none. */
static int read_lines(const char *path,
		      int (*add)(void *to, const char *line, size_t bytes), void *to,
		      const char *complaint)
{
	FILE *file = fopen(path, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t bytes;
	int result = 0;

	if (!file) {
		say_warn("cannot open %s:", path);
		return -1;
	}
	for (unsigned number = 1;
	     result == 0 && (bytes = getline(&line, &size, file)) >= 0; number++) {
		result = add(to, line, (size_t)bytes);
		if (result < 0)
			say_warn("%s:%u: %s", path, number, complaint);
	}
	if (result == 0 && ferror(file)) {
		say_warn("cannot read %s:", path);
		result = -1;
	}
	free(line);
	fclose(file);
	return result;
}

struct rules *rules_read(const char *path)
{
	struct rules *rules = say_calloc(1, sizeof(*rules));

	if (read_lines(path, add_rule, rules,
		       "this is no rule: it must read leak:PATTERN, with max=N after it "
		       "where N sockets are expected") == 0)
		return rules;
	rules_free(rules);
	return NULL;
}

void rules_free(struct rules *rules)
{
	if (!rules)
		return;
	for (size_t i = 0; i < rules->n; i++) {
		free(rules->rule[i].line);
		free(rules->rule[i].pattern);
	}
	free(rules->rule);
	free(rules);
}

/* -- applying --------------------------------------------------------------------- */

static bool frame_matches(const char *pattern, const struct text_frame *frame)
{
	return (frame->function && text_matches(pattern, frame->function)) ||
	       (frame->file &&
		(text_matches(pattern, frame->file) ||
		 text_matches(pattern, frame->file + frame->file_prefix_bytes))) ||
	       (frame->module && text_matches(pattern, frame->module));
}

static bool place_matches(const char *pattern, const struct findings_place *place)
{
	for (unsigned i = 0; i < place->n_origin; i++)
		if (frame_matches(pattern, &place->origin[i]))
			return true;
	return false;
}

/* Returns how many sockets of the place the rule took out.  `taken` has a zero for each
 * process. */
static uint64_t take_out(const struct rule *rule, struct findings_place *place,
			 uint64_t *taken)
{
	size_t before = place->n_sockets, kept = 0;

	if (!rule->max) {
		place->n_sockets = 0;
		return before;
	}
	for (size_t i = 0; i < before; i++) {
		uint32_t process = place->sockets[i].holders[0].process;

		if (taken[process] < rule->max)
			taken[process]++;
		else
			place->sockets[kept++] = place->sockets[i];
	}
	place->n_sockets = kept;
	return before - kept;
}

static uint64_t apply_rule(const struct rule *rule, const struct findings *findings,
			   struct findings_place *places, size_t n)
{
	uint64_t count = 0;

	for (size_t i = 0; i < n; i++) {
		if (!places[i].n_sockets || !place_matches(rule->pattern, &places[i]))
			continue;
		uint64_t *taken = say_calloc(findings->n_processes, sizeof(*taken));

		count += take_out(rule, &places[i], taken);
		free(taken);
	}
	return count;
}

static void note_used(struct findings *findings, const char *rule, uint64_t count)
{
	findings->suppressed[findings->n_suppressed++] = (struct findings_rule){
		.rule = findings_keep_string(findings, rule), .count = count};
}

/* Room for `n` more notes. */
static void make_room(struct findings *findings, size_t n)
{
	struct findings_rule *room =
		findings_keep(findings, (findings->n_suppressed + n) * sizeof(*room));

	if (findings->n_suppressed)
		memcpy(room, findings->suppressed,
		       findings->n_suppressed * sizeof(*room));
	findings->suppressed = room;
}

void rules_apply(const struct rules *rules, struct findings *findings)
{
	make_room(findings, rules->n);
	findings->unused = findings_keep(findings, rules->n * sizeof(*findings->unused));
	for (size_t i = 0; i < rules->n; i++) {
		const struct rule *rule = &rules->rule[i];
		uint64_t count =
			apply_rule(rule, findings, findings->leaks, findings->n_leaks) +
			apply_rule(rule, findings, findings->late, findings->n_late) +
			apply_rule(rule, findings, findings->pending,
				   findings->n_pending);

		if (count)
			note_used(findings, rule->line, count);
		else
			findings->unused[findings->n_unused++] =
				findings_keep_string(findings, rule->line);
	}
	findings_settle(findings);
}

/* Such a name would break the line of the rule or steer the terminal it is printed on,
 * and escaped it would match nothing. */
static bool has_control_characters(const char *name)
{
	while (*name) {
		uint32_t code;
		unsigned n = text_character(name, &code);

		if (n == 0 || text_is_control(code))
			return true;
		name += n;
	}
	return false;
}

char *rules_propose(const struct findings_place *place)
{
	const struct text_frame *frame =
		frames_first_of_user(place->origin, place->n_origin);
	const char *name = frame ? frame->function : NULL;
	bool is_function = name != NULL;

	if (!name && frame && frame->module) {
		const char *slash = strrchr(frame->module, '/');

		name = slash ? slash : frame->module;
	}
	if (!name || has_control_characters(name))
		return NULL;
	return say_printf("leak:%s%s$", is_function ? "^" : "", name);
}

/* -- the baseline ----------------------------------------------------------------- */

struct known {
	char id[TEXT_ID_BYTES];
	UT_hash_handle hh;
};

struct baseline {
	char *path;
	struct known *known;
};

static bool is_id(const char *id, size_t bytes)
{
	return bytes == TEXT_ID_BYTES - 1 &&
	       strspn(id, "0123456789abcdef") >= TEXT_ID_BYTES - 1;
}

static int add_known(void *to, const char *line, size_t line_bytes)
{
	struct baseline *baseline = to;
	size_t start = strspn(line, " \t\r\n"), bytes = strcspn(line + start, " \t\r\n#");
	struct known *one;

	(void)line_bytes;
	if (bytes == 0)
		return line[start] == 0 || line[start] == '#' ? 0 : -1;
	if (!is_id(line + start, bytes))
		return -1;
	HASH_FIND(hh, baseline->known, line + start, TEXT_ID_BYTES - 1, one);
	if (one)
		return 0;
	one = say_calloc(1, sizeof(*one));
	memcpy(one->id, line + start, TEXT_ID_BYTES - 1);
	HASH_ADD(hh, baseline->known, id, TEXT_ID_BYTES - 1, one);
	return 0;
}

struct baseline *rules_read_baseline(const char *path)
{
	struct baseline *baseline = say_calloc(1, sizeof(*baseline));

	baseline->path = say_strdup(path);
	if (read_lines(path, add_known, baseline,
		       "this is no line of a baseline: it must begin with the id of a "
		       "place") == 0)
		return baseline;
	rules_free_baseline(baseline);
	return NULL;
}

void rules_apply_baseline(const struct baseline *baseline, struct findings *findings)
{
	uint64_t count = 0;
	size_t n_leaks = findings->n_leaks;

	for (size_t i = 0; i < n_leaks + findings->n_late; i++) {
		struct findings_place *place =
			i < n_leaks ? &findings->leaks[i] : &findings->late[i - n_leaks];
		struct known *one;

		HASH_FIND(hh, baseline->known, place->id, TEXT_ID_BYTES - 1, one);
		if (!one)
			continue;
		count += place->n_sockets;
		place->n_sockets = 0;
	}
	if (!count)
		return;
	char *rule = say_printf("baseline:%s", baseline->path);
	make_room(findings, 1);
	note_used(findings, rule, count);
	free(rule);
	findings_settle(findings);
}

void rules_free_baseline(struct baseline *baseline)
{
	struct known *one, *next;

	if (!baseline)
		return;
	HASH_ITER(hh, baseline->known, one, next)
	{
		HASH_DEL(baseline->known, one);
		free(one);
	}
	free(baseline->path);
	free(baseline);
}

static void print_place_name(const struct findings_place *place, FILE *file)
{
	const struct text_frame *frame =
		frames_first_of_user(place->origin, place->n_origin);
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_string(&text, text_kind_name(place->kind));
	text_string(&text, " ");
	text_unsigned(&text, place->n_sockets);
	if (frame && frame->function) {
		text_string(&text, " ");
		text_escaped(&text, frame->function);
	}
	if (frame && frame->file) {
		text_string(&text, " ");
		text_escaped(&text, frame->file + frame->file_prefix_bytes);
		text_string(&text, ":");
		text_unsigned(&text, frame->line);
	}
	fprintf(file, "%s # %.*s\n", place->id, (int)text.used, buffer);
}

void rules_write_baseline(const struct findings *findings, FILE *file)
{
	fputs("# Places of leaks that are known; sockleak --baseline=THIS counts none of "
	      "them.\n",
	      file);
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_place_name(&findings->leaks[i], file);
	for (size_t i = 0; findings->late_counts && i < findings->n_late; i++)
		print_place_name(&findings->late[i], file);
}
