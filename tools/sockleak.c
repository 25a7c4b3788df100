/* The command: a table of subcommands.
 *
 * Theory of operation.  A report is made in steps, a folder each; a step is given plain
 * structs by the one before it, and uses the folders below its own and no others
 * (tests/lib/includes_table has the order):
 *
 *     read/      a ledger file      -> struct reader_ledger, checked
 *     link/      the ledgers of all -> sockets, joined over fork, exec and passing
 *     judge/     sockets            -> struct findings: verdicts, places, counts
 *     annotate/  findings           -> the same, with peers' states and names
 *     filter/    findings           -> fewer: suppressions, then the baseline
 *     formats/   findings           -> bytes
 *
 * commands/ puts them together: report as above; list with running processes in the place
 * of files, and without link/ and filter/, since it shows descriptors; scan with the
 * kernel's list of sockets in the place of ledgers.  run/ starts a program and then makes
 * a report.  findings/ has the structs, symbols/ reads debug information, kernel/ asks
 * the kernel and /proc what is there now, support/ is messages, memory and files. */
#include "commands/commands.h"
#include "common/ledger.h"
#include "run/library.h"
#include "run/target.h"
#include "support/say.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct subcommand {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *purpose;
} subcommands[] = {
	{"run", command_run, "run a program and its children, report at the end"},
	{"report", command_report, "report from the ledgers that processes kept"},
	{"list", command_list,
	 "list the sockets of running processes that keep a ledger"},
	{"top", command_top, "show the leaks of running processes, live"},
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
	      "  -h, --help     this text; sockleak COMMAND --help tells more\n"
	      "  -V, --version  the version\n"
	      "  --library      the path of the library, for LD_PRELOAD\n"
	      "\n"
	      "Examples:\n"
	      "  sockleak run ./server --port 8080\n"
	      "  sockleak run --error-exitcode=9 --json=leaks.json -- make check\n"
	      "  sockleak report /var/tmp/ledgers\n",
	      file);
}

/* A file that is opened must not become standard output or error because these are
 * closed.  What stands in for them is not inherited by a program that is run.  Standard
 * output that was closed cannot be written, and that is said. */
static void keep_standard_descriptors_free(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0)
			open("/dev/null",
			     (fd == STDOUT_FILENO ? O_RDONLY : O_RDWR) | O_CLOEXEC);
}

static const struct subcommand *find_subcommand(const char *name)
{
	for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
		if (strcmp(name, subcommands[i].name) == 0)
			return &subcommands[i];
	return NULL;
}

static bool asks_for(const char *word, const char *name, const char *letter)
{
	return strcmp(word, name) == 0 || strcmp(word, letter) == 0;
}

/* Users of valgrind or strace write the program here. */
static int refuse(const char *word)
{
	char *program = target_find(word);

	if (program)
		say_warn("'%s' is no command, but a program: sockleak run -- %s", word,
			 word);
	else
		say_warn("'%s' is no command (see sockleak --help)", word);
	free(program);
	return SAY_USAGE;
}

static int print_library(const char *argument)
{
	if (argument)
		say_die(SAY_USAGE, "--library takes no argument, but got '%s'", argument);
	char *path = library_path();
	if (!path) {
		library_say_missing();
		return SAY_USAGE;
	}
	puts(path);
	free(path);
	return 0;
}

int main(int argc, char **argv)
{
	keep_standard_descriptors_free();
	if (argc < 2) {
		print_help(stderr);
		return SAY_USAGE;
	}
	const struct subcommand *subcommand = find_subcommand(argv[1]);
	if (subcommand)
		return subcommand->run(argc - 1, argv + 1);
	if (asks_for(argv[1], "--version", "-V")) {
		printf("sockleak %s\n", SL_VERSION);
		return 0;
	}
	if (strcmp(argv[1], "--library") == 0)
		return print_library(argv[2]);
	if (strcmp(argv[1], "help") == 0 && argc > 2) {
		char option[] = "--help";
		char *words[] = {argv[2], option, NULL};
		subcommand = find_subcommand(argv[2]);
		return subcommand ? subcommand->run(2, words) : refuse(argv[2]);
	}
	if (asks_for(argv[1], "--help", "-h") || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return 0;
	}
	return refuse(argv[1]);
}
