/* The text report over all processes.
 *
 * Read at a glance it is short: places with the frames of the program's own code, then
 * what to do, and last, where the terminal ends, a table.  With --verbose it has all that
 * is known: the blocks that the library prints, with file and line, and what only the
 * command knows below each. */
#include "formats/text_internal.h"

#include <stdlib.h>
#include <string.h>

/* Prints the `n` bytes with the first line in color. */
static void print_colored(const struct writing *writing, const char *at, size_t n)
{
	const char *end = memchr(at, '\n', n);

	if (!writing->options->color || !end) {
		fwrite(at, 1, n, writing->file);
		return;
	}
	fprintf(writing->file, "%s%.*s%s", writing->color, (int)(end - at), at, PLAIN);
	fwrite(end, 1, n - (size_t)(end - at), writing->file);
}

void text_colored(struct text *text, const struct writing *writing, const char *color,
		  const char *words)
{
	bool is_colored = writing->options->color && *color;

	text_string(text, is_colored ? color : "");
	text_string(text, words);
	text_string(text, is_colored ? PLAIN : "");
}

static void print_block(const struct writing *writing,
			void (*put)(struct text *, const void *), const void *of)
{
	size_t bytes;
	char *block = format_block(put, of, &bytes);

	print_colored(writing, block, bytes);
	free(block);
}

static void print_places(const struct writing *writing,
			 void (*put)(struct text *, const void *),
			 const struct findings_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct text_place shown = format_place(writing->findings, &places[i]);

		print_block(writing, put, &shown);
		text_below(writing, &places[i], "  ");
		fputc('\n', writing->file);
	}
}

/* -- the end ---------------------------------------------------------------------- */

static void print_rules(const struct writing *writing)
{
	const struct findings *findings = writing->findings;

	if (findings->n_suppressed)
		fputs("Suppressions used:\n  sockets  rule\n", writing->file);
	for (size_t i = 0; i < findings->n_suppressed; i++) {
		fprintf(writing->file, "%9llu  ",
			(unsigned long long)findings->suppressed[i].count);
		text_print_escaped(writing, findings->suppressed[i].rule);
		fputc('\n', writing->file);
	}
	for (size_t i = 0; writing->options->verbose && i < findings->n_unused; i++) {
		fputs("Suppression not used: ", writing->file);
		text_print_escaped(writing, findings->unused[i]);
		fputc('\n', writing->file);
	}
}

static void print_process_table(const struct writing *writing)
{
	for (size_t i = 0; i < writing->findings->n_processes; i++) {
		const struct findings_process *process = &writing->findings->processes[i];

		fprintf(writing->file, "process %u (%s): ", process->pid,
			findings_ended_name(process->ended));
		text_print_escaped(writing, process->exe);
		fprintf(writing->file,
			", %llu opened, %llu closed, %llu open, %llu leaked, %llu "
			"pending\n",
			(unsigned long long)process->opened,
			(unsigned long long)process->closed,
			(unsigned long long)process->open,
			(unsigned long long)process->leaked,
			(unsigned long long)process->pending);
	}
}

struct text_summary text_sums(const struct findings *findings)
{
	struct text_summary summary = {
		.n_leaked = findings_n_leaked(findings),
		.n_places = findings->n_leaks,
	};

	if (findings->n_processes)
		summary.pid = (pid_t)findings->processes[0].pid;
	for (size_t i = 0; i < findings->n_processes; i++) {
		const struct findings_process *process = &findings->processes[i];

		summary.opened += process->opened;
		summary.closed += process->closed;
		summary.missed += process->missed;
		summary.dropped += process->dropped;
		summary.closed_late += process->closed_late;
		if (process->closed_late_max_ms > summary.closed_late_max_ms)
			summary.closed_late_max_ms = process->closed_late_max_ms;
	}
	for (size_t i = 0; i < findings->n_pending; i++)
		summary.pending += findings->pending[i].n_sockets;
	for (size_t i = 0; i < findings->n_leaks; i++)
		for (size_t j = 0; j < findings->leaks[i].n_sockets; j++)
			summary.closed_by_end += findings->leaks[i].sockets[j].closed ==
						 FINDINGS_CLOSED_BY_END;
	for (size_t i = 0; i < findings->n_suppressed; i++)
		summary.suppressed += findings->suppressed[i].count;
	return summary;
}

void text_put_unwatched(struct text *text, const struct unwatched *one)
{
	if (one->n > 1)
		format_put_count(text, one->n, " processes, the first ");
	if (one->pid) {
		text_string(text, "process ");
		format_put_count(text, one->pid, " (");
	}
	text_escaped(text, one->exe ? one->exe : "a program");
	text_string(text, one->pid ? "): it " : ": it ");
	text_string(text, unwatched_sentence(one->reason));
}

