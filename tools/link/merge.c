/* Joins the rows of many ledgers into sockets.
 *
 * Theory of operation.  A row is one process's view of one descriptor.  Rows with the
 * same boot id and cookie speak of one socket, in whatever process; where the cookie was
 * never asked, the socket id joins the duplicates within a process.  Rows of descriptors
 * closed since hold nothing, nor do the rows that are made of events: that a descriptor
 * was sent over a Unix socket.  But they know where the socket was opened: the row of the
 * process that received it has its origin from the ledger of the process that sent it.
 *
 * An exec keeps the process and closes some of its descriptors: what the ledger of the
 * former program says of a socket is overruled by what the ledger of the later one
 * says.  What the ledger does not tell is found out once all have been added, in this
 * order: how each process ended (settle_ends()); which process started it
 * (merge_parents.c); which row of a former program is of a socket that a later one has,
 * and which rows are overruled (merge_exec.c); and which sockets are held by processes
 * that keep no ledger (merge_elsewhere.c), the only step that asks the kernel.  How many
 * sockets were open over time (merge_series.c) is joined once they are judged. */
#include "link/merge.h"

#include "kernel/process.h"
#include "link/linked.h"
#include "read/generated_names.h"
#include "read/ledgers.h"
#include "read/process_facts.h"
#include "read/reader_rows.h"

#include <stdlib.h>
#include <string.h>

struct merge *merge_open(void)
{
	struct merge *merge = say_calloc(1, sizeof(*merge));

	merge->findings = say_calloc(1, sizeof(*merge->findings));
	return merge;
}

/* -- backtraces ------------------------------------------------------------------- */

static struct module *intern_module(struct merge *merge,
				    const struct reader_module *module)
{
	/* path, 0, build-id: no two modules spell the same */
	size_t path_bytes = strlen(module->path) + 1;
	size_t bytes = path_bytes + module->build_id_bytes;
	char *key = say_calloc(1, bytes);
	struct module *known;

	memcpy(key, module->path, path_bytes);
	memcpy(key + path_bytes, module->build_id, module->build_id_bytes);
	HASH_FIND(hh, merge->modules, key, bytes, known);
	if (!known) {
		char *kept = findings_keep(merge->findings, bytes);

		memcpy(kept, key, bytes);
		known = findings_keep(merge->findings, sizeof(*known));
		known->path = kept;
		known->build_id = (uint8_t *)kept + path_bytes;
		known->build_id_bytes = module->build_id_bytes;
		known->number = HASH_COUNT(merge->modules) + 1;
		HASH_ADD_KEYPTR(hh, merge->modules, kept, bytes, known);
	}
	free(key);
	return known;
}

static struct line *intern_line(struct merge *merge, const struct text_frame *frame)
{
	/* numbers, function, 0, file: no two lines spell the same */
	const char *file = frame->file ? frame->file : "";
	size_t bytes;
	char *key = say_printf("%d %u %s%c%s", (int)frame->language, frame->line,
			       frame->function, 0, file);
	struct line *known;

	bytes = strlen(key) + 1 + strlen(file);
	HASH_FIND(hh, merge->lines, key, bytes, known);
	if (!known) {
		char *kept = memcpy(findings_keep(merge->findings, bytes), key, bytes);

		known = findings_keep(merge->findings, sizeof(*known));
		known->frame = *frame;
		known->frame.function =
			findings_keep_string(merge->findings, frame->function);
		if (frame->file)
			known->frame.file =
				findings_keep_string(merge->findings, frame->file);
		known->number = HASH_COUNT(merge->lines) + 1;
		HASH_ADD_KEYPTR(hh, merge->lines, kept, bytes, known);
	}
	free(key);
	return known;
}

/* Its frame, and in `key` two numbers that say the same. */
static struct text_frame intern_frame(struct merge *merge, struct generated_names *names,
				      uint64_t frame, uint64_t key[2])
{
	struct text_frame shown = reader_frame(names->ledger, frame);

	generated_names_give(names, &shown);
	if (shown.language || shown.function) {
		const struct line *line = intern_line(merge, &shown);

		key[0] = UINT64_MAX;
		key[1] = line->number;
		return line->frame;
	}
	key[0] = 0;
	key[1] = shown.offset;
	if (!shown.module)
		return shown;
	const struct module *module = intern_module(
		merge, reader_module(names->ledger, SL_FRAME_MODULE(frame)));
	key[0] = module->number;
	shown.module = module->path;
	shown.build_id = module->build_id;
	return shown;
}

