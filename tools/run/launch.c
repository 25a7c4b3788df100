/* One child, in our process group, so that the terminal's keys reach both of us.
 *
 * Signals.  What other processes send to us alone is passed on.  What the terminal sends,
 * or anybody to our whole group, reaches the child by itself and is not doubled; what the
 * child sends to its whole group is not sent back.  All of them are blocked here and
 * fetched one by one, so that no handler runs and none is lost; the child gets the mask
 * and the dispositions that we were started with.
 *
 * Nothing in a signal tells whether it was sent to one process or to its group.  So a
 * third process sits in the group, the lookout, which has them all blocked and does
 * nothing: what it, too, has pending was sent to all.
 *
 * Orphans.  This process is the subreaper (prctl(2)) of the child: a process whose parent
 * has ended becomes our child and not init's.  So it is known what still runs at the end.
 * They are waited for here, as init would.  What they can notice: getppid() is our pid
 * until we end, and then init's.
 *
 * Job control.  When the child stops as jobs do (SIGTSTP, SIGTTIN, SIGTTOU), we stop too,
 * so that the shell sees its job stopped; when we are continued, the child is. */
#include "run/launch.h"

#include "kernel/process.h"
#include "support/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GROUP_LOOKS    3 /* for a signal to reach the whole group */
#define GROUP_PAUSE_MS 2

static const int passed_on[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGUSR1,
				SIGUSR2, SIGALRM, SIGTSTP, SIGCONT, SIGWINCH};

struct waiting {
	struct launch *launch;
	sigset_t mask; /* of the caller */
	void (*child_handler)(int);
	void (*pipe_handler)(int);
};

/* -- the child -------------------------------------------------------------------- */

static void execute(const char *path, char *const argv[], char *const environment[])
{
	execve(path, argv, environment);
	if (errno != ENOEXEC)
		return;
	/* As execvp(3): what the kernel does not know is a script of the shell. */
	size_t n = 0;
	while (argv[n])
		n++;
	const char **shell = calloc(n + 3, sizeof(*shell));
	if (!shell)
		return;
	shell[0] = "sh";
	shell[1] = path;
	for (size_t i = 1; i < n; i++)
		shell[i + 1] = argv[i];
	execve("/bin/sh", (char **)shell, environment);
}

/* We stand between fork and exec, alone in our memory; the pipe closes by the exec, or
 * carries its errno. */
static _Noreturn void be_child(const struct waiting *waiting, int pipe_end,
			       const char *path, char *const argv[],
			       char *const environment[])
{
	signal(SIGCHLD, waiting->child_handler);
	signal(SIGPIPE, waiting->pipe_handler);
	sigprocmask(SIG_SETMASK, &waiting->mask, NULL);
	execute(path, argv, environment);
	int reason = errno;
	ssize_t written = write(pipe_end, &reason, sizeof(reason));
	(void)written;
	_exit(127);
}

static int start(const struct waiting *waiting, const char *path, char *const argv[],
		 char *const environment[])
{
	struct launch *launch = waiting->launch;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	launch->pid = fork();
	if (launch->pid == 0)
		be_child(waiting, ends[1], path, argv, environment);
	close(ends[1]);
	if (launch->pid > 0 &&
	    read(ends[0], &launch->exec_errno, sizeof(launch->exec_errno)) !=
		    sizeof(launch->exec_errno))
		launch->exec_errno = 0;
	close(ends[0]);
	return launch->pid < 0 ? -1 : 0;
}

/* -- signals ---------------------------------------------------------------------- */

static bool has_terminal(void)
{
	int fd = open("/dev/tty", O_RDONLY | O_CLOEXEC | O_NOCTTY);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* A process that stops the child by SIGSTOP will also continue it by SIGCONT: this
 * process does not stop with it. */
static void stop_like(int signal_number)
{
	if (signal_number != SIGSTOP && has_terminal())
		raise(SIGSTOP);
}

/* true = it ended */
static bool child_changed(struct launch *launch)
{
	int status;

	while (waitpid(launch->pid, &status, WNOHANG | WUNTRACED) == launch->pid) {
		if (!WIFSTOPPED(status)) {
			launch->status = status;
			return true;
		}
		stop_like(WSTOPSIG(status));
	}
	return false;
}

/* Orphans that have ended.  The child itself is left to child_changed(). */
static void reap_orphans(struct launch *launch)
{
	siginfo_t ended = {.si_pid = 0};

	while (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       ended.si_pid && ended.si_pid != launch->pid) {
		waitpid(ended.si_pid, NULL, WNOHANG);
		if (ended.si_pid == launch->lookout)
			launch->lookout = -1;
		ended.si_pid = 0;
	}
}

void launch_reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

/* The process keeps no file open, and ends with its parent. */
static _Noreturn void be_lookout(pid_t parent)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_NAME, "sockleak-group");
	close_range(0, ~0U, 0);
	while (getppid() == parent)
		pause();
	_exit(0);
}

static pid_t start_lookout(void)
{
	pid_t parent = getpid(), pid = fork();

	if (pid == 0)
		be_lookout(parent);
	return pid;
}

