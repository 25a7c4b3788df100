/* SOCKLEAK_OPTIONS, "name=value:name='a:b'".
 *
 * One table: from a row come the name, the default as `help=1` prints it, the meaning,
 * and how the value is read. */
#include "report/settings.h"

#include "base/sections.h"
#include "common/text.h"

#include <string.h>

#define SECOND_NS     UINT64_C(1000000000)
#define MIN_AUTO_NS   UINT64_C(10000000) /* of an interval that nobody chose */
#define COMPLAIN_SIZE 256                /* one line; what is longer is cut */

/* What a value may be; also the words of a complaint. */
enum form {
	A_GRACE,
	AN_INTERVAL,
	A_FRAME_COUNT,
	A_COUNT,
	AN_EXIT_CODE,
	A_SWITCH,
	A_FORMAT,
	AN_AT_EXIT,
	A_LOG,
	A_DIRECTORY,
	A_FILE,
	WATCHED_PROGRAMS,
	LEFT_OUT_PROGRAMS,
};
static const char *const form_words[] = {
	[A_GRACE] = "auto or a duration such as 500ms, 10s, 2m",
	[AN_INTERVAL] = "auto or a duration such as 500ms, 10s, 2m",
	[A_FRAME_COUNT] = "a number from 1 to 128",
	[A_COUNT] = "a number from 0 to 1000000",
	[AN_EXIT_CODE] = "a number from 0 to 255",
	[A_SWITCH] = "yes or no",
	[A_FORMAT] = "text or json",
	[AN_AT_EXIT] = "told, all, grace or none",
	[A_LOG] = "stderr, none or a path of at most 1023 bytes",
	[A_DIRECTORY] = "off or a path of at most 1023 bytes",
	[A_FILE] = "none or a path of at most 1023 bytes",
	[WATCHED_PROGRAMS] = "all or globs of at most 1023 bytes",
	[LEFT_OUT_PROGRAMS] = "none or globs of at most 1023 bytes",
};

/* name, default, form, member, meaning */
#define OPTIONS(OPTION)                                                                  \
	OPTION(grace, "auto", A_GRACE, grace_ns,                                         \
	       "how long a socket may stay with its peer gone, without this side\n"      \
	       "      sending, before it is a leak; auto: net.ipv4.tcp_fin_timeout")     \
	OPTION(log, "stderr", A_LOG, log,                                                \
	       "or a path (%p pid, %e program name, %h host name), or none")             \
	OPTION(format, "text", A_FORMAT, json, "or json: one object a line")             \
	OPTION(ledger, "off", A_DIRECTORY, ledger,                                       \
	       "a directory: keep records there, one file a process; a name with %h,\n"  \
	       "      %e or %p in it, as of log, is created")                            \
	OPTION(frames, "32", A_FRAME_COUNT, frames,                                      \
	       "frames kept of a backtrace, 1 to 128")                                   \
	OPTION(interval, "auto", AN_INTERVAL, interval_ns,                               \
	       "how often the kernel is asked, at the soonest; auto: 1s, or half of a\n" \
	       "      shorter grace, but 10ms at least")                                 \
	OPTION(thread, "yes", A_SWITCH, thread,                                          \
	       "no: no helper thread; the kernel is asked from interposed calls\n"       \
	       "      and at exit")                                                      \
	OPTION(languages, "yes", A_SWITCH, languages,                                    \
	       "no: of a Python or Ruby program only the interpreter's own frames")      \
	OPTION(java, "yes", A_SWITCH, java,                                              \
	       "no: the same of a Java program (OpenJDK 17, 25)")                        \
	OPTION(uses, "no", A_SWITCH, uses,                                               \
	       "yes: of each leaked socket the last call that moved data on it")         \
	OPTION(exitcode, "0", AN_EXIT_CODE, exitcode,                                    \
	       "not 0: the process ends with this status if it leaked and would\n"       \
	       "      have ended with 0")                                                \
	OPTION(suppressions, "none", A_FILE, suppressions,                               \
	       "a file of rules: leak:PATTERN, or leak:PATTERN max=N")                   \
	OPTION(at_exit, "told", AN_AT_EXIT, at_exit,                                     \
	       "what counts at exit: what was told, all whose peer has gone, only\n"     \
	       "      what is past grace, or none")                                      \
	OPTION(max_reports, "100", A_COUNT, max_reports,                                 \
	       "places printed in full before only counts are")                          \
	OPTION(programs, "all", WATCHED_PROGRAMS, programs,                              \
	       "programs to watch: globs of their paths, or without a slash of their\n"  \
	       "      names, with ',' between; others run as without the library")       \
	OPTION(not, "none", LEFT_OUT_PROGRAMS, left_out,                                 \
	       "the same: programs not to watch")                                        \
	OPTION(off, "no", A_SWITCH, off, "yes: nothing is done")                         \
	OPTION(help, "no", A_SWITCH, help, "yes: print this table and go on")

#define HELP(name, fallback, form, member, meaning)                                      \
	"  " #name "=" fallback "\n      " meaning "\n"