static struct backtrace *keep_backtrace(struct merge *merge,
					const struct reader_backtrace *read,
					const struct text_frame *frames)
{
	struct backtrace *kept = findings_keep(merge->findings, sizeof(*kept));
	size_t bytes = read->n_frames * sizeof(*frames);

	kept->n_frames = read->n_frames;
	kept->is_short = read->is_short;
	kept->frames = memcpy(findings_keep(merge->findings, bytes), frames, bytes);
	return kept;
}

static const struct backtrace *intern_backtrace(struct merge *merge,
						struct generated_names *names,
						const struct reader_backtrace *read)
{
	struct text_frame frames[SL_MAX_FRAMES];
	uint64_t key[2 * SL_MAX_FRAMES + 1];
	struct backtrace *known;

	if (!read->n_frames)
		return NULL;
	for (unsigned i = 0; i < read->n_frames; i++)
		frames[i] = intern_frame(merge, names, read->frames[i], &key[2 * i]);
	text_mark_by_frame_pointer(frames, read->n_frames);
	key[2 * read->n_frames] = read->is_short;
	size_t bytes = (2 * read->n_frames + 1) * sizeof(key[0]);
	HASH_FIND(hh, merge->backtraces, key, bytes, known);
	if (known)
		return known;
	known = keep_backtrace(merge, read, frames);
	void *kept = memcpy(findings_keep(merge->findings, bytes), key, bytes);
	HASH_ADD_KEYPTR(hh, merge->backtraces, kept, bytes, known);
	return known;
}

/* The backtraces of one ledger, each interned once. */
struct translation {
	const struct backtrace **by_index; /* NULL = not yet */
	struct generated_names names;
};

static const struct backtrace *translate(struct merge *merge,
					 struct translation *translation, uint32_t origin)
{
	const struct reader_ledger *ledger = translation->names.ledger;
	const struct reader_backtrace *read = reader_backtrace(ledger, origin);

	if (!read)
		return NULL;
	const struct backtrace **known =
		&translation->by_index[read - ledger->backtraces];
	if (!*known)
		*known = intern_backtrace(merge, &translation->names, read);
	return *known;
}

/* -- processes -------------------------------------------------------------------- */

static const struct boot *intern_boot(struct merge *merge, const uint8_t id[16])
{
	struct boot *known;

	HASH_FIND(hh, merge->boots, id, 16, known);
	if (!known) {
		known = findings_keep(merge->findings, sizeof(*known));
		memcpy(known->id, id, 16);
		known->number = HASH_COUNT(merge->boots) + 1;
		known->is_this = process_is_of_this_boot(id);
		HASH_ADD(hh, merge->boots, id, 16, known);
	}
	return known;
}

static struct program *intern_program(struct merge *merge, const struct sl_header *head,
				      uint32_t sequence)
{
	struct program_key key = {.start_ticks = head->start_ticks, .pid = head->pid};
	struct program *known;

	memcpy(key.boot_id, head->boot_id, sizeof(key.boot_id));
	HASH_FIND(hh, merge->programs, &key, sizeof(key), known);
	if (!known) {
		known = findings_keep(merge->findings, sizeof(*known));
		known->key = key;
		HASH_ADD(hh, merge->programs, key, sizeof(key), known);
	}
	if (sequence > known->last_sequence)
		known->last_sequence = sequence;
	return known;
}

/* Adds to the findings what they say of the last of merge->processes. */
static void describe_process(struct merge *merge, const struct reader_ledger *ledger,
			     bool is_of_this_boot)
{
	struct findings *findings = merge->findings;
	const struct sl_header *head = ledger->head;
	size_t at = findings->n_processes - 1;

	findings->processes =
		say_one_more(findings->processes, at, sizeof(*findings->processes));
	findings->processes[at] = (struct findings_process){
		.pid = head->pid,
		.exe = findings_keep_string(findings, head->exe),
		.host = findings_keep_string(findings, head->host),
		.opened = head->opened,
		.closed = head->closed,
		.closed_late = head->closed_late,
		.closed_late_max_ms = head->closed_late_max_ms,
		.missed = head->missed,
		.dropped = head->dropped + ledger->n_torn,
		.is_of_this_boot = is_of_this_boot,
		.net_namespace = head->net_namespace,
		.last_ns = merge->processes[at].facts.last_ns,
	};
	if (head->filter_laid_ns)
		findings_add_unwatched(findings, head->pid, head->exe, UNWATCHED_FILTER);
	if (head->children_failed)
		findings_add_unwatched_n(findings, head->failed_child, head->exe,
					 UNWATCHED_NO_LEDGER, head->children_failed);
}

