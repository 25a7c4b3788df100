/* sockleak report: from ledgers, of processes that ended, were killed, or still run, to
 * one report over all of them. */
#include "commands.h"
#include "ledgers.h"
#include "output.h"
#include "peers.h"
#include "say.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static const char usage[] =
	"Usage: sockleak report [OPTION]... LEDGER|DIRECTORY...\n"
	"Report from the ledgers that processes kept (SOCKLEAK_OPTIONS=ledger=DIRECTORY, "
	"or\n"
	"sockleak run --ledger=DIRECTORY): of a killed process, of many, of many hosts.\n"
	"\n";

static const char usage_end[] =
	"  --help                 this text\n"
	"\n"
	"Exit status: 0, or N of --error-exitcode if a socket leaked; 2 on wrong usage "
	"or\n"
	"where a ledger could not be read (the others are reported all the same).\n"
	"\n"
	"Examples:\n"
	"  sockleak report /var/tmp/ledgers\n"
	"  sockleak report --json --error-exitcode=1 host1/ host2/ | jq '.leaks[].id'\n"
	"  sockleak report --write-baseline=known.txt ledgers/\n"
	"  sockleak report --baseline=known.txt --junit=leaks.xml ledgers/\n";

static const struct option options[] = {
	OUTPUT_OPTIONS{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static void take_options(struct output *output, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":h", options, NULL)) != -1) {
		if (output_take(output, "report", option, optarg))
			continue;
		if (option != 'h')
			say_bad_option("report", option, argv);
		printf("%s%s%s", usage, output_help, usage_end);
		exit(0);
	}
}

int command_report(int argc, char **argv)
{
	struct output *output = output_open();
	size_t n_bad = 0;

	take_options(output, argc, argv);
	if (optind == argc)
		say_usage("report", "no ledger or directory given");
	if (output_prepare(output) < 0) {
		output_close(output);
		return SAY_USAGE;
	}
	struct merge *merge = merge_open();
	for (int i = optind; i < argc; i++)
		n_bad += ledgers_add(merge, argv[i]);
	struct findings *findings = merge_close(merge);
	peers_tell(findings, NULL, false);
	int status = output_write(output, findings, stdout) < 0 || n_bad ? SAY_USAGE : 0;
	if (status == 0 && findings_n_leaked(findings))
		status = output_error_exitcode(output);
	findings_free(findings);
	output_close(output);
	return status;
}