const char settings_help[] = "SOCKLEAK_OPTIONS=\"name=value:name=value\", a value with "
			     "a ':' quoted by '; defaults:\n" OPTIONS(HELP);
#undef HELP

static const struct option {
	const char *name;
	enum form form;
	size_t member; /* its offset in struct settings */
} options_table[] = {
#define ROW(name, fallback, form, member, meaning)                                       \
	{#name, form, offsetof(struct settings, member)},
	OPTIONS(ROW)
#undef ROW
};
#define N_OPTIONS (sizeof options_table / sizeof *options_table)

/* The defaults of the table as they are once read: a start without options reads none. */
static const struct settings defaults = {
	.grace_ns = 0,
	.interval_ns = 0,
	.frames = 32,
	.max_reports = 100,
	.at_exit = SL_AT_EXIT_TOLD,
	.thread = true,
	.languages = true,
	.java = true,
	.log_is_stderr = true,
	.log = "",
	.ledger = "",
	.suppressions = "",
	.programs = "",
	.left_out = "",
};

/* A piece of the options; not terminated. */
struct piece {
	const char *at;
	size_t bytes;
};

static bool is_word(struct piece piece, const char *word)
{
	return piece.bytes == strlen(word) && memcmp(piece.at, word, piece.bytes) == 0;
}

/* Digits only, at most nine of them: no overflow in what it is multiplied with. */
static bool parse_number(struct piece piece, uint64_t *number)
{
	*number = 0;
	if (piece.bytes == 0 || piece.bytes > 9)
		return false;
	for (size_t i = 0; i < piece.bytes; i++) {
		if (piece.at[i] < '0' || piece.at[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(piece.at[i] - '0');
	}
	return true;
}

static bool parse_grace(struct piece value, uint64_t *ns)
{
	uint64_t parsed = 0;

	if (!is_word(value, "auto")) {
		if (!text_parse_duration(value.at, value.bytes, &parsed))
			return false;
		parsed += parsed == 0; /* 0 stands for auto; a grace of none is 1 ns */
	}
	*ns = parsed;
	return true;
}

static bool parse_interval(struct piece value, uint64_t *ns)
{
	uint64_t parsed = 0;

	if (!is_word(value, "auto") &&
	    (!text_parse_duration(value.at, value.bytes, &parsed) || parsed == 0))
		return false;
	*ns = parsed;
	return true;
}

/* A leak that is held for one and a half times the grace is seen by a scan, then. */
AT_START static uint64_t auto_interval(uint64_t grace_ns)
{
	uint64_t half_ns = grace_ns / 2;

	if (!grace_ns || half_ns > SECOND_NS)
		return SECOND_NS;
	return half_ns > MIN_AUTO_NS ? half_ns : MIN_AUTO_NS;
}

/* unsigned and int alike: all ranges lie in both. */
static bool parse_range(struct piece value, uint64_t least, uint64_t most, void *to)
{
	uint64_t number;

	if (!parse_number(value, &number) || number < least || number > most)
		return false;
	memcpy(to, &(unsigned){(unsigned)number}, sizeof(unsigned));
	return true;
}

/* One of two words; the second says true. */
static bool parse_choice(struct piece value, const char *no, const char *yes, bool *to)
{
	if (!is_word(value, no) && !is_word(value, yes))
		return false;
	*to = is_word(value, yes);
	return true;
}

static bool parse_switch(struct piece value, bool *to)
{
	return parse_choice(value, "no", "yes", to) || parse_choice(value, "0", "1", to);
}

static bool parse_at_exit(struct piece value, enum sl_at_exit *to)
{
	static const char *const words[] = {[SL_AT_EXIT_TOLD] = "told",
					    [SL_AT_EXIT_GRACE] = "grace",
					    [SL_AT_EXIT_NONE] = "none",
					    [SL_AT_EXIT_ALL] = "all"};

	for (unsigned i = 0; i < sizeof words / sizeof *words; i++)
		if (is_word(value, words[i])) {
			*to = (enum sl_at_exit)i;
			return true;
		}
	return false;
}

/* Where the paths are kept, since a host may write over its environment: a start without
 * any does not touch it. */
ARENA_TABLE static char paths[LEFT_OUT_PROGRAMS - A_LOG + 1][SETTINGS_PATH_BYTES];

AT_START static bool parse_path(struct piece value, const char *off, char *kept,
				const char **to)
{
	if (is_word(value, off)) {
		*to = "";
		return true;
	}
	if (value.bytes == 0 || value.bytes >= SETTINGS_PATH_BYTES)
		return false;
	memcpy(kept, value.at, value.bytes);
	kept[value.bytes] = 0;
	*to = kept;
	return true;
}

static bool parse_log(struct settings *settings, struct piece value)
{
	bool is_stderr = is_word(value, "stderr");

	if (!is_stderr && !parse_path(value, "none", paths[0], &settings->log))
		return false;
	if (is_stderr)
		settings->log = "";
	settings->log_is_stderr = is_stderr;
	return true;
}

static bool parse_value(struct settings *settings, const struct option *option,
			struct piece value)
{
	void *to = (char *)settings + option->member;

	switch (option->form) {
	case A_GRACE:
		return parse_grace(value, to);
	case AN_INTERVAL:
		return parse_interval(value, to);
	case A_FRAME_COUNT:
		return parse_range(value, 1, 128, to);
	case A_COUNT:
		return parse_range(value, 0, 1000000, to);
	case AN_EXIT_CODE:
		return parse_range(value, 0, 255, to);
	case A_SWITCH:
		return parse_switch(value, to);
	case A_FORMAT:
		return parse_choice(value, "text", "json", to);
	case AN_AT_EXIT:
		return parse_at_exit(value, to);
	case A_LOG:
		return parse_log(settings, value);
	case A_DIRECTORY:
		return parse_path(value, "off", paths[A_DIRECTORY - A_LOG], to);
	case A_FILE:
	case LEFT_OUT_PROGRAMS:
		return parse_path(value, "none", paths[option->form - A_LOG], to);
	case WATCHED_PROGRAMS:
		return parse_path(value, "all", paths[WATCHED_PROGRAMS - A_LOG], to);
	}
	return false;
}

/* "option grace: bad value '12' (want auto or ...)" */
static void complain_of(void (*complain)(const char *), const char *before,
			struct piece culprit, const char *after, const char *want)
{
	char line[COMPLAIN_SIZE], copy[COMPLAIN_SIZE / 4];
	struct text text = {.at = line, .size = sizeof line - 1};
	size_t n = culprit.bytes < sizeof copy ? culprit.bytes : sizeof copy - 1;

	memcpy(copy, culprit.at, n);
	copy[n] = 0;
	text_string(&text, before);
	text_escaped(&text, copy);
	text_string(&text, n < culprit.bytes ? "..." : "");
	text_string(&text, after);
	text_string(&text, want);
	line[text.used] = 0;
	complain(line);
}

static void bad_value(void (*complain)(const char *), const struct option *option,
		      struct piece value)
{
	char before[64];
	struct text text = {.at = before, .size = sizeof before - 1};

	text_string(&text, "option ");
	text_string(&text, option->name);
	text_string(&text, ": bad value '");
	before[text.used] = 0;
	complain_of(complain, before, value, "', want ", form_words[option->form]);
}

static void apply(struct settings *settings, struct piece name, struct piece value,
		  void (*complain)(const char *))
{
	for (unsigned i = 0; i < N_OPTIONS; i++)
		if (is_word(name, options_table[i].name)) {
			if (!parse_value(settings, &options_table[i], value))
				bad_value(complain, &options_table[i], value);
			return;
		}
	complain_of(complain, "unknown option '", name, "'", ": help=1 lists them");
}

/* Cuts the value off the front of `rest`, the quotes taken away.  false = the quote has
 * no end, or something stands behind it. */
static bool take_value(struct piece *rest, struct piece *value)
{
	bool quoted = rest->bytes > 0 && *rest->at == '\'';
	const char *start = rest->at + quoted;
	size_t room = rest->bytes - quoted;
	const char *end = room > 0 ? memchr(start, quoted ? '\'' : ':', room) : NULL;
	bool is_good = !quoted || end;

	value->at = start;
	value->bytes = end ? (size_t)(end - start) : room;
	start += value->bytes;
	room -= value->bytes;
	if (quoted && end) {
		start++;
		room--;
		is_good = room == 0 || *start == ':';
	}
	*rest = (struct piece){start, room};
	return is_good;
}

/* One "name=value" off the front of `rest`. */
static void take_option(struct settings *settings, struct piece *rest,
			void (*complain)(const char *))
{
	struct piece name = {rest->at, 0}, value;

	while (name.bytes < rest->bytes && !memchr("=:", name.at[name.bytes], 2))
		name.bytes++;
	if (name.bytes == rest->bytes || name.at[name.bytes] == ':') {
		complain_of(complain, "option '", name, "' has no value", "");
		*rest = (struct piece){name.at + name.bytes, rest->bytes - name.bytes};
		return;
	}
	*rest = (struct piece){name.at + name.bytes + 1, rest->bytes - name.bytes - 1};
	if (take_value(rest, &value)) {
		apply(settings, name, value, complain);
		return;
	}
	complain_of(complain, "option ", name, ": the quote ' does not end the value",
		    "");
	while (rest->bytes > 0 && *rest->at != ':')
		*rest = (struct piece){rest->at + 1, rest->bytes - 1};
}

AT_START void settings_parse(struct settings *settings, const char *options,
			     void (*complain)(const char *line))
{
	struct piece rest = {options, options ? strlen(options) : 0};

	*settings = defaults;
	while (rest.bytes > 0) {
		if (*rest.at == ':')
			rest = (struct piece){rest.at + 1, rest.bytes - 1};
		else
			take_option(settings, &rest, complain);
	}
	if (!settings->interval_ns)
		settings->interval_ns = auto_interval(settings->grace_ns);
}
