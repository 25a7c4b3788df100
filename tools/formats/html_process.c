/* The processes of the HTML report, each below the one that started it. */
#include "formats/html_internal.h"

#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>

#define MAX_DEPTH 8 /* that is seen; what is deeper stands as deep */

/* Of each process the first child and the next of the same parent, plus one; 0 = none.
 * The last of `first` is of those without a parent. */
struct tree {
	uint32_t *first, *next;
};

static struct tree make_tree(const struct findings *findings)
{
	size_t n = findings->n_processes;
	struct tree tree = {say_calloc(n + 1, sizeof(*tree.first)),
			    say_calloc(n + 1, sizeof(*tree.next))};

	for (size_t i = n; i-- > 0;) {
		uint32_t parent = findings->processes[i].parent;
		uint32_t *first = &tree.first[parent ? parent - 1 : n];

		tree.next[i] = *first;
		*first = (uint32_t)i + 1;
	}
	return tree;
}

static void put_number(const struct html *html, uint64_t number)
{
	fputs("<td class=\"n\">", html->file);
	html_number(html, number);
	fputs("</td>", html->file);
}

static void put_process(const struct html *html, const struct findings_process *process,
			unsigned depth)
{
	fprintf(html->file, "<tr><td class=\"tree d%u\">",
		depth < MAX_DEPTH ? depth : MAX_DEPTH);
	html_name(html, process->exe + paths_below_working_directory(process->exe));
	fprintf(html->file, "</td><td class=\"n\">%u</td><td>", process->pid);
	html_name(html, process->host);
	fprintf(html->file, "</td><td>%s</td>", findings_ended_name(process->ended));
	put_number(html, process->opened);
	put_number(html, process->closed);
	put_number(html, process->open);
	put_number(html, process->leaked);
	put_number(html, process->pending);
	put_number(html, process->closed_late);
	fputs("</tr>\n", html->file);
}

/* Depth first; without recursion, since ledgers may claim any depth. */
static void put_tree(const struct html *html, const struct tree *tree)
{
	const struct findings_process *processes = html->findings->processes;
	size_t n = html->findings->n_processes, n_shown = 0;
	unsigned depth = 0;
	uint32_t at = tree->first[n];

	while (at && n_shown < HTML_MAX_PROCESSES) {
		put_process(html, &processes[at - 1], depth);
		n_shown++;
		if (tree->first[at - 1]) {
			at = tree->first[at - 1];
			depth++;
			continue;
		}
		while (at && !tree->next[at - 1]) {
			at = processes[at - 1].parent;
			depth--;
		}
		if (at)
			at = tree->next[at - 1];
	}
}

void html_processes(const struct html *html)
{
	static const char *const numbers[] = {"Opened", "Closed",  "Open",
					      "Leaked", "Pending", "Closed late"};
	size_t n = html->findings->n_processes;

	if (!n)
		return;
	fputs("<section id=\"processes\">\n<h2>Processes <span>each below the one that "
	      "started it</span></h2>\n<div class=\"scroll\">\n<table>\n<thead><tr><th "
	      "scope=\"col\">Program</th><th scope=\"col\" class=\"n\">Process</th><th "
	      "scope=\"col\">Host</th><th scope=\"col\">Ended by</th>",
	      html->file);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		fprintf(html->file, "<th scope=\"col\" class=\"n\">%s</th>", numbers[i]);
	fputs("</tr></thead>\n<tbody>\n", html->file);
	struct tree tree = make_tree(html->findings);
	put_tree(html, &tree);
	free(tree.first);
	free(tree.next);
	fputs("</tbody>\n</table>\n</div>\n", html->file);
	if (n > HTML_MAX_PROCESSES) {
		fputs("<p>", html->file);
		html_number(html, n - HTML_MAX_PROCESSES);
		fputs(" more are not in this file; <code>--json</code> has all.</p>\n",
		      html->file);
	}
	fputs("</section>", html->file);
}
