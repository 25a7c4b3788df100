/* Joins the rows of many ledgers into sockets, and the sockets into places.
 *
 * A row is one process's view of one descriptor.  Rows with the same boot id and cookie
 * speak of one socket, in whatever process; where the cookie was never asked, the serial
 * joins the duplicates within a process.  Rows of descriptors closed since, and gifts
 * over Unix sockets (events), hold nothing, but know where the socket was opened: the
 * origin in the giver's ledger serves the taker's row.
 *
 * An exec keeps the process and closes some of its descriptors: what the ledger of the
 * former program says of a socket is overruled by what the ledger of the later one
 * says. */
#include "merging.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

static void fill_frame(struct text_frame *frame, const struct module *module,
		       uint64_t offset)
{
	frame->offset = offset;
	if (!module)
		return;
	frame->module = module->path;
	frame->build_id = module->build_id;
	frame->build_id_bytes = module->build_id_bytes;
}

static const struct backtrace *
intern_backtrace(struct merge *merge, const struct reader_ledger *ledger, uint32_t origin)
{
	const struct reader_backtrace *read = reader_backtrace(ledger, origin);
	struct module *modules[SL_MAX_FRAMES] = {NULL};
	uint64_t key[2 * SL_MAX_FRAMES + 1];
	struct backtrace *known;

	if (!read || !read->n_frames)
		return NULL;
	for (unsigned i = 0; i < read->n_frames; i++) {
		const struct reader_module *module =
			reader_module(ledger, SL_FRAME_MODULE(read->frames[i]));

		if (module)
			modules[i] = intern_module(merge, module);
		key[2 * i] = modules[i] ? modules[i]->number : 0;
		key[2 * i + 1] = SL_FRAME_OFFSET(read->frames[i]);
	}
	key[2 * read->n_frames] = read->is_short;
	size_t bytes = (2 * read->n_frames + 1) * sizeof(key[0]);
	HASH_FIND(hh, merge->backtraces, key, bytes, known);
	if (known)
		return known;
	known = findings_keep(merge->findings, sizeof(*known));
	known->n_frames = read->n_frames;
	known->is_short = read->is_short;
	known->frames =
		findings_keep(merge->findings, read->n_frames * sizeof(*known->frames));
	for (unsigned i = 0; i < read->n_frames; i++)
		fill_frame(&known->frames[i], modules[i],
			   SL_FRAME_OFFSET(read->frames[i]));
	void *kept = memcpy(findings_keep(merge->findings, bytes), key, bytes);
	HASH_ADD_KEYPTR(hh, merge->backtraces, kept, bytes, known);
	return known;
}

/* The backtraces of one ledger, each interned once. */
struct translation {
	const struct backtrace **by_index; /* NULL = not yet */
};

static const struct backtrace *translate(struct merge *merge,
					 const struct reader_ledger *ledger,
					 const struct translation *translation,
					 uint32_t origin)
{
	const struct reader_backtrace *read = reader_backtrace(ledger, origin);

	if (!read)
		return NULL;
	const struct backtrace **known =
		&translation->by_index[read - ledger->backtraces];
	if (!*known)
		*known = intern_backtrace(merge, ledger, origin);
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
		known->is_this = judge_is_this_boot(id);
		HASH_ADD(hh, merge->boots, id, 16, known);
	}
	return known;
}

static struct program *intern_program(struct merge *merge, const struct sl_header *head,
				      uint32_t sequence, uint32_t process)
{
	struct program_key key = {.start_ticks = head->start_ticks, .pid = head->pid};
	struct program *known;

	memcpy(key.boot_id, head->boot_id, sizeof(key.boot_id));
	HASH_FIND(hh, merge->programs, &key, sizeof(key), known);
	if (!known) {
		known = findings_keep(merge->findings, sizeof(*known));
		known->key = key;
		known->last_sequence = sequence;
		known->last_process = process;
		HASH_ADD(hh, merge->programs, key, sizeof(key), known);
	} else if (sequence > known->last_sequence) {
		known->last_sequence = sequence;
		known->last_process = process;
	}
	return known;
}

/* The ledger of the program that came next may lie beside this one, not asked for. */
static bool next_lies_beside(const struct reader_ledger *ledger)
{
	const char *slash = strrchr(ledger->path, '/');
	uint32_t pid, sequence;
	uint64_t start_ticks;

	if (!reader_parse_name(ledger->path, &pid, &start_ticks, &sequence))
		return false;
	char *beside = say_printf("%.*s%u.%llu.%u%s",
				  slash ? (int)(slash + 1 - ledger->path) : 0,
				  ledger->path, pid, (unsigned long long)start_ticks,
				  sequence + 1, SL_LEDGER_SUFFIX);
	bool there = access(beside, F_OK) == 0;
	free(beside);
	return there;
}

