/* See options.h. */
#include "support/options.h"

#include "common/ledger.h"
#include "common/text.h"
#include "support/say.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Above all letters: getopt_long() tells by the value alone which option it refused. */
#define FIRST_LONG  1000
#define HELP_COLUMN 25

static const struct options_row common_rows[] = {
	{"help", 'h', NULL, "this text", NULL, 0, NULL, NULL},
	{"version", 'V', NULL, "the version", NULL, 0, NULL, NULL},
	{0},
};

/* Row `n` of all tables, headings too, and where its values go; NULL = there are no more.
 */
static const struct options_row *row_at(const struct options *options, size_t n,
					void **into)
{
	const struct options_table tables[] = {
		options->tables[0], options->tables[1], {common_rows, NULL}};

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		const struct options_row *row = tables[i].rows;

		*into = tables[i].into;
		for (; row && row->help; row++)
			if (n-- == 0)
				return row;
	}
	return NULL;
}

/* What getopt_long() returned: FIRST_LONG + its number, or its letter. */
static const struct options_row *find_row(const struct options *options, int option,
					  void **into)
{
	const struct options_row *row;

	if (option >= FIRST_LONG)
		return row_at(options, (size_t)(option - FIRST_LONG), into);
	for (size_t n = 0; (row = row_at(options, n, into)); n++)
		if (row->letter && row->letter == option)
			return row;
	return NULL;
}

/* -- help ------------------------------------------------------------------------- */

static void print_text(const char *text)
{
	for (; *text; text++) {
		putchar(*text);
		if (*text == '\n')
			printf("%*s", HELP_COLUMN, "");
	}
	putchar('\n');
}

/* "  -q, --quiet            no text" */
static void print_row(const struct options_row *row)
{
	bool may_be_left_out = row->value && row->value[0] == '[';
	int bytes = row->letter ? printf("  -%c, --%s", row->letter, row->name)
				: printf("  --%s", row->name);

	if (may_be_left_out)
		bytes += printf("[=%s", row->value + 1);
	else if (row->value)
		bytes += printf("=%s", row->value);
	if (bytes + 2 > HELP_COLUMN) {
		putchar('\n');
		bytes = 0;
	}
	printf("%*s", HELP_COLUMN - bytes, "");
	print_text(row->help);
}

static _Noreturn void print_help(const struct options *options)
{
	const struct options_row *row;
	void *into;

	fputs(options->usage, stdout);
	putchar('\n');
	for (size_t n = 0; (row = row_at(options, n, &into)); n++) {
		if (row->name)
			print_row(row);
		else
			puts(row->help);
	}
	putchar('\n');
	fputs(options->usage_end, stdout);
	exit(0);
}

/* -- what is wrong ---------------------------------------------------------------- */

/* What getopt_long() refused: ':' where a value is missing. */
static _Noreturn void refuse(const struct options *options, int option, char **argv)
{
	/* Where a letter is refused, optind may still be at the word that it stands in;
	 * one of several bytes is negative. */
	bool is_letter = optopt && optopt < FIRST_LONG;
	const char *word = argv[optind - 1];
	int bytes = (int)strcspn(word, "=");

	if (is_letter)
		say_usage(options->subcommand,
			  option == ':' ? "-%c needs a value" : "there is no option -%c",
			  optopt);
	if (option == ':')
		say_usage(options->subcommand, "%s needs a value", word);
	if (optopt)
		say_usage(options->subcommand, "%.*s takes no value", bytes, word);
	say_usage(options->subcommand, "there is no option %.*s", bytes, word);
}

/* Its place among the names; -1 = it is none of them. */
static int find_name(const char *const *names, const char *value)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(value, names[i]) == 0)
			return i;
	return -1;
}

/* "always, auto or never"; the caller frees it. */
static char *join_names(const char *const *names)
{
	char *joined = say_strdup(names[0]);

	for (int i = 1; names[i]; i++) {
		char *longer = say_printf("%s%s%s", joined, names[i + 1] ? ", " : " or ",
					  names[i]);
		free(joined);
		joined = longer;
	}
	return joined;
}

static _Noreturn void refuse_value(const struct options *options,
				   const struct options_row *row, const char *value)
{
	const char letter[] = {'-', row->letter, ',', ' ', 0};
	const char *what = row->names ? join_names(row->names) : row->what;

	say_usage(options->subcommand, "%s--%s is %s, not '%s'",
		  row->letter ? letter : "", row->name, what, value);
}

