/* sockleak run: starts a program with the library preloaded, keeps the ledgers of it and
 * of all its children, and reports over all of them at its end.
 *
 * Theory of operation.
 *  1. prepare(): the program is found and inspected (target.c), every output is opened,
 *     the directory of the run is made (run_files.c) and named to the library in the
 *     environment (run_environment.c).
 *  2. launch.c starts the program and waits for it; signals are passed on.  Meanwhile
 *     tick() looks at the descendants (descendants.c), to know which processes have no
 *     ledger, and more rarely at the ledgers, for the progress line and the peers.
 *  3. report(): a thread waits for signals from here on (interrupts.c), because a report
 *     may hang in a pipe or a debug server.  Ledgers that were there before the run are
 *     left out.  Of the program itself the exit status tells how it ended.
 *  4. The directory is removed at whatever end: the return from here, exit() where memory
 *     runs out, or a signal.  It stays where processes still use it.
 * One process and, during the report, two threads; a second child, the lookout of
 * launch.c, has no part in it. */
#include "annotate/peers.h"
#include "commands/commands.h"
#include "judge/judge_linked.h"
#include "kernel/process.h"
#include "link/merge.h"
#include "read/ledgers.h"
#include "run/descendants.h"
#include "run/interrupts.h"
#include "run/launch.h"
#include "run/progress.h"
#include "run/run_environment.h"
#include "run/run_files.h"
#include "run/run_options.h"
#include "run/target.h"
#include "support/clock.h"
#include "support/say.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATUS_FAILED   125
#define STATUS_REFUSED  126
#define STATUS_NO_FOUND 127

#define LEDGERS_WAIT_MS   500 /* between looks while it runs, at least */
#define PROCESSES_WAIT_MS 10
/* A process that ends within this time after the program is not reported as running. */
#define END_PATIENCE_MS 100
/* A report that is interrupted may go on for so long. */
#define REPORT_PATIENCE_MS 2000
/* A look may take one part in so many of the time. */
#define SHARE 100

struct run {
	struct run_options options;
	char *path;      /* of the program; owned */
	bool is_refused; /* it cannot be preloaded, and is run by force */
	enum unwatched_reason refusal;
	struct run_files files;
	size_t n_bad; /* ledgers that could not be read */
	struct launch launch;
	struct descendants *descendants; /* owned */
	uint64_t ledgers_due_ms;         /* when they are looked at again */
	struct progress progress;
	struct peers_known *forgotten; /* owned; by their peers, while it ran */
};

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

struct failures {
	const struct run *run;
	struct findings *findings;
};

static void add_failed(uint32_t pid, const char *exe, const char *path, void *of)
{
	struct failures *failures = of;

	if (run_files_is_old(&failures->run->files, path))
		return;
	if (!exe)
		exe = descendants_program(failures->run->descendants, pid);
	findings_add_unwatched(failures->findings, pid, exe, UNWATCHED_NO_LEDGER);
}

static void add_unborn(const char *path, void *of)
{
	struct failures *failures = of;
	uint32_t pid;

	/* The program that the process became is reported, with the reason why it was not
	 * watched. */
	if (!run_files_is_old(&failures->run->files, path) &&
	    ledgers_is_unborn(path, &pid) &&
	    !descendants_was_unwatched(failures->run->descendants, pid))
		findings_add_unwatched(
			failures->findings, pid,
			descendants_program(failures->run->descendants, pid),
			UNWATCHED_ENDED_FIRST);
}

/* The first bytes of a file do not tell a program of Go, and the loader is static. */
static bool refine(const char *exe, enum unwatched_reason *reason)
{
	if (*reason != UNWATCHED_STATIC)
		return true;
	struct target target = target_inspect(exe);
	if (target.refusal && target.reason == UNWATCHED_GO)
		*reason = UNWATCHED_GO;
	target_free(&target);
	return !target_is_loader(exe);
}

static void add_executed(const struct ledgers_executed *executed, void *of)
{
	const struct failures *failures = of;
	struct descendants *descendants = failures->run->descendants;
	enum unwatched_reason reason = executed->reason;

	if (run_files_is_old(&failures->run->files, executed->path) ||
	    (executed->exe && !refine(executed->exe, &reason)))
		return;
	if (!executed->exe)
		findings_add_unwatched(failures->findings, executed->pid, NULL, reason);
	else if (executed->pid && executed->namespace == process_pid_namespace())
		descendants_note_executed(descendants, executed->pid,
					  executed->start_ticks, executed->exe, reason);
	else
		descendants_note(descendants, executed->pid, executed->exe, reason);
}

/* -- the run ---------------------------------------------------------------------- */

/* 0, or the exit status that says why not. */
static int prepare(struct run *run)
{
	run->path = target_find(run->options.argv[0]);
	if (!run->path) {
		int status = errno == ENOENT ? STATUS_NO_FOUND : STATUS_REFUSED;

		say_warn("cannot run %s:", run->options.argv[0]);
		return status;
	}
	struct target target = target_inspect(run->path);
	if (target.refusal && !run->options.force) {
		say_warn("cannot run %s: it %s (--force runs it all the same)", run->path,
			 target.refusal);
		target_free(&target);
		return STATUS_REFUSED;
	}
	run->is_refused = target.refusal != NULL;
	run->refusal = target.reason;
	int status =
		output_prepare(run->options.output, "run") < 0 ||
				run_files_make(&run->files, run->options.kept_directory) <
					0 ||
				run_environment_set(&run->files, run->options.settings,
						    target.asan, run->options.node) < 0
			? STATUS_FAILED
			: 0;
	target_free(&target);
	return status;
}

