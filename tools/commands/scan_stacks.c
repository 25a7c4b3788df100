/* See scan_stacks.h. */
#include "commands/scan_stacks.h"

#include "common/text.h"
#include "support/paths.h"
#include "support/say.h"
#include "symbols/symbols.h"
#include "symbols/threads.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define STACK_BYTES 16384

struct stack {
	char *frames; /* owned; as they are printed */
	uint32_t tid;
};

struct stacks {
	struct symbols *symbols;
	struct stack *at; /* owned */
	size_t n;
};

/* "      worker  app.c:42", or "      malloc  (/lib/libc.so.6+0x123)". */
static void put_frame(struct text *text, const struct symbol_frame *named,
		      const struct threads_frame *frame)
{
	text_string(text, "      ");
	text_escaped(text, named->function ? named->function : "??");
	if (named->file) {
		text_string(text, "  ");
		text_escaped(text,
			     named->file + paths_below_working_directory(named->file));
		text_string(text, ":");
		text_unsigned(text, named->line);
	} else {
		text_string(text, "  (");
		text_escaped(text, frame->module ? frame->module : "no file");
		text_string(text, "+0x");
		text_hex(text, frame->offset);
		text_string(text, ")");
	}
	text_string(text, "\n");
}

static void put_frames(struct text *text, struct symbols *symbols,
		       const struct threads_frame *frame)
{
	const struct symbol_frame *named;
	const struct symbol_frame unknown = {0};
	size_t n;

	if (!frame->module) {
		put_frame(text, &unknown, frame);
		return;
	}
	n = symbols_find(symbols, frame->module, frame->build_id, frame->build_id_bytes,
			 frame->offset, &named);
	for (size_t i = 0; i < n; i++)
		put_frame(text, &named[i], frame);
}

static void add_stack(const struct threads_thread *thread, void *of)
{
	struct stacks *stacks = of;
	char bytes[STACK_BYTES];
	struct text text = {.at = bytes, .size = sizeof(bytes)};

	for (size_t i = 0; i < thread->n; i++)
		put_frames(&text, stacks->symbols, &thread->frames[i]);
	if (!thread->n)
		text_string(&text, "      it could not be stopped\n");
	stacks->at = say_one_more(stacks->at, stacks->n, sizeof(*stacks->at));
	stacks->at[stacks->n++] = (struct stack){
		.frames = say_printf("%.*s", (int)text.used, text.at),
		.tid = thread->tid,
	};
}

static int by_frames(const void *a, const void *b)
{
	const struct stack *x = a, *y = b;
	int order = strcmp(x->frames, y->frames);

	return order ? order : (x->tid > y->tid) - (x->tid < y->tid);
}

/* "    thread 4711 (worker) and 3 more:" */
static void print_heading(const struct stack *first, size_t n, FILE *file)
{
	char name[PROCESS_NAME_BYTES], bytes[256];
	struct text text = {.at = bytes, .size = sizeof(bytes) - 1};

	process_name(first->tid, name);
	text_escaped(&text, name);
	bytes[text.used] = 0;
	fprintf(file, "    thread %" PRIu32 " (%s)", first->tid, bytes);
	if (n > 1)
		fprintf(file, " and %zu more", n - 1);
	fputs(":\n", file);
}

static void print_process(struct stacks *stacks, uint32_t pid, FILE *file)
{
	stacks->n = 0;
	if (threads_each(pid, add_stack, stacks) < 0) {
		say_warn("cannot look at the threads of process %" PRIu32 ":", pid);
		return;
	}
	fprintf(file, "Threads of process %" PRIu32 ":\n", pid);
	qsort(stacks->at, stacks->n, sizeof(*stacks->at), by_frames);
	for (size_t i = 0, n; i < stacks->n; i += n) {
		const struct stack *first = &stacks->at[i];

		for (n = 1; i + n < stacks->n && !strcmp(first[n].frames, first->frames);)
			n++;
		print_heading(first, n, file);
		fputs(first->frames, file);
	}
	for (size_t i = 0; i < stacks->n; i++)
		free(stacks->at[i].frames);
}

static int by_number(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

/* Of all holders, ascending; the caller frees them. */
static uint32_t *find_pids(const struct scan *scan, size_t *n)
{
	uint32_t *pids = NULL;

	*n = 0;
	for (size_t i = 0; i < scan->n_found; i++)
		for (size_t j = 0; j < scan->found[i].n_holders; j++) {
			pids = say_one_more(pids, *n, sizeof(*pids));
			pids[(*n)++] = scan->found[i].holders[j].at.pid;
		}
	if (*n)
		qsort(pids, *n, sizeof(*pids), by_number);
	return pids;
}

void scan_print_stacks(const struct scan *scan, FILE *file)
{
	struct stacks stacks = {.symbols = symbols_open()};
	size_t n;
	uint32_t *pids = find_pids(scan, &n);

	for (size_t i = 0; i < n; i++)
		if (i == 0 || pids[i] != pids[i - 1])
			print_process(&stacks, pids[i], file);
	free(pids);
	free(stacks.at);
	symbols_close(stacks.symbols);
}
