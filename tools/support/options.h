/* The options of a subcommand, described once: what getopt_long() takes, the help and the
 * messages about wrong values come from the same rows. */
#ifndef SOCKLEAK_OPTIONS_H
#define SOCKLEAK_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A row without a name is a heading of the help; a table ends with one without help. */
struct options_row {
	const char *name;  /* the long one */
	char letter;       /* 0 = none */
	const char *value; /* "FILE"; "[FILE]" = may be left out; NULL = it takes none */
	const char *help;  /* lines, separated by '\n' */
	/* Stores the value (NULL = none was given) in the field; false = it is not as
	 * `what` says. */
	bool (*take)(void *field, const char *value);
	size_t field;     /* offset in what the table's values are stored in */
	const char *what; /* "a duration as 500ms" */
	/* All values, ended by NULL.  Without take() the index of the one that was given
	 * is stored in the field, an int, and 0 where it was left out. */
	const char *const *names;
};

struct options_table {
	const struct options_row *rows;
	void *into;
};

struct options {
	const char *subcommand;
	const char *usage;               /* the beginning of the help */
	const char *usage_end;           /* its end: exit status, examples */
	struct options_table tables[2];  /* the second one may be missing */
	bool ends_at_argument;           /* what follows the first one is a program's */
	bool (*takes)(const char *word); /* as an argument; NULL = any */
};

/* Takes all of them, and leaves optind (getopt.h) at the first argument.  --help and
 * --version, which every subcommand has, and a usage error end the process. */
void options_take(const struct options *options, int argc, char **argv);

/* For options_row.take, with the type of the field. */
bool options_flag(void *field, const char *value);        /* bool */
bool options_string(void *field, const char *value);      /* const char *; of argv */
bool options_file(void *field, const char *value);        /* struct options_file */
bool options_exitcode(void *field, const char *value);    /* int */
bool options_duration_ms(void *field, const char *value); /* uint64_t */
bool options_interval_ms(void *field, const char *value); /* the same, above 0 */
#define OPTIONS_EXITCODE "a number from 0 to 255"
#define OPTIONS_DURATION "a duration as 500ms, 1.5s or 2m"
#define OPTIONS_INTERVAL OPTIONS_DURATION ", not 0"
/* For options.takes: arguments are process ids. */
bool options_is_number(const char *word);

struct options_file {
	bool given;
	const char *path; /* NULL = standard output */
};

#endif