static uint32_t add_process(struct merge *merge, const struct reader_ledger *ledger)
{
	const struct sl_header *head = ledger->head;
	const struct boot *boot = intern_boot(merge, head->boot_id);
	uint32_t at = (uint32_t)merge->findings->n_processes++;

	merge->processes = say_one_more(merge->processes, at, sizeof(*merge->processes));
	merge->processes[at] = (struct process){
		.facts = process_facts(head),
		.program = intern_program(merge, head, ledger->sequence),
		.sequence = ledger->sequence,
		.boot = boot->number,
		.parent_pid = head->parent_pid,
		.pid_namespace = head->pid_namespace,
		.started_ns = head->started_ns,
		.started_realtime_ns = head->started_realtime_ns,
	};
	linked_take_series(merge, &merge->processes[at], head);
	/* The ledger of the program that it became may not be among those to be read. */
	if (head->ended == SL_RUNNING && ledgers_has_next(ledger->path))
		merge->processes[at].facts.ended = FINDINGS_EXEC;
	describe_process(merge, ledger, boot->is_this);
	return at;
}

/* -- rows ------------------------------------------------------------------------- */

static struct joined *join(struct merge *merge, uint32_t process, uint32_t fd,
			   const struct sl_descriptor *row)
{
	struct socket_key key = {0};
	struct joined *known;

	if (row->cookie) {
		key.cookie = row->cookie;
		key.boot = merge->processes[process].boot;
	} else {
		key.cookie = row->socket_id;
		key.process = process + 1;
		key.fd = row->socket_id ? 0 : fd + UINT64_C(1);
	}
	HASH_FIND(hh, merge->sockets, &key, sizeof(key), known);
	if (known)
		return known;
	known = findings_keep(merge->findings, sizeof(*known));
	known->key = key;
	known->end = &known->rows;
	HASH_ADD(hh, merge->sockets, key, sizeof(key), known);
	return known;
}

static struct row *add_row(struct merge *merge, uint32_t process, uint32_t fd,
			   const struct sl_descriptor *from)
{
	struct joined *socket = join(merge, process, fd, from);
	struct row *row = findings_keep(merge->findings, sizeof(*row));

	row->row = *from;
	row->process = process;
	row->fd = fd;
	*socket->end = row;
	socket->end = &row->next;
	return row;
}

static int compare_name(const void *id, const void *name)
{
	uint32_t left = *(const uint32_t *)id,
		 right = ((const struct reader_name *)name)->id;

	return (left > right) - (left < right);
}

/* The name of a test, kept once a ledger. */
static const char *intern_test(struct merge *merge, const struct reader_ledger *ledger,
			       const char **by_index, uint32_t id)
{
	const struct reader_name *name = id ? bsearch(&id, ledger->names, ledger->n_names,
						      sizeof(*name), compare_name)
					    : NULL;

	if (!name)
		return NULL;
	const char **kept = &by_index[name - ledger->names];
	if (!*kept)
		*kept = findings_keep_string(merge->findings, name->text);
	return *kept;
}

/* The same file by two names, or a copy of it. */
static bool was_added(struct merge *merge, const struct reader_ledger *ledger)
{
	const struct sl_header *head = ledger->head;
	struct added_key key = {
		.start_ticks = head->start_ticks,
		.started_ns = head->started_ns,
		.pid = head->pid,
		.sequence = ledger->sequence,
	};
	struct added *known;

	memcpy(key.boot_id, head->boot_id, sizeof(key.boot_id));
	strncpy(key.host, head->host, sizeof(key.host));
	HASH_FIND(hh, merge->added, &key, sizeof(key), known);
	if (known)
		return true;
	known = findings_keep(merge->findings, sizeof(*known));
	known->key = key;
	HASH_ADD(hh, merge->added, key, sizeof(key), known);
	return false;
}

