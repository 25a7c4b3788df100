/* SOCKLEAK_OPTIONS, parsed once into one constant struct. */
#ifndef SOCKLEAK_SETTINGS_H
#define SOCKLEAK_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SETTINGS_PATH_BYTES 1024

enum settings_at_exit { AT_EXIT_TOLD, AT_EXIT_GRACE, AT_EXIT_NONE };

struct settings {
	uint64_t grace_ns;    /* 0 = auto, filled in from tcp_fin_timeout by start.c */
	uint64_t interval_ns; /* between looks, at the soonest */
	unsigned frames;      /* 1 to 128 */
	unsigned max_reports; /* places printed in full */
	int exitcode;         /* 0 = leave the host's status alone */
	enum settings_at_exit at_exit;
	bool thread;
	bool json;
	bool help;
	bool log_is_stderr; /* else log[0] is 0 (none) or the path */
	/* Less than SETTINGS_PATH_BYTES long, in memory of settings.c: parsed once. */
	const char *log;          /* %p and %e not yet replaced */
	const char *ledger;       /* directory; "" = off */
	const char *suppressions; /* file; "" = none */
};

/* Fills `settings` from `options` (NULL = all defaults).  For each unknown name or bad
 * value `complain` gets one line without prefix and newline, and the default stands.  No
 * allocation, no locale, no system call. */
void settings_parse(struct settings *settings, const char *options,
		    void (*complain)(const char *line));

/* The table of options, as `help=1` prints it. */
extern const char settings_help[];

/* A duration: "500ms", "10s", "2m", "1h".  false = malformed or too large. */
bool settings_duration(const char *text, size_t bytes, uint64_t *ns);

#endif
