/* sockleak top: leaks of running processes, looked at again and again.
 *
 * Each look is a report (report.c) whose ledgers are found by process (read/running.c):
 * read, joined, judged, named.  On a terminal it is drawn (top_screen.c), elsewhere each
 * look is a table. */
#include "formats/top.h"
#include "annotate/frames.h"
#include "commands/commands.h"
#include "commands/top_screen.h"
#include "findings/callers.h"
#include "judge/judge_linked.h"
#include "link/merge.h"
#include "read/running.h"
#include "support/clock.h"
#include "support/options.h"
#include "support/outfile.h"
#include "support/say.h"

#include <ctype.h>
#include <getopt.h>
#include <stdlib.h>
#include <unistd.h>

static const char usage[] =
	"Usage: sockleak top [OPTION]... [PID]...\n"
	"Show the leaks of running processes that keep a ledger (sockleak run, or\n"
	"SOCKLEAK_OPTIONS=ledger=DIRECTORY), again and again: on a terminal as a "
	"screen,\n"
	"elsewhere as one table after the other.\n";

static const char usage_end[] =
	"On the screen: l, g, o and w sort by leaked, growth, oldest and where; the "
	"arrows\n"
	"choose a place, Enter shows its stacks; p prints a report and comes back; q "
	"ends.\n"
	"\n"
	"Exit status: 0; 2 on wrong usage, or where a process cannot be looked at.\n"
	"\n"
	"Examples:\n"
	"  sockleak top\n"
	"  sockleak top --interval=10s 4711 4712 >leaks.log\n";

struct wanted {
	uint64_t interval_ms;
	uint64_t n_looks; /* 0 = without end */
	char **pids;      /* ended by NULL; none = all */
	/* Of all looks: a module's file is read once, and an address named once. */
	struct symbols *symbols;
};

static bool take_count(void *field, const char *value)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	*(uint64_t *)field = n;
	return isdigit((unsigned char)*value) && !*end && n > 0 && n < 1000000000;
}

static const struct options_row rows[] = {
	{"interval", 'i', "DURATION", "between two looks (2s)", options_interval_ms,
	 offsetof(struct wanted, interval_ms), OPTIONS_INTERVAL, NULL},
	{"count", 'n', "N", "end after so many tables", take_count,
	 offsetof(struct wanted, n_looks), "a number from 1 on", NULL},
	{0},
};

static struct wanted take_options(int argc, char **argv)
{
	struct wanted wanted = {.interval_ms = 2000};
	const struct options options = {
		.subcommand = "top",
		.usage = usage,
		.usage_end = usage_end,
		.tables = {{rows, &wanted}},
		.takes = options_is_number,
	};

	options_take(&options, argc, argv);
	wanted.pids = argv + optind;
	return wanted;
}

/* -- a look ----------------------------------------------------------------------- */

static void add_ledger(void *merge, uint32_t pid, struct reader_ledger *ledger)
{
	(void)pid;
	merge_add(merge, ledger);
	reader_free(ledger);
}

static bool add_named(struct merge *merge, const char *pid)
{
	struct reader_ledger ledger;

	if (running_ledger((uint32_t)strtoul(pid, NULL, 10), &ledger) != 1)
		return false;
	add_ledger(merge, 0, &ledger);
	return true;
}

/* Each process that was named has a ledger at the first look, or the command fails; what
 * has ended later is left out. */
static int look(struct top *top, const struct wanted *wanted, bool is_first)
{
	struct merge *merge = merge_open();
	int status = 0;

	for (char **pid = wanted->pids; *pid; pid++) {
		if (add_named(merge, *pid) || !is_first)
			continue;
		say_warn("process %s keeps no ledger that can be read", *pid);
		status = SAY_USAGE;
	}
	if (!*wanted->pids)
		running_each(add_ledger, merge);
	if (status) {
		merge_free(merge);
		return status;
	}
	struct findings *findings = judge_linked(merge);
	findings->symbols = wanted->symbols;
	findings->symbols_are_lent = true;
	frames_name(findings, true);
	callers_find(findings);
	top_take(top, findings, clock_now_ms());
	return 0;
}

static void look_again(struct top *top, void *of)
{
	look(top, of, false);
}

/* -- the command ------------------------------------------------------------------ */

static int print_tables(const struct wanted *wanted, struct top *top)
{
	for (uint64_t i = 1;; i++) {
		top_print(top, stdout);
		if (outfile_flush(stdout, "the table") < 0)
			return SAY_USAGE;
		if (i == wanted->n_looks)
			return 0;
		clock_sleep_ms(wanted->interval_ms);
		putchar('\n');
		look(top, wanted, false);
	}
}

int command_top(int argc, char **argv)
{
	struct wanted wanted = take_options(argc, argv);
	struct top *top = top_open();

	wanted.symbols = symbols_open();
	int status = look(top, &wanted, true);

	if (status == 0 &&
	    (wanted.n_looks || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO)))
		status = print_tables(&wanted, top);
	else if (status == 0)
		status = top_screen(top, wanted.interval_ms, look_again, &wanted);
	top_close(top);
	symbols_close(wanted.symbols);
	return status;
}
