/* sockleak run: starts a program with the library preloaded, keeps the ledgers of it and
 * of all its children, and reports over all of them at its end. */
#include "commands.h"
#include "launch.h"
#include "ledgers.h"
#include "library.h"
#include "output.h"
#include "peers.h"
#include "progress.h"
#include "run_files.h"
#include "say.h"
#include "target.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATUS_FAILED   125
#define STATUS_REFUSED  126
#define STATUS_NO_FOUND 127

#define LEAST_WAIT_MS 500 /* between looks while it runs */
/* A look may take one part in so many of the time. */
#define SHARE 100

static const char usage[] =
	"Usage: sockleak run [OPTION]... [--] PROGRAM [ARGUMENT]...\n"
	"Run PROGRAM and its children with the library preloaded, and report at its end\n"
	"(on standard error) which sockets were held although their peers had gone.\n"
	"\n"
	"How it is run:\n"
	"  --grace=DURATION       how long a socket may stay so (500ms, 10s, 2m)\n"
	"  --ledger=DIR           keep the ledgers there, for sockleak report\n"
	"  --force                run it although nothing can be preloaded into it\n"
	"  -o OPTION=VALUE        any option of SOCKLEAK_OPTIONS\n";

static const char usage_end[] =
	"  --help                 this text\n"
	"\n"
	"Exit status: the program's own (128 + n if signal n killed it), or N of\n"
	"--error-exitcode if that was 0 and a socket leaked; 125 if sockleak failed, 126 "
	"if\n"
	"the program cannot be run, 127 if it was not found.\n"
	"\n"
	"Examples:\n"
	"  sockleak run ./server --port 8080\n"
	"  sockleak run --grace=5s -o frames=64 -- ./server\n"
	"  sockleak run --error-exitcode=9 --json=leaks.json -- make check\n"
	"  sockleak run --ledger=/var/tmp/ledgers ./server & sockleak list\n";

enum { OPTION_GRACE = 1, OPTION_LEDGER, OPTION_FORCE };