void merge_add(struct merge *merge, const struct reader_ledger *ledger)
{
	if (was_added(merge, ledger))
		return;
	uint32_t process = add_process(merge, ledger);
	struct translation translation = {
		say_calloc(ledger->n_backtraces, sizeof(*translation.by_index)),
		{.ledger = ledger}};
	const char **tests = say_calloc(ledger->n_names, sizeof(*tests));

	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct reader_row *from = &ledger->rows[i];
		struct row *row = add_row(merge, process, from->fd, &from->row);

		row->origin = translate(merge, &translation, from->row.origin);
		row->eof = translate(merge, &translation, from->row.eof_origin);
		row->use = translate(merge, &translation, from->row.use_origin);
		row->test = intern_test(merge, ledger, tests, from->row.name);
	}
	for (size_t i = 0; i < ledger->n_events; i++) {
		const struct sl_event *event = &ledger->events[i];

		if (!event->cookie)
			continue;
		struct sl_descriptor gift = reader_row_of_passed(event);
		add_row(merge, process, event->fd, &gift)->origin =
			translate(merge, &translation, event->origin);
	}
	for (size_t i = 0; i < ledger->n_elsewhere; i++) {
		const struct sl_elsewhere *from = &ledger->elsewhere[i];

		linked_take_elsewhere(merge,
				      add_row(merge, process, from->fd, &from->row), from,
				      translate(merge, &translation, from->row.origin));
	}
	free(tests);
	free(translation.by_index);
	generated_names_free(&translation.names);
}

void merge_saw_end(struct merge *merge, uint32_t pid, int signal)
{
	struct seen_end *end = findings_keep(merge->findings, sizeof(*end));

	*end = (struct seen_end){merge->ends, pid, signal};
	merge->ends = end;
}

/* -- the end of each process ------------------------------------------------------ */

static void settle_ends(struct merge *merge)
{
	for (size_t i = 0; i < merge->findings->n_processes; i++) {
		struct process *process = &merge->processes[i];
		enum findings_ended *ended = &process->facts.ended;

		if (*ended != FINDINGS_EXIT &&
		    process->sequence < process->program->last_sequence)
			*ended = FINDINGS_EXEC;
		for (const struct seen_end *end = merge->ends; end; end = end->next)
			if (*ended == FINDINGS_UNKNOWN &&
			    end->pid == merge->findings->processes[i].pid)
				*ended = end->signal ? FINDINGS_SIGNAL : FINDINGS_EXEC;
		merge->findings->processes[i].ended = *ended;
	}
}

/* -- where a socket was opened ---------------------------------------------------- */

bool linked_was_opened_here(const struct row *row)
{
	return row->row.origin_kind != SL_ORIGIN_INHERITED &&
	       row->row.origin_kind != SL_ORIGIN_RECEIVED &&
	       row->row.origin_kind != SL_ORIGIN_UNKNOWN &&
	       !(row->row.flags & SL_ROW_INHERITED);
}

const struct row *linked_origin_row(const struct joined *socket)
{
	const struct row *best = socket->rows;
	int best_rank = -1;

	for (const struct row *row = socket->rows; row; row = row->next) {
		int rank = (row->origin ? 8 : 0) + (linked_was_opened_here(row) ? 4 : 0) +
			   (row->row.call != SL_CALL_NONE ? 2 : 0) + row->row.held;

		if (rank > best_rank) {
			best = row;
			best_rank = rank;
		}
	}
	return best;
}

/* -- the whole -------------------------------------------------------------------- */

void merge_link(struct merge *merge)
{
	settle_ends(merge);
	linked_find_parents(merge);
	linked_join_over_exec(merge);
	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next)
		linked_mark_overruled(merge, socket);
	linked_add_elsewhere(merge);
}

void merge_free(struct merge *merge)
{
	HASH_CLEAR(hh, merge->added);
	HASH_CLEAR(hh, merge->boots);
	HASH_CLEAR(hh, merge->modules);
	HASH_CLEAR(hh, merge->lines);
	HASH_CLEAR(hh, merge->backtraces);
	HASH_CLEAR(hh, merge->programs);
	HASH_CLEAR(hh, merge->sockets);
	free(merge->processes);
	free(merge);
}
