/* The command: a table of subcommands, one file each.
 *
 * - run: target.c (can it be preloaded?), library.c, launch.c, progress.c
 * - report: ledgers.c finds, reader*.c read, judge.c and merge*.c join
 * - list, scan: what is there now, by the ledgers or by the kernel
 * - symbolize: symbols.c, which names frames for all of them (frames.c)
 *
 * From findings.h on, everything is plain structs: rules.c thins them, output.c has
 * formats/ write them. */
#include "commands.h"
#include "ledger.h"
#include "say.h"

#include <stdio.h>
#include <string.h>

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *purpose;
} subcommands[] = {
	{"run", command_run, "run a program and its children, report at the end"},
	{"report", command_report, "report from the ledgers that processes kept"},
	{"list", command_list,
	 "list the sockets of running processes that keep a ledger"},
	{"scan", command_scan, "list every socket of this system whose peer is gone"},
	{"symbolize", command_symbolize, "add function, file and line to a text log"},
};

static void print_help(FILE *file)
{
	fputs("Usage: sockleak COMMAND [OPTION]... [ARGUMENT]...\n"
	      "Find TCP sockets that a program still holds although the peer has gone, "
	      "and\n"
	      "where each was opened.\n"
	      "\n",
	      file);
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		fprintf(file, "  %-11s%s\n", subcommands[i].name, subcommands[i].purpose);
	fputs("\n"
	      "  --help     this text; sockleak COMMAND --help tells more\n"
	      "  --version  the version\n"
	      "\n"
	      "Examples:\n"
	      "  sockleak run ./server --port 8080\n"
	      "  sockleak run --error-exitcode=9 --json=leaks.json -- make check\n"
	      "  sockleak report /var/tmp/ledgers\n",
	      file);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		print_help(stderr);
		return SAY_USAGE;
	}
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(argv[1], subcommands[i].name) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("sockleak %s\n", SL_VERSION);
		return 0;
	}
	say_warn("'%s' is no command (see sockleak --help)", argv[1]);
	return SAY_USAGE;
}
