/* sockleak report: from ledgers, of processes that ended, were killed, or still run, to
 * one report over all of them. */
#include "annotate/peers.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "judge/judge_linked.h"
#include "link/merge.h"
#include "read/ledgers.h"
#include "support/options.h"
#include "support/say.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] =
	"Usage: sockleak report [OPTION]... LEDGER|DIRECTORY...\n"
	"Report from the ledgers that processes kept (sockleak run --ledger=DIRECTORY, "
	"or\n"
	"SOCKLEAK_OPTIONS=ledger=DIRECTORY): of a killed process, of many, of many "
	"hosts.\n";

static const char usage_end[] =
	"Exit status: 0, or N of --error-exitcode if a socket leaked; 2 on wrong usage\n"
	"or where a ledger could not be read (the others are reported all the same).\n"
	"\n"
	"Examples:\n"
	"  sockleak report /var/tmp/ledgers\n"
	"  sockleak report --json --error-exitcode=1 host1/ host2/ | jq '.leaks[].id'\n"
	"  sockleak report --write-baseline=known.txt ledgers/\n"
	"  sockleak report --baseline=known.txt --junit=leaks.xml ledgers/\n";

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void take_options(struct output *output, int argc, char **argv)
{
	const struct options options = {
		.subcommand = "report",
		.usage = usage,
		.usage_end = usage_end,
		.tables = {{output_rows, output}},
		.takes = is_there,
	};

	options_take(&options, argc, argv);
}

/* -- reading ---------------------------------------------------------------------- */

struct adding {
	struct merge *merge;
	size_t n_bad, n;
};

static void add_read(struct adding *adding, int result, const char *path,
		     struct reader_ledger *ledger, const char *why)
{
	adding->n++;
	if (result == 0) {
		merge_add(adding->merge, ledger);
		reader_free(ledger);
	} else if (result < 0) {
		say_warn("cannot read %s: %s", path, why);
		adding->n_bad++;
	}
}

static void add_found(const char *path, void *of)
{
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	add_read(of, ledgers_read(path, &ledger, why), path, &ledger, why);
}

static void add_named(const char *path, struct adding *adding)
{
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	add_read(adding, reader_read(path, &ledger, why), path, &ledger, why);
}

/* Adds what lies at `path` to the merge.  Each ledger that cannot be read gets one clear
 * line.  Returns how many could not (a path that cannot be opened is one). */
static size_t add_ledgers(struct merge *merge, const char *path)
{
	struct adding adding = {.merge = merge};
	struct stat status;

	if (stat(path, &status) < 0) {
		say_warn("cannot open %s:", path);
		return 1;
	}
	if (!S_ISDIR(status.st_mode)) {
		add_named(path, &adding);
		return adding.n_bad;
	}
	if (ledgers_each(path, add_found, &adding) < 0) {
		say_warn("cannot open %s:", path);
		return 1;
	}
	if (adding.n == 0)
		say_warn("%s holds no ledger (a process that made no connection leaves "
			 "none)",
			 path);
	return adding.n_bad;
}

/* -- the command ------------------------------------------------------------------ */

int command_report(int argc, char **argv)
{
	struct output *output = output_open();
	size_t n_bad = 0;

	take_options(output, argc, argv);
	if (optind == argc)
		say_usage("report", "no ledger or directory given");
	if (output_prepare(output, "report") < 0) {
		output_close(output);
		return SAY_USAGE;
	}
	struct merge *merge = merge_open();
	for (int i = optind; i < argc; i++)
		n_bad += add_ledgers(merge, argv[i]);
	struct findings *findings = judge_linked(merge);
	findings->n_unread = n_bad;
	for (int i = optind; i < argc; i++) {
		ledgers_add_failed(findings, argv[i]);
		ledgers_add_unborn(findings, argv[i]);
		ledgers_add_unwatched(findings, argv[i]);
	}
	n_bad += findings_n_without_ledger(findings);
	peers_tell(findings, NULL, false);
	int status = output_write(output, findings, stdout) < 0 || n_bad ? SAY_USAGE : 0;
	if (status == 0)
		status = output_status(output, findings);
	findings_free(findings);
	output_close(output);
	return status;
}
