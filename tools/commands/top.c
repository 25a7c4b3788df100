/* sockleak top: leaks of running processes, looked at again and again.
 *
 * Each look is a report (report.c) whose ledgers are found by process (read/running.c):
 * read, joined, judged, named.  On a terminal it is drawn (top_screen.c), elsewhere each
 * look is a table. */
#include "formats/top.h"
#include "annotate/frames.h"
#include "commands/commands.h"
#include "commands/top_screen.h"
#include "judge/judge_linked.h"
#include "link/merge.h"
#include "read/running.h"
#include "support/clock.h"
#include "support/options.h"
#include "support/outfile.h"
#include "support/say.h"

#include <ctype.h>
#include <dirent.h>
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

static bool add_ledger(struct merge *merge, uint32_t pid)
{
	struct reader_ledger ledger;

	if (running_ledger(pid, &ledger) != 1)
		return false;
	merge_add(merge, &ledger);
	reader_free(&ledger);
	return true;
}

static void add_all(struct merge *merge)
{
	DIR *proc = opendir("/proc");

	if (!proc)
		say_die(SAY_USAGE, "cannot look into /proc:");
	for (const struct dirent *one; (one = readdir(proc));)
		if (isdigit((unsigned char)one->d_name[0]))
			add_ledger(merge, (uint32_t)strtoul(one->d_name, NULL, 10));
	closedir(proc);
}

/* What has ended meanwhile is left out. */
static void look(struct top *top, void *of)
{
	const struct wanted *wanted = of;
	struct merge *merge = merge_open();

	for (char **pid = wanted->pids; *pid; pid++)
		add_ledger(merge, (uint32_t)strtoul(*pid, NULL, 10));
	if (!*wanted->pids)
		add_all(merge);
	struct findings *findings = judge_linked(merge);
	frames_name(findings, true);
	top_take(top, findings, clock_now_ms());
}

/* -- the command ------------------------------------------------------------------ */

/* Each that was named is there at the first look. */
static int check_pids(const struct wanted *wanted)
{
	struct merge *merge = merge_open();
	int status = 0;

	for (char **pid = wanted->pids; *pid; pid++) {
		if (add_ledger(merge, (uint32_t)strtoul(*pid, NULL, 10)))
			continue;
		say_warn("process %s keeps no ledger that can be read", *pid);
		status = SAY_USAGE;
	}
	merge_free(merge);
	return status;
}

static int print_tables(const struct wanted *wanted, struct top *top)
{
	for (uint64_t i = 0; !wanted->n_looks || i < wanted->n_looks; i++) {
		if (i > 0) {
			clock_sleep_ms(wanted->interval_ms);
			putchar('\n');
		}
		look(top, (void *)wanted);
		top_print(top, stdout);
		if (outfile_flush(stdout, "the table") < 0)
			return SAY_USAGE;
	}
	return 0;
}

int command_top(int argc, char **argv)
{
	struct wanted wanted = take_options(argc, argv);
	int status = check_pids(&wanted);

	if (status)
		return status;
	struct top *top = top_open();
	if (wanted.n_looks || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
		status = print_tables(&wanted, top);
	else
		status = top_screen(top, wanted.interval_ms, look, &wanted);
	top_close(top);
	return status;
}
