/* The progress line: sockets open, leaking, and at how many places, as the ledgers of the
 * running processes say.  Only by --progress: on the terminal that it shares with the
 * program it takes away what the program has on its line, as a prompt.  Nothing is
 * written where standard error is no terminal that can do it, and nothing before the
 * first socket. */
#include "run/progress.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

void progress_open(struct progress *progress, bool wanted)
{
	const char *term = getenv("TERM");

	*progress = (struct progress){
		.is_shown = wanted && isatty(STDERR_FILENO) && term && *term &&
			    strcmp(term, "dumb") != 0,
	};
}

/* What is wider than the terminal goes on in the next line, and is not taken away with
 * the last one.  The last column is left free: some terminals wrap when it is filled. */
static void cut_to_width(char *line)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 &&
	    strlen(line) >= size.ws_col)
		line[size.ws_col - 1] = 0;
}

static void write_all(const char *text)
{
	ssize_t written = write(STDERR_FILENO, text, strlen(text));
	(void)written; /* a terminal that went away needs no progress */
}

void progress_clear(struct progress *progress)
{
	if (progress->has_line)
		write_all("\r\033[K");
	progress->has_line = false;
	progress->last[0] = 0;
}

void progress_show(struct progress *progress, const struct findings *findings)
{
	uint64_t n_open = 0, n_leaked = findings_n_leaked(findings);
	char line[sizeof(progress->last)], shown[sizeof(line) + 16];

	if (!progress->is_shown)
		return;
	for (size_t i = 0; i < findings->n_processes; i++)
		if (findings->processes[i].ended == FINDINGS_RUNNING)
			n_open += findings->processes[i].open;
	snprintf(line, sizeof(line), "sockleak: %llu open, %llu leaking at %zu place%s",
		 (unsigned long long)n_open, (unsigned long long)n_leaked,
		 findings->n_leaks, findings->n_leaks == 1 ? "" : "s");
	cut_to_width(line);
	if ((n_open == 0 && n_leaked == 0 && !progress->has_line) ||
	    strcmp(line, progress->last) == 0)
		return;
	snprintf(shown, sizeof(shown), "\r\033[K%s", line);
	write_all(shown);
	progress->has_line = true;
	memcpy(progress->last, line, sizeof(line));
}
