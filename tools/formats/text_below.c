/* What stands below a place and only the command knows. */
#include "formats/text_internal.h"

#include "filter/rules.h"
#include "support/say.h"

#include <stdlib.h>

/* More pids than this are counted, not named. */
#define MAX_PIDS 8

/* "  in 3 processes: 4711, 4712, 4713" */
static void print_processes(const struct writing *writing,
			    const struct findings_place *place, const char *indent)
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
	fprintf(writing->file, "%sin %zu processes:", indent, n);
	for (size_t i = 0; i < n && i < MAX_PIDS; i++)
		fprintf(writing->file, "%s %u", i ? "," : "",
			findings->processes[named[i]].pid);
	fprintf(writing->file, "%s\n", n > MAX_PIDS ? ", ..." : "");
}

void text_print_escaped(const struct writing *writing, const char *string)
{
	char buffer[1024];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, string);
	fwrite(buffer, 1, text.used, writing->file);
}

/* "  in tests: login (2), logout (1)", where they are more than the example's one. */
static void print_tests(const struct writing *writing, const struct findings_place *place,
			const char *indent)
{
	struct format_test tests[FORMAT_MAX_TESTS];
	size_t bytes;

	if (format_tests(place, tests) < 2)
		return;
	char *names = format_block(format_put_tests, place, &bytes);
	fprintf(writing->file, "%sin tests: %.*s\n", indent, (int)bytes, names);
	free(names);
}

static void print_holder(const struct writing *writing,
			 const struct findings_holder *holder, const char *before)
{
	fprintf(writing->file, "%s fd %u of process %u", before, holder->fd, holder->pid);
	if (!holder->is_elsewhere || !holder->program)
		return;
	fputs(" (", writing->file);
	text_print_escaped(writing, holder->program);
	fputc(')', writing->file);
}

/* Other descriptors of the example, which the block does not name. */
static void print_holders(const struct writing *writing,
			  const struct findings_socket *socket, const char *indent)
{
	if (socket->n_holders > 1) {
		fprintf(writing->file, "%sheld by", indent);
		for (uint32_t i = 0; i < socket->n_holders && i < MAX_PIDS; i++)
			print_holder(writing, &socket->holders[i], i ? "," : "");
		fprintf(writing->file, "%s\n",
			socket->n_holders > MAX_PIDS ? ", ..." : "");
	}
	if (!socket->opener_closed)
		return;
	fprintf(writing->file, "%sprocess %u, which opened it, has closed it; ", indent,
		socket->opener_pid);
	if (socket->holders[0].pid)
		fprintf(writing->file, "process %u holds it.\n", socket->holders[0].pid);
	else
		fputs("a process that may not be looked at holds it.\n", writing->file);
}

static void print_rule(const struct writing *writing, const struct findings_place *place)
{
	char *rule = rules_propose(place);

	if (rule)
		fprintf(writing->file, "%s\n", rule);
	free(rule);
}

void text_below(const struct writing *writing, const struct findings_place *place,
		const char *indent)
{
	print_processes(writing, place, indent);
	print_tests(writing, place, indent);
	print_holders(writing, &place->sockets[0], indent);
	if (writing->options->gen_suppressions)
		print_rule(writing, place);
}