static void put_all_unwatched(struct text *text, const void *of)
{
	const struct findings *findings = of;

	for (size_t i = 0; i < findings->n_unwatched; i++) {
		text_string(text, "Not watched: ");
		text_put_unwatched(text, &findings->unwatched[i]);
		text_string(text, ".\n");
	}
	if (findings->n_unwatched)
		text_string(text, "`sockleak scan` lists the sockets of every process "
				  "that runs, watched or not.\n");
}

static void print_unwatched(const struct writing *writing)
{
	size_t bytes;
	char *at = format_block(put_all_unwatched, writing->findings, &bytes);

	fwrite(at, 1, bytes, writing->file);
	free(at);
}

/* "4711" of one process, "3 processes" of more. */
static int put_subject(const struct findings *findings, char *line, size_t size)
{
	if (!findings->n_processes)
		return 0;
	if (findings->n_processes == 1)
		return snprintf(line, size, "==%u==", findings->processes[0].pid);
	return snprintf(line, size, "==%zu processes==", findings->n_processes);
}

/* The library's line; where the absence of leaks means nothing it says why. */
void text_put_summary(struct text *text, const struct findings *findings, bool is_short)
{
	struct text_summary summary = text_sums(findings);
	char buffer[1024], why[128];
	struct text line = {.at = buffer, .size = sizeof(buffer) - 1};

	summary.is_short = is_short;
	text_summary(&line, &summary);
	buffer[line.used - 1] = 0; /* its newline */
	text_string(text, strstr(buffer, "SUMMARY"));
	if (findings_is_partial(findings)) {
		findings_why_partial(findings, why, sizeof(why));
		text_string(text, "; ");
		text_string(text, why);
	}
}

static void print_summary(struct writing *writing)
{
	const struct findings *findings = writing->findings;
	char line[2048];
	struct text text = {.at = line, .size = sizeof(line)};

	writing->color = findings_n_leaked(findings) ? RED : BOLD;
	text.used = (size_t)put_subject(findings, line, sizeof(line));
	text_put_summary(&text, findings, !writing->options->verbose);
	text_string(&text, "\n");
	print_colored(writing, line, text.used);
}

/* By at_exit=all, of processes that have ended. */
static bool would_count(const struct findings *findings,
			const struct findings_socket *socket)
{
	return !findings_is_held(findings, socket) &&
	       findings->processes[socket->holders[0].process].ended != FINDINGS_EXEC &&
	       !(socket->why & SL_WHY_HELD_BY_CHILD);
}

size_t text_n_would_count(const struct findings *findings)
{
	size_t n = 0;

	for (size_t i = 0; i < findings->n_pending; i++)
		for (size_t j = 0; j < findings->pending[i].n_sockets; j++)
			n += would_count(findings, &findings->pending[i].sockets[j]);
	return n;
}

/* A run of short programs is easily green: nothing gets as old as the grace. */
static void print_would_count(const struct writing *writing)
{
	size_t n = text_n_would_count(writing->findings);

	if (n && !writing->findings->n_leaks)
		fprintf(writing->file,
			"sockleak: %zu %s would count with --at-exit=all\n", n,
			n == 1 ? "socket" : "sockets");
}

struct text_places text_places_of(const struct findings *findings, enum text_list list)
{
	switch (list) {
	case TEXT_LEAKS:
		return (struct text_places){findings->leaks, findings->n_leaks, RED};
	case TEXT_LATE:
		return (struct text_places){findings->late, findings->n_late,
					    findings->late_counts ? RED : YELLOW};
	default:
		return (struct text_places){findings->pending, findings->n_pending,
					    YELLOW};
	}
}

static void print_in_full(struct writing *writing)
{
	static void (*const put[])(struct text *, const void *) = {
		format_put_place, format_put_late, format_put_pending};

	for (int list = 0; list < TEXT_N_LISTS; list++) {
		struct text_places places = text_places_of(writing->findings, list);

		writing->color = places.color;
		print_places(writing, put[list], places.at, places.n);
	}
}

void format_text(const struct findings *findings,
		 const struct format_text_options *options, FILE *file)
{
	struct writing writing = {findings, options, file, RED};

	if (options->verbose)
		print_in_full(&writing);
	else
		text_short(&writing);
	print_rules(&writing);
	if (options->verbose)
		print_process_table(&writing);
	print_unwatched(&writing);
	if (!options->verbose) {
		text_advice(&writing);
		text_table(&writing);
	}
	/* Nothing at all could be read: that was said, and there is no result. */
	if (findings->n_processes || !findings->n_unread)
		print_summary(&writing);
	print_would_count(&writing);
}
