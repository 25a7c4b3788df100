/* See run_options.h. */
#include "run/run_options.h"

#include "run/library_options.h"
#include "run/target.h"
#include "support/options.h"
#include "support/say.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"Usage: sockleak run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"Run PROGRAM and its children with the library preloaded, and report at its end\n"
	"(on standard error) which sockets were held although their peers had gone.\n";

static const char usage_end[] =
	"Exit status: the program's own (128 + n if signal n killed it), or N of\n"
	"--error-exitcode if that was 0 and a socket leaked; 125 if sockleak failed,\n"
	"126 if the program cannot be run, 127 if it was not found.\n"
	"\n"
	"Examples:\n"
	"  sockleak run ./server --port 8080\n"
	"  sockleak run --grace=5s -O frames=64 -o report.txt -- ./server\n"
	"  sockleak run --error-exitcode=9 --json=leaks.json -- make check\n"
	"  sockleak run --ledger=/var/tmp/ledgers ./server & sockleak list\n";

/* Adds "name=value", the value quoted where it holds what separates options. */
static void add_setting(struct run_options *taken, const char *setting)
{
	const char *value = strchr(setting, '=');

	if (!value || value == setting)
		say_usage("run", "-O takes NAME=VALUE, not '%s'", setting);
	if (strncmp(setting, "ledger=", 7) == 0)
		say_usage("run", "for a directory of ledgers there is --ledger=DIR");
	bool quote = strchr(value, ':') && value[1] != '\'';
	if (quote && strchr(value, '\''))
		say_usage("run", "the value of '%s' holds both ':' and a quote", setting);
	char *longer =
		say_printf("%s:%.*s%s%s%s", taken->settings, (int)(value + 1 - setting),
			   setting, quote ? "'" : "", value + 1, quote ? "'" : "");
	free(taken->settings);
	taken->settings = longer;
}

/* -O NAME=VALUE */
static bool take_setting(void *of, const char *value)
{
	add_setting(of, value);
	return true;
}

static bool take_at_exit(void *of, const char *value)
{
	char *setting = say_printf("at_exit=%s", value);

	add_setting(of, setting);
	free(setting);
	return true;
}

/* The value is checked once here, and not in every process of the run. */
static bool take_grace(void *of, const char *value)
{
	uint64_t ms;

	if (strcmp(value, "auto") != 0 && !options_duration_ms(&ms, value))
		return false;
	char *setting = say_printf("grace=%s", value);
	add_setting(of, setting);
	free(setting);
	return true;
}

static const char *const ends[] = {"told", "all", "grace", "none", NULL};

#define FIELD(name) offsetof(struct run_options, name)
static const struct options_row rows[] = {
	{.help = "How it is run:"},
	{"grace", 0, "DURATION",
	 "how long a socket may stay so: 500ms, 1.5s, 2m, or 10\n(seconds)", take_grace,
	 0, OPTIONS_DURATION, NULL},
	{"at-exit", 0, "WHAT",
	 "what counts when a process ends: told, all, grace or\nnone", take_at_exit, 0,
	 NULL, ends},
	{"ledger", 0, "DIR", "keep the ledgers there, for sockleak report",
	 options_string, FIELD(kept_directory), NULL, NULL},
	{"force", 0, NULL, "run it although nothing can be preloaded into it",
	 options_flag, FIELD(force), NULL, NULL},
	{"progress", 0, NULL, "show on the terminal how many sockets leak by now",
	 options_flag, FIELD(wants_progress), NULL, NULL},
	{"strict", 0, NULL, "end with 125 if a process was not watched", options_flag,
	 FIELD(strict), NULL, NULL},
	{"node", 0, NULL, "with the lines of JavaScript of Node's programs", options_flag,
	 FIELD(node), NULL, NULL},
	{"option", 'O', "NAME=VALUE", "any option of SOCKLEAK_OPTIONS", take_setting, 0,
	 NULL, NULL},
	{0},
};

/* What the processes of the run are given: `name` is "suppressions=".  Owned by the
 * caller; NULL = nothing, or `fallback`, which stands for it. */
static char *library_option(const struct run_options *taken, const char *name,
			    const char *fallback)
{
	const char *environment = getenv("SOCKLEAK_OPTIONS");
	char *value = library_options_last(taken->settings, name);

	if (!value && environment)
		value = library_options_last(environment, name);
	if (!value || (*value && strcmp(value, fallback) != 0))
		return value;
	free(value);
	return NULL;
}

/* The rules hold for the report, too. */
static void take_suppressions(struct run_options *taken)
{
	char *path = library_option(taken, "suppressions=", "none");

	if (path)
		output_suppressions(taken->output, path);
	free(path);
}

static bool leaves_out(const struct run_options *taken)
{
	char *programs = library_option(taken, "programs=", "all");
	char *not = library_option(taken, "not=", "none");
	char *off = library_option(taken, "off=", "no");
	bool result = programs || not || off;

	free(programs);
	free(not );
	free(off);
	return result;
}

static bool is_program(const char *word)
{
	char *path = target_find(word);
	bool is_found = path != NULL;

	free(path);
	return is_found;
}

struct run_options run_options_take(struct output *output, int argc, char **argv)
{
	struct run_options taken = {.output = output, .settings = say_strdup("")};
	const struct options options = {
		.subcommand = "run",
		.usage = usage,
		.usage_end = usage_end,
		.tables = {{rows, &taken}, {output_rows, output}},
		.ends_at_argument = true,
		.takes = is_program,
	};

	options_take(&options, argc, argv);
	if (optind == argc)
		say_usage("run", "no program given");
	taken.argv = argv + optind;
	take_suppressions(&taken);
	taken.leaves_out = leaves_out(&taken);
	return taken;
}

void run_options_free(struct run_options *taken)
{
	free(taken->settings);
}