static void end_lookout(pid_t pid)
{
	if (pid < 0)
		return;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static bool has_pending(pid_t pid, int signal_number)
{
	char line[PROCESS_STATUS_BYTES];
	unsigned long long pending = 0;

	if (process_status((uint32_t)pid, "ShdPnd:", line))
		sscanf(line, "ShdPnd: %llx", &pending);
	return pending >> (signal_number - 1) & 1;
}

/* The kernel sends it to one process of the group after the other, and we may have been
 * the first. */
static bool comes_to(pid_t pid, int signal_number)
{
	for (unsigned i = 0; i < GROUP_LOOKS; i++) {
		if (i > 0)
			clock_sleep_ms(GROUP_PAUSE_MS);
		if (has_pending(pid, signal_number))
			return true;
	}
	return false;
}

/* A fresh lookout forgets it. */
static bool was_sent_to_group(struct waiting *waiting, int signal_number)
{
	if (waiting->launch->lookout < 0 ||
	    !comes_to(waiting->launch->lookout, signal_number))
		return false;
	end_lookout(waiting->launch->lookout);
	waiting->launch->lookout = start_lookout();
	return true;
}

/* What else the kernel sends is for us alone: the SIGALRM of an alarm() that was set
 * before we were executed is the program's. */
static bool is_sent_by_terminals(int signal_number)
{
	switch (signal_number) {
	case SIGHUP:
	case SIGINT:
	case SIGQUIT:
	case SIGTSTP:
	case SIGCONT:
	case SIGWINCH:
		return true;
	default:
		return false;
	}
}

static void pass_on(struct waiting *waiting, const siginfo_t *got)
{
	pid_t child = waiting->launch->pid;
	bool by_terminal =
		got->si_code == SI_KERNEL && is_sent_by_terminals(got->si_signo);
	bool by_child = got->si_code <= 0 && got->si_pid == child;
	bool reached_child =
		was_sent_to_group(waiting, got->si_signo) && getpgid(child) == getpgrp();

	if (!by_terminal && !by_child && !reached_child)
		kill(child, got->si_signo);
}

static void block(struct waiting *waiting, sigset_t *watched)
{
	struct sigaction usual = {.sa_handler = SIG_DFL}, before;

	sigemptyset(watched);
	sigaddset(watched, SIGCHLD);
	for (size_t i = 0; i < sizeof(passed_on) / sizeof(passed_on[0]); i++)
		sigaddset(watched, passed_on[i]);
	/* Ignored, it would take the child's status away. */
	sigaction(SIGCHLD, &usual, &before);
	waiting->child_handler = before.sa_handler;
	/* A reader that closes the pipe early (head -1) ends the report, and not this
	 * process: it still has to end with the program's status. */
	waiting->pipe_handler = signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, watched, &waiting->mask);
}

static int fetch(const sigset_t *watched, siginfo_t *got, uint64_t wait_ms)
{
	struct timespec wait = {(time_t)(wait_ms / 1000),
				(long)(wait_ms % 1000) * 1000000};

	return sigtimedwait(watched, got, wait_ms ? &wait : NULL);
}

/* Signals, of which each orphan's end is one, do not put off the tick. */
static void wait_for_end(struct waiting *waiting, const sigset_t *watched,
			 uint64_t (*tick)(void *), void *of)
{
	struct launch *launch = waiting->launch;
	uint64_t wait_ms = tick ? tick(of) : 0, due_ms = clock_now_ms() + wait_ms;

	while (!child_changed(launch)) {
		siginfo_t got;
		uint64_t now = clock_now_ms();

		if (wait_ms && now >= due_ms) {
			wait_ms = tick(of);
			due_ms = clock_now_ms() + wait_ms;
			continue;
		}
		if (fetch(watched, &got, wait_ms ? due_ms - now : 0) < 0)
			continue;
		if (got.si_signo == SIGCHLD)
			reap_orphans(launch);
		else
			pass_on(waiting, &got);
	}
}

/* -- the whole -------------------------------------------------------------------- */

int launch_run(struct launch *launch, const char *path, char *const argv[],
	       char *const environment[], uint64_t (*tick)(void *of), void *of)
{
	struct waiting waiting = {.launch = launch};
	sigset_t watched;

	*launch = (struct launch){.lookout = -1};
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	block(&waiting, &watched);
	if (start(&waiting, path, argv, environment) < 0)
		return -1;
	/* The signals stay blocked: what comes now, comes after the program's end. */
	launch->lookout = launch->exec_errno ? -1 : start_lookout();
	wait_for_end(&waiting, &watched, launch->exec_errno ? NULL : tick, of);
	end_lookout(launch->lookout);
	return 0;
}

int launch_exit_status(const struct launch *launch)
{
	if (launch->exec_errno)
		return launch->exec_errno == ENOENT ? 127 : 126;
	return WIFSIGNALED(launch->status) ? 128 + WTERMSIG(launch->status)
					   : WEXITSTATUS(launch->status);
}
