/* Starts a program and waits for it as if it were started by our caller: signals are
 * passed on, job control works, and this process ends as the program did. */
#ifndef SOCKLEAK_LAUNCH_H
#define SOCKLEAK_LAUNCH_H

#include <stdint.h>
#include <sys/types.h>

struct launch {
	pid_t pid;
	int exec_errno; /* not 0: it could not be executed */
	int status;     /* as waitpid(2) tells */
	pid_t lookout;  /* a child of this process that is no part of the program; -1 =
			   there is none */
};

/* Runs `path` with `argv` and `environment`.  While it runs, `tick` is called once its
 * last return value in milliseconds has gone by (0 = never again).  -1 with errno if no
 * process could be made.  For one thread, once in a process: it takes over signals, and
 * becomes the subreaper of what it starts. */
int launch_run(struct launch *launch, const char *path, char *const argv[],
	       char *const environment[], uint64_t (*tick)(void *of), void *of);

/* Takes away the children of this process that have ended. */
void launch_reap(void);

/* The exit status a shell gives for the end of the program: 128 + n for signal n, 127 and
 * 126 where it could not be executed. */
int launch_exit_status(const struct launch *launch);

#endif