/* How long not to look again after a look that began at `before_ns` of processor time. */
static uint64_t wait_after(uint64_t before_ns, uint64_t least_ms)
{
	uint64_t wait_ms =
		(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before_ns) * SHARE / 1000000;

	return wait_ms < least_ms ? least_ms : wait_ms;
}

/* A look at the live ledgers: for the progress line, and at the peers, which are not to
 * be known any more once the program has ended. */
static void look_at_ledgers(struct run *run)
{
	uint64_t before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	struct adding adding = {run, merge_open(), true};

	ledgers_each(run->files.directory, add_ledger, &adding);
	struct findings *findings = judge_linked(adding.merge);
	peers_tell(findings, &run->forgotten, false);
	progress_show(&run->progress, findings);
	findings_free(findings);
	run->ledgers_due_ms = clock_now_ms() + wait_after(before_ns, LEDGERS_WAIT_MS);
}

/* Returns when to look again. */
static uint64_t tick(void *of)
{
	struct run *run = of;
	uint64_t before_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	descendants_look(run->descendants, run->launch.lookout);
	uint64_t wait_ms = wait_after(before_ns, PROCESSES_WAIT_MS);
	if (clock_now_ms() >= run->ledgers_due_ms)
		look_at_ledgers(run);
	return wait_ms;
}

/* How many processes the program has left behind. */
static size_t n_left_behind(struct run *run)
{
	uint64_t end_ms = clock_now_ms() + END_PATIENCE_MS;
	size_t n;

	while ((n = descendants_look(run->descendants, -1)) && clock_now_ms() < end_ms) {
		launch_reap();
		clock_sleep_ms(5);
	}
	return n;
}

/* The program may have ended before the first look. */
static void note_program(struct run *run)
{
	char *exe = realpath(run->path, NULL);

	descendants_note(run->descendants, (uint32_t)run->launch.pid,
			 exe ? exe : run->path, run->refusal);
	free(exe);
}

static struct findings *gather(struct run *run)
{
	const struct launch *launch = &run->launch;
	struct adding adding = {run, merge_open(), false};

	if (ledgers_each(run->files.directory, add_ledger, &adding) < 0) {
		say_warn("cannot open %s:", run->files.directory);
		run->n_bad++;
	}
	merge_saw_end(adding.merge, (uint32_t)launch->pid,
		      WIFSIGNALED(launch->status) ? WTERMSIG(launch->status) : 0);
	struct findings *findings = judge_linked(adding.merge);
	findings->n_unread = run->n_bad;
	struct failures failures = {run, findings};
	ledgers_each_failed(run->files.directory, add_failed, &failures);
	ledgers_each_unwatched(run->files.directory, add_executed, &failures);
	ledgers_each(run->files.directory, add_unborn, &failures);
	run->n_bad += findings_n_without_ledger(findings);
	if (run->is_refused)
		note_program(run);
	descendants_tell(run->descendants, findings);
	if (run->options.leaves_out)
		findings_add_unwatched(findings, 0, NULL, UNWATCHED_LEFT_OUT);
	peers_tell(findings, &run->forgotten, true);
	return findings;
}

static int exit_status(const struct run *run, const struct findings *findings)
{
	int status = launch_exit_status(&run->launch);

	if (status == 0 && run->n_bad)
		status = STATUS_FAILED;
	if (status == 0)
		status = output_status(run->options.output, findings);
	if (status == 0 && run->options.strict && findings_n_unwatched(findings))
		status = STATUS_FAILED;
	return status;
}

/* Of the run that is going on; NULL = nothing is to be removed.  Also where memory runs
 * out, which ends the process. */
static const struct run_files *files_to_remove;

static void remove_files(void)
{
	if (files_to_remove)
		run_files_remove(files_to_remove);
	files_to_remove = NULL;
}

static void remove_files_of(void *of)
{
	(void)of;
	remove_files();
}

/* The exit status. */
static int report(struct run *run)
{
	interrupts_watch(remove_files_of, NULL, REPORT_PATIENCE_MS);
	size_t n_left = n_left_behind(run);
	struct findings *findings = gather(run);

	if (output_write(run->options.output, findings, stderr) < 0)
		run->n_bad++;
	if (n_left) {
		say_warn("%zu %s in the background with %s; the ledgers stay in %s",
			 n_left,
			 n_left == 1 ? "process still runs" : "processes still run",
			 run->files.around, run->files.directory);
		run->files.stays = true;
	}
	int status = exit_status(run, findings);
	findings_free(findings);
	return status;
}

static int run_program(struct run *run)
{
	struct launch *launch = &run->launch;

	run->descendants = descendants_open(run->files.directory, run->files.around);
	progress_open(&run->progress, run->options.wants_progress);
	if (launch_run(launch, run->path, run->options.argv, environ, tick, run) < 0) {
		say_warn("cannot start a process:");
		return STATUS_FAILED;
	}
	progress_clear(&run->progress);
	if (!launch->exec_errno)
		return report(run);
	errno = launch->exec_errno;
	say_warn("cannot run %s:", run->path);
	return launch_exit_status(launch);
}

int command_run(int argc, char **argv)
{
	struct output *output = output_open();

	say_memory_status = STATUS_FAILED;
	struct run run = {.options = run_options_take(output, argc, argv)};
	files_to_remove = &run.files;
	atexit(remove_files);
	int status = prepare(&run);
	if (status == 0)
		status = run_program(&run);
	interrupts_end();
	remove_files();
	run_files_free(&run.files);
	if (run.descendants)
		descendants_free(run.descendants);
	peers_forget_known(run.forgotten);
	output_close(output);
	run_options_free(&run.options);
	free(run.path);
	return status;
}