static bool ends_in(const char *word, const char *ending)
{
	size_t n = strlen(word), n_ending = strlen(ending);

	return n > n_ending && strcmp(word + n - n_ending, ending) == 0;
}

/* Whether the words after an option whose value was left out begin with that value: a
 * file by its name, or because an argument stands behind it and it is none itself. */
static bool begin_with_value(const struct options *options, const struct options_row *row,
			     char *const *words)
{
	char ending[32];

	if (!words[0] || words[0][0] == '-')
		return false;
	if (row->names)
		return find_name(row->names, words[0]) >= 0;
	snprintf(ending, sizeof(ending), ".%s", row->name);
	return ends_in(words[0], ending) || ends_in(words[0], ".txt") ||
	       (options->takes && words[1] && !options->takes(words[0]) &&
		options->takes(words[1]));
}

/* -- taking ----------------------------------------------------------------------- */

static void take(const struct options *options, const struct options_row *row, void *into,
		 char *const *words)
{
	char *field = (char *)into + row->field;
	int index = row->names && optarg ? find_name(row->names, optarg) : 0;

	if (row->value && row->value[0] == '[' && !optarg &&
	    begin_with_value(options, row, words))
		say_usage(options->subcommand, "--%s takes its value after '=': --%s=%s",
			  row->name, row->name, words[0]);
	if (index < 0)
		refuse_value(options, row, optarg);
	if (!row->take)
		memcpy(field, &index, sizeof(index));
	else if (!row->take(field, optarg))
		refuse_value(options, row, optarg);
}

static void take_or_tell(const struct options *options, int option, char *const *words)
{
	void *into;
	const struct options_row *row = find_row(options, option, &into);

	if (row == &common_rows[0])
		print_help(options);
	if (row == &common_rows[1]) {
		printf("sockleak %s\n", SL_VERSION);
		exit(0);
	}
	take(options, row, into, words);
}

static int needs(const struct options_row *row)
{
	if (!row->value)
		return no_argument;
	return row->value[0] == '[' ? optional_argument : required_argument;
}

/* Fills in the two tables of getopt_long(). */
static void describe(const struct options *options, struct option *longs,
		     struct text *letters)
{
	const struct options_row *row;
	void *into;

	text_string(letters, options->ends_at_argument ? "+:" : ":");
	for (size_t n = 0; (row = row_at(options, n, &into)); n++) {
		char letter[] = {row->letter, 0};

		if (!row->name)
			continue;
		*longs++ =
			(struct option){row->name, needs(row), NULL, FIRST_LONG + (int)n};
		text_string(letters, letter);
		if (row->letter && row->value)
			text_string(letters, ":");
	}
}

void options_take(const struct options *options, int argc, char **argv)
{
	char letters[256] = "";
	struct text text = {.at = letters, .size = sizeof(letters) - 1};
	size_t n = 0;
	void *into;

	while (row_at(options, n, &into))
		n++;
	struct option *longs = say_calloc(n + 1, sizeof(*longs));
	describe(options, longs, &text);
	opterr = 0;
	for (int option;
	     (option = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
		if (option == '?' || option == ':')
			refuse(options, option, argv);
		take_or_tell(options, option, argv + optind);
	}
	free(longs);
}

bool options_flag(void *field, const char *value)
{
	(void)value;
	*(bool *)field = true;
	return true;
}

bool options_string(void *field, const char *value)
{
	*(const char **)field = value;
	return true;
}

bool options_file(void *field, const char *value)
{
	struct options_file *file = field;

	file->given = true;
	file->path = value && strcmp(value, "-") != 0 ? value : NULL;
	return true;
}

bool options_exitcode(void *field, const char *value)
{
	char *end;

	errno = 0;
	long status = strtol(value, &end, 10);
	if (errno || end == value || *end || status < 0 || status > 255)
		return false;
	*(int *)field = (int)status;
	return true;
}

bool options_duration_ms(void *field, const char *value)
{
	uint64_t ns;

	if (!text_parse_duration(value, strlen(value), &ns))
		return false;
	*(uint64_t *)field = ns / 1000000;
	return true;
}

bool options_interval_ms(void *field, const char *value)
{
	return options_duration_ms(field, value) && *(uint64_t *)field > 0;
}

bool options_is_number(const char *word)
{
	return isdigit((unsigned char)word[0]);
}