static uint32_t add_process(struct merge *merge, const struct reader_ledger *ledger)
{
	struct findings *findings = merge->findings;
	const struct sl_header *head = ledger->head;
	const struct boot *boot = intern_boot(merge, head->boot_id);
	uint32_t at = (uint32_t)findings->n_processes++;

	merge->processes =
		say_realloc(merge->processes, at + 1, sizeof(*merge->processes));
	merge->processes[at] = (struct process){
		.judged = judge_process(head),
		.program = intern_program(merge, head, ledger->sequence, at),
		.sequence = ledger->sequence,
		.boot = boot->number,
	};
	if (head->ended == SL_RUNNING && next_lies_beside(ledger))
		merge->processes[at].judged.ended = FINDINGS_EXEC;
	findings->processes =
		say_realloc(findings->processes, at + 1, sizeof(*findings->processes));
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
		.is_of_this_boot = boot->is_this,
		.net_namespace = head->net_namespace,
		.last_ns = merge->processes[at].judged.last_ns,
	};
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
		key.cookie = row->serial;
		key.process = process + 1;
		key.fd = row->serial ? 0 : fd + UINT64_C(1);
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

/* A gift is a row that holds nothing and knows the origin. */
static struct sl_descriptor row_of_gift(const struct sl_event *event)
{
	return (struct sl_descriptor){
		.cookie = event->cookie,
		.call = event->call,
		.note = event->note,
		.flags = SL_ROW_GIVEN,
		.origin = event->origin,
	};
}

void merge_add(struct merge *merge, const struct reader_ledger *ledger)
{
	uint32_t process = add_process(merge, ledger);
	struct translation translation = {
		say_calloc(ledger->n_backtraces, sizeof(*translation.by_index))};
	const char **tests = say_calloc(ledger->n_names, sizeof(*tests));

	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct reader_row *from = &ledger->rows[i];
		struct row *row = add_row(merge, process, from->fd, &from->row);

		row->origin = translate(merge, ledger, &translation, from->row.origin);
		row->eof = translate(merge, ledger, &translation, from->row.eof_origin);
		row->test = intern_test(merge, ledger, tests, from->row.name);
	}
	for (size_t i = 0; i < ledger->n_events; i++) {
		const struct sl_event *event = &ledger->events[i];

		if (event->kind != SL_EVENT_GIVEN || !event->cookie)
			continue;
		struct sl_descriptor gift = row_of_gift(event);
		add_row(merge, process, event->fd, &gift)->origin =
			translate(merge, ledger, &translation, event->origin);
	}
	free(tests);
	free(translation.by_index);
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
		enum findings_ended *ended = &process->judged.ended;

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
/* -- the whole -------------------------------------------------------------------- */

/* A socket counts as open once in each process that held it at its last look.  The rows
 * of a process stand together, as merge_add() added them. */
static void count_open(struct merge *merge, const struct joined *socket)
{
	const struct row *counted = NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!row->row.held || (counted && counted->process == row->process))
			continue;
		merge->findings->processes[row->process].open++;
		counted = row;
	}
}

static void free_hashes(struct merge *merge)
{
	HASH_CLEAR(hh, merge->boots);
	HASH_CLEAR(hh, merge->modules);
	HASH_CLEAR(hh, merge->backtraces);
	HASH_CLEAR(hh, merge->programs);
	HASH_CLEAR(hh, merge->sockets);
	HASH_CLEAR(hh, merge->leaks);
	HASH_CLEAR(hh, merge->pending);
}

struct findings *merge_close(struct merge *merge)
{
	struct findings *findings = merge->findings;

	settle_ends(merge);
	merging_join_over_exec(merge);
	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next) {
		merging_judge_rows(merge, socket);
		count_open(merge, socket);
		if (merging_find_socket(merge, socket))
			merging_add_to_place(merge, socket);
	}
	findings->leaks =
		merging_gather_places(findings, merge->leaks, &findings->n_leaks);
	findings->pending =
		merging_gather_places(findings, merge->pending, &findings->n_pending);
	free_hashes(merge);
	free(merge->processes);
	free(merge);
	findings_settle(findings);
	return findings;
}