static const struct option options[] = {
	OUTPUT_OPTIONS{"grace", required_argument, NULL, OPTION_GRACE},
	{"ledger", required_argument, NULL, OPTION_LEDGER},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct run {
	struct output *output;
	char **argv;    /* the program and its arguments */
	char *settings; /* of -o and --grace, for SOCKLEAK_OPTIONS; owned */
	const char *kept_directory;
	bool force;
	char *path; /* of the program; owned */
	struct run_files files;
	size_t n_bad; /* ledgers that could not be read */
	struct progress progress;
	struct peers_known *forgotten; /* owned; by their peers, while it ran */
};

/* -- options ---------------------------------------------------------------------- */

/* Adds "name=value", the value quoted where it holds what separates options. */
static void add_setting(struct run *run, const char *setting)
{
	const char *value = strchr(setting, '=');

	if (!value || value == setting)
		say_usage("run", "-o takes OPTION=VALUE, not '%s'", setting);
	if (strncmp(setting, "ledger=", 7) == 0)
		say_usage("run", "for a directory of ledgers there is --ledger=DIR");
	if (strncmp(setting, "log=", 4) == 0)
		run_files_note_log(&run->files, value + 1);
	bool quote = strchr(value, ':') && value[1] != '\'';
	if (quote && strchr(value, '\''))
		say_usage("run", "the value of '%s' holds both ':' and a quote", setting);
	char *longer =
		say_printf("%s:%.*s%s%s%s", run->settings, (int)(value + 1 - setting),
			   setting, quote ? "'" : "", value + 1, quote ? "'" : "");
	free(run->settings);
	run->settings = longer;
}

static void take_option(struct run *run, int option, char **argv)
{
	if (output_take(run->output, "run", option, optarg))
		return;
	switch (option) {
	case OPTION_GRACE: {
		char *setting = say_printf("grace=%s", optarg);

		/* Once here, and not in every process of the run. */
		if (strcmp(optarg, "auto") != 0)
			say_parse_grace_ms("run", optarg);
		add_setting(run, setting);
		free(setting);
		break;
	}
	case OPTION_LEDGER:
		run->kept_directory = optarg;
		break;
	case OPTION_FORCE:
		run->force = true;
		break;
	case 'o':
		add_setting(run, optarg);
		break;
	case 'h':
		printf("%s%s%s", usage, output_help, usage_end);
		exit(0);
	default:
		say_bad_option("run", option, argv);
	}
}

static void take_options(struct run *run, int argc, char **argv)
{
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+:ho:", options, NULL)) != -1)
		take_option(run, option, argv);
	if (optind == argc)
		say_usage("run", "no program given");
	run->argv = argv + optind;
}

/* -- ledgers ---------------------------------------------------------------------- */

struct adding {
	struct run *run;
	struct merge *merge;
	bool quietly; /* while it runs: what cannot be read now may be half made */
};

static void add_ledger(const char *path, void *of)
{
	struct adding *adding = of;
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	if (run_files_is_old(&adding->run->files, path))
		return;
	int result = ledgers_read(path, &ledger, why);
	if (result == 0) {
		merge_add(adding->merge, &ledger);
		reader_free(&ledger);
	} else if (result < 0 && !adding->quietly) {
		say_warn("cannot read %s: %s", path, why);
		adding->run->n_bad++;
	}
}

/* -- the environment -------------------------------------------------------------- */

static char *settings_value(const struct run *run)
{
	const char *own = getenv("SOCKLEAK_OPTIONS");

	/* The report at the end takes the place of the library's, unless the user asks
	 * for both; the last of two equal options counts. */
	return say_printf("log=none%s%s%s:ledger='%s'", own && *own ? ":" : "",
			  own ? own : "", run->settings, run->files.directory);
}

static char *preload_value(const char *library, const char *asan)
{
	const char *own = getenv("LD_PRELOAD");

	return say_printf("%s%s%s%s%s", asan ? asan : "", asan ? ":" : "", library,
			  own && *own ? ":" : "", own ? own : "");
}

static void set_variable(const char *name, char *value)
{
	if (setenv(name, value, 1) < 0)
		say_die(STATUS_FAILED, "out of memory");
	free(value);
}

static int prepare_environment(const struct run *run, const struct target *target)
{
	char *library = library_path();

	if (!library) {
		say_warn("cannot find %s, neither beside this command nor where it is "
			 "installed",
			 LIBRARY_NAME);
		return -1;
	}
	if (strpbrk(library, " :\t\n")) {
		say_warn("cannot preload %s: its path holds a space or a colon", library);
		free(library);
		return -1;
	}
	if (strchr(run->files.directory, '\'')) {
		say_warn("cannot keep ledgers in %s: its path holds a quote",
			 run->files.directory);
		free(library);
		return -1;
	}
	set_variable("LD_PRELOAD", preload_value(library, target->asan));
	set_variable("SOCKLEAK_OPTIONS", settings_value(run));
	free(library);
	return 0;
}

/* -- the run ---------------------------------------------------------------------- */

/* 0, or the exit status that says why not. */
static int prepare(struct run *run)
{
	run->path = target_find(run->argv[0]);
	if (!run->path) {
		int status = errno == ENOENT ? STATUS_NO_FOUND : STATUS_REFUSED;

		say_warn("cannot run %s:", run->argv[0]);
		return status;
	}
	struct target target = target_inspect(run->path);
	if (target.refusal && !run->force) {
		say_warn("cannot run %s: it %s (--force runs it all the same)", run->path,
			 target.refusal);
		target_free(&target);
		return STATUS_REFUSED;
	}
	int status =
		output_prepare(run->output) < 0 ||
				run_files_make(&run->files, run->kept_directory) < 0 ||
				prepare_environment(run, &target) < 0
			? STATUS_FAILED
			: 0;
	target_free(&target);
	return status;
}

/* Processor time that was used. */
static uint64_t used_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A look at the live ledgers: for the progress line, and at the peers, which are not to
 * be known any more once the program has ended.  Returns when to look again. */
static uint64_t tick(void *of)
{
	uint64_t before_ms = used_ms();
	struct adding adding = {of, merge_open(), true};

	ledgers_each(adding.run->files.directory, add_ledger, &adding);
	struct findings *findings = merge_close(adding.merge);
	peers_tell(findings, &adding.run->forgotten, false);
	progress_show(&adding.run->progress, findings);
	findings_free(findings);
	uint64_t wait_ms = (used_ms() - before_ms) * SHARE;
	return wait_ms < LEAST_WAIT_MS ? LEAST_WAIT_MS : wait_ms;
}

/* The exit status. */
static int report(struct run *run, const struct launch *launch)
{
	struct adding adding = {run, merge_open(), false};
	int status = launch_exit_status(launch);

	if (ledgers_each(run->files.directory, add_ledger, &adding) < 0) {
		say_warn("cannot open %s:", run->files.directory);
		run->n_bad++;
	}
	merge_saw_end(adding.merge, (uint32_t)launch->pid,
		      WIFSIGNALED(launch->status) ? WTERMSIG(launch->status) : 0);
	struct findings *findings = merge_close(adding.merge);
	peers_tell(findings, &run->forgotten, true);
	if (output_write(run->output, findings, stderr) < 0)
		run->n_bad++;
	if (status == 0 && run->n_bad)
		status = STATUS_FAILED;
	if (status == 0 && findings_n_leaked(findings))
		status = output_error_exitcode(run->output);
	findings_free(findings);
	return status;
}

static int run_program(struct run *run)
{
	struct launch launch;

	progress_open(&run->progress, !output_is_quiet(run->output));
	if (launch_run(&launch, run->path, run->argv, environ, tick, run) < 0) {
		say_warn("cannot start a process:");
		return STATUS_FAILED;
	}
	progress_clear(&run->progress);
	if (!launch.exec_errno)
		return report(run, &launch);
	errno = launch.exec_errno;
	say_warn("cannot run %s:", run->path);
	return launch_exit_status(&launch);
}

int command_run(int argc, char **argv)
{
	struct run run = {.output = output_open()};

	say_memory_status = STATUS_FAILED;
	run.settings = say_strdup("");
	take_options(&run, argc, argv);
	int status = prepare(&run);
	if (status == 0)
		status = run_program(&run);
	run_files_remove(&run.files);
	peers_forget_known(run.forgotten);
	output_close(run.output);
	free(run.settings);
	free(run.path);
	return status;
}
