/* SOCKLEAK_OPTIONS, parsed once into one constant struct.
 *
 * A new option: a member of struct settings, and in settings.c a row of OPTIONS and the
 * default in `defaults`; an enum form, form_words and parse_value() for values of a new
 * kind; the table in README.md, tools/libsockleak.7 and tools/sockleak.bash-completion
 * (tests/e2e/install.bats asks for the last two), and tests/unit/settings_test.c. */
#ifndef SOCKLEAK_SETTINGS_H
#define SOCKLEAK_SETTINGS_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_PATH_BYTES 1024

struct settings {
	uint64_t grace_ns;    /* 0 = auto, filled in from tcp_fin_timeout by start.c */
	uint64_t interval_ns; /* between scans, at the soonest; auto is filled in */
	unsigned frames;      /* 1 to 128 */
	unsigned max_reports; /* places printed in full */
	int exitcode;         /* 0 = leave the host's status alone */
	enum sl_at_exit at_exit;
	bool thread;
	bool languages, java, uses;
	bool json;
	bool help;
	bool off;           /* the option, or this program is left out (start.c) */
	bool log_is_stderr; /* else log[0] is 0 (none) or the path */
	/* Less than SETTINGS_PATH_BYTES long, in memory of settings.c: parsed once. */
	const char *log;          /* %p, %e and %h not yet replaced */
	const char *ledger;       /* directory, as log; "" = off */
	const char *suppressions; /* file; "" = none */
	const char *programs;     /* globs, separated by commas; "" = all */
	const char *left_out;     /* the same; "" = none */
};

/* Fills `settings` from `options` (NULL = all defaults).  For each unknown name or bad
 * value `complain` gets one line without prefix and newline, and the default stands.  No
 * allocation, no locale, no system call. */
void settings_parse(struct settings *settings, const char *options,
		    void (*complain)(const char *line));

/* The table of options, as `help=1` prints it. */
extern const char settings_help[];

#endif
