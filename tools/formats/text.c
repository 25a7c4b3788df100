/* The text report: the blocks that the library prints, with file and line, over all
 * processes, and what only the command knows below each. */
#include "formats.h"

#include "rules.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>

#define RED    "\033[1;31m"
#define YELLOW "\033[33m"
#define BOLD   "\033[1m"
#define PLAIN  "\033[0m"

/* More pids than this are counted, not named. */
#define MAX_PIDS 8
/* Tests of a place that are named. */
#define MAX_TESTS 16

struct writing {
	const struct findings *findings;
	const struct format_text_options *options;
	FILE *file;
	const char *color; /* of the first line of what is printed now */
};

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

static void put_summary(struct text *text, const void *of)
{
	text_summary(text, of);
}

static void print_block(const struct writing *writing,
			void (*put)(struct text *, const void *), const void *of)
{
	size_t bytes;
	char *block = format_block(put, of, &bytes);

	print_colored(writing, block, bytes);
	free(block);
}

/* -- below a block ---------------------------------------------------------------- */

/* "  in 3 processes: 4711 (app), 4712 (app), 4713 (worker)" */
static void print_processes(const struct writing *writing,
			    const struct findings_place *place)
{
	const struct findings *findings = writing->findings;
	bool *holds = say_calloc(findings->n_processes, sizeof(*holds));
	uint32_t named[MAX_PIDS];
	size_t n = 0;

	for (size_t i = 0; i < place->n_sockets; i++)
		for (uint32_t j = 0; j < place->sockets[i].n_holders; j++) {
			uint32_t process = place->sockets[i].holders[j].process;

			if (holds[process])
				continue;
			holds[process] = true;
			if (n < MAX_PIDS)
				named[n] = process;
			n++;
		}
	free(holds);
	if (n < 2)
		return;
	fprintf(writing->file, "  in %zu processes:", n);
	for (size_t i = 0; i < n && i < MAX_PIDS; i++)
		fprintf(writing->file, "%s %u", i ? "," : "",
			findings->processes[named[i]].pid);
	fprintf(writing->file, "%s\n", n > MAX_PIDS ? ", ..." : "");
}

static void print_escaped(const struct writing *writing, const char *string)
{
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, string);
	fwrite(buffer, 1, text.used, writing->file);
}

struct test_count {
	const char *name;
	size_t n;
};

/* Returns how many are in `tests`, which has room for MAX_TESTS. */
static size_t count_tests(const struct findings_place *place, struct test_count *tests)
{
	size_t n = 0;

	for (size_t i = 0; i < place->n_sockets; i++) {
		const char *name = place->sockets[i].test;
		size_t at = 0;

		while (name && at < n && strcmp(tests[at].name, name) != 0)
			at++;
		if (!name || at == MAX_TESTS)
			continue;
		if (at == n)
			tests[n++] = (struct test_count){name, 0};
		tests[at].n++;
	}
	return n;
}

/* "  in tests: login (2), logout (1)", where they are more than the example's one. */
static void print_tests(const struct writing *writing, const struct findings_place *place)
{
	struct test_count tests[MAX_TESTS];
	size_t n = count_tests(place, tests);

	if (n < 2)
		return;
	fputs("  in tests:", writing->file);
	for (size_t i = 0; i < n; i++) {
		fputs(i ? ", " : " ", writing->file);
		print_escaped(writing, tests[i].name);
		fprintf(writing->file, " (%zu)", tests[i].n);
	}
	fputs(n == MAX_TESTS ? ", ...\n" : "\n", writing->file);
}

/* Other descriptors of the example, which the block does not name. */
static void print_holders(const struct writing *writing,
			  const struct findings_socket *socket)
{
	if (socket->n_holders > 1) {
		fprintf(writing->file, "  held by");
		for (uint32_t i = 0; i < socket->n_holders && i < MAX_PIDS; i++)
			fprintf(writing->file, "%s fd %u of process %u", i ? "," : "",
				socket->holders[i].fd,
				writing->findings->processes[socket->holders[i].process]
					.pid);
		fprintf(writing->file, "%s\n",
			socket->n_holders > MAX_PIDS ? ", ..." : "");
	}
	if (socket->opener_closed)
		fprintf(writing->file,
			"  process %u, which opened it, has closed it; process %u holds "
			"it.\n",
			socket->opener_pid,
			writing->findings->processes[socket->holders[0].process].pid);
}

static void print_rule(const struct writing *writing, const struct findings_place *place)
{
	char rule[1024];

	if (rules_propose(place, rule, sizeof(rule)))
		fprintf(writing->file, "%s\n", rule);
}

static void print_places(const struct writing *writing,
			 void (*put)(struct text *, const void *),
			 const struct findings_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct text_place shown = format_place(writing->findings, &places[i]);

		print_block(writing, put, &shown);
		print_processes(writing, &places[i]);
		print_tests(writing, &places[i]);
		print_holders(writing, &places[i].sockets[0]);
		if (writing->options->gen_suppressions)
			print_rule(writing, &places[i]);
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
		print_escaped(writing, findings->suppressed[i].rule);
		fputc('\n', writing->file);
	}
	for (size_t i = 0; writing->options->verbose && i < findings->n_unused; i++) {
		fputs("Suppression not used: ", writing->file);
		print_escaped(writing, findings->unused[i]);
		fputc('\n', writing->file);
	}
}

static void print_process_table(const struct writing *writing)
{
	for (size_t i = 0; i < writing->findings->n_processes; i++) {
		const struct findings_process *process = &writing->findings->processes[i];

		fprintf(writing->file, "process %u (%s): ", process->pid,
			findings_ended_name(process->ended));
		print_escaped(writing, process->exe);
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

static struct text_summary summarize(const struct findings *findings)
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
	for (size_t i = 0; i < findings->n_suppressed; i++)
		summary.suppressed += findings->suppressed[i].count;
	return summary;
}

/* Of one process the line is the library's; of more it begins with their number in place
 * of the pid, "==3 processes==SUMMARY: ...", and of none with nothing. */
static void print_summary(struct writing *writing)
{
	struct text_summary summary = summarize(writing->findings);
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	writing->color = summary.n_leaked ? RED : BOLD;
	if (writing->findings->n_processes == 1) {
		print_block(writing, put_summary, &summary);
		return;
	}
	char line[sizeof(buffer) + 64];
	text_summary(&text, &summary);
	const char *word = memmem(buffer, text.used, "SUMMARY", 7);
	int bytes =
		writing->findings->n_processes
			? snprintf(line, sizeof(line),
				   "==%zu processes==", writing->findings->n_processes)
			: 0;
	bytes += snprintf(line + bytes, sizeof(line) - (size_t)bytes, "%.*s",
			  (int)(buffer + text.used - word), word);
	print_colored(writing, line, (size_t)bytes);
}

void format_text(const struct findings *findings,
		 const struct format_text_options *options, FILE *file)
{
	struct writing writing = {findings, options, file, RED};

	print_places(&writing, format_put_place, findings->leaks, findings->n_leaks);
	writing.color = YELLOW;
	print_places(&writing, format_put_pending, findings->pending,
		     findings->n_pending);
	print_rules(&writing);
	if (options->verbose)
		print_process_table(&writing);
	print_summary(&writing);
}
