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
#include "merge.h"

#include "judge.h"
#include "say.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

#define NS_PER_MS UINT64_C(1000000)

/* Keys of hashes are compared byte by byte: every one is zeroed before it is filled. */

struct module {
	const char *path;
	const uint8_t *build_id;
	unsigned build_id_bytes;
	uint32_t number;
	UT_hash_handle hh; /* by what the three first say */
};

struct backtrace {
	struct text_frame *frames; /* without names */
	unsigned n_frames;
	bool is_short;
	char ids[SL_KIND_DEAD + 1][TEXT_ID_BYTES]; /* "" = not asked yet */
	UT_hash_handle hh;                         /* by module numbers and offsets */
};

struct program_key { /* what an exec keeps */
	uint64_t start_ticks;
	uint8_t boot_id[16];
	uint32_t pid;
	uint32_t reserved;
};

struct program {
	struct program_key key;
	uint32_t last_sequence;
	uint32_t last_process;
	UT_hash_handle hh;
};

struct process {
	struct judge_process judged;
	struct program *program;
	uint32_t sequence;
	uint32_t boot; /* number of its boot id */
};

struct row { /* one process's view */
	struct row *next;
	struct sl_descriptor row;
	struct judge_row judged;
	const struct backtrace *origin, *eof;
	const char *test;
	uint32_t process;
	uint32_t fd;
	bool is_overruled; /* by the program that came after */
};

struct socket_key {
	uint64_t cookie;  /* or serial */
	uint32_t boot;    /* of cookies */
	uint32_t process; /* of serials, from 1 */
	uint64_t fd;      /* where there is no serial either, from 1 */
};

struct joined {
	struct socket_key key;
	struct row *rows; /* in the order of processes */
	struct row **end;
	struct joined *next_in_place;
	bool is_leak; /* to some holder */
	struct findings_socket found;
	UT_hash_handle hh;
};

struct place_key {
	char id[TEXT_ID_BYTES];
	uint8_t note; /* of places without frames, which the id does not tell apart */
	uint16_t call;
};

struct place {
	struct place_key key;
	struct findings_place found;
	struct joined *sockets;
	UT_hash_handle hh;
};

struct boot {
	uint8_t id[16];
	uint32_t number;
	UT_hash_handle hh;
};

struct seen_end {
	struct seen_end *next;
	uint32_t pid;
	int signal;
};

struct merge {
	struct findings *findings;
	struct process *processes; /* as many as findings has */
	struct boot *boots;
	struct module *modules;
	struct backtrace *backtraces;
	struct program *programs;
	struct joined *sockets;
	struct place *leaks, *pending;
	struct seen_end *ends;
};

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

static uint32_t intern_boot(struct merge *merge, const uint8_t id[16])
{
	struct boot *known;

	HASH_FIND(hh, merge->boots, id, 16, known);
	if (!known) {
		known = findings_keep(merge->findings, sizeof(*known));
		memcpy(known->id, id, 16);
		known->number = HASH_COUNT(merge->boots) + 1;
		HASH_ADD(hh, merge->boots, id, 16, known);
	}
	return known->number;
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
	uint32_t at = (uint32_t)findings->n_processes++;

	merge->processes =
		say_realloc(merge->processes, at + 1, sizeof(*merge->processes));
	merge->processes[at] = (struct process){
		.judged = judge_process(head),
		.program = intern_program(merge, head, ledger->sequence, at),
		.sequence = ledger->sequence,
		.boot = intern_boot(merge, head->boot_id),
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

/* -- one socket ------------------------------------------------------------------- */

static bool overrules(const struct merge *merge, const struct row *later,
		      const struct row *row)
{
	const struct process *former = &merge->processes[row->process],
			     *next = &merge->processes[later->process];

	return next->program == former->program && next->sequence > former->sequence;
}

static void overrule(struct row *former, struct row *next)
{
	former->is_overruled = true;
	/* It was a leak before the exec, and is still held. */
	if (next->row.held && former->judged.verdict == SL_LEAK_GRACE)
		next->judged = former->judged;
}

static bool has_successor(const struct merge *merge, const struct row *row)
{
	const struct process *process = &merge->processes[row->process];

	return process->sequence < process->program->last_sequence;
}

/* Judges the rows of a socket; those of a program that became another one say only what
 * the later program's do not. */
static void judge_rows(struct merge *merge, struct joined *socket)
{
	for (struct row *row = socket->rows; row; row = row->next)
		if (row->row.held)
			row->judged = judge_row(&merge->processes[row->process].judged,
						&row->row);
	for (struct row *row = socket->rows; row; row = row->next) {
		if (!has_successor(merge, row))
			continue;
		for (struct row *next = socket->rows; next; next = next->next)
			if (overrules(merge, next, row))
				overrule(row, next);
	}
}

/* grace > exit > pending > none */
static int weight(enum sl_verdict verdict)
{
	static const int weights[] = {[SL_NO_VERDICT] = 0,
				      [SL_PENDING] = 1,
				      [SL_LEAK_EXIT] = 2,
				      [SL_LEAK_GRACE] = 3};

	return weights[verdict];
}

static bool is_leak(const struct row *row)
{
	return row->row.held && !row->is_overruled &&
	       weight(row->judged.verdict) > weight(SL_PENDING);
}

/* Of a leak, whoever ended before it was one has let go of it. */
static bool is_holder(const struct merge *merge, const struct joined *socket,
		      const struct row *row)
{
	if (!row->row.held || row->is_overruled || row->judged.verdict == SL_NO_VERDICT)
		return false;
	return !socket->is_leak || is_leak(row) ||
	       merge->processes[row->process].judged.ended == FINDINGS_RUNNING;
}

static bool was_opened_here(const struct row *row)
{
	return row->row.note != SL_NOTE_INHERITED && row->row.note != SL_NOTE_RECEIVED &&
	       row->row.note != SL_NOTE_UNKNOWN && !(row->row.flags & SL_ROW_INHERITED);
}

/* The row that tells best where the socket was opened: the opener's, else any that has an
 * origin. */
static const struct row *origin_row(const struct joined *socket)
{
	const struct row *best = socket->rows;
	int best_rank = -1;

	for (const struct row *row = socket->rows; row; row = row->next) {
		int rank = (row->origin ? 4 : 0) + (was_opened_here(row) ? 2 : 0) +
			   (row->row.call != SL_CALL_NONE ? 1 : 0);

		if (rank > best_rank) {
			best = row;
			best_rank = rank;
		}
	}
	return best;
}

static enum sl_note note_of(const struct row *row)
{
	if (row->row.note != SL_NOTE_NONE)
		return row->row.note;
	if (!row->origin)
		return SL_NOTE_UNKNOWN;
	return row->origin->is_short ? SL_NOTE_SHORT : SL_NOTE_NONE;
}

static uint64_t ms_between(uint64_t from_ns, uint64_t to_ns)
{
	return from_ns && to_ns > from_ns ? (to_ns - from_ns) / NS_PER_MS : 0;
}

static void raise_to(uint64_t *value, uint64_t least)
{
	if (*value < least)
		*value = least;
}

/* When this row was last known to be as it says. */
static uint64_t last_ns(const struct merge *merge, const struct row *row)
{
	uint64_t last = merge->processes[row->process].judged.last_ns;

	raise_to(&last, row->row.looked_ns);
	raise_to(&last, row->row.told_ns);
	return last;
}

static void take_addresses(struct findings_socket *found, const struct sl_descriptor *row)
{
	if (found->family || !row->family)
		return;
	found->family = row->family;
	found->local_port = row->local_port;
	found->peer_port = row->peer_port;
	memcpy(found->local, row->local, sizeof(found->local));
	memcpy(found->peer, row->peer, sizeof(found->peer));
}

static void take_row(const struct merge *merge, struct findings_socket *found,
		     const struct row *row, uint64_t opened_ns)
{
	uint64_t last = last_ns(merge, row);

	if (weight(row->judged.verdict) > weight(found->verdict)) {
		found->verdict = (uint8_t)row->judged.verdict;
		found->kind = (uint8_t)row->judged.kind;
		found->state = row->judged.state;
	}
	found->why |= (uint8_t)row->judged.why;
	found->cookie = row->row.cookie;
	if (row->row.inode)
		found->inode = row->row.inode;
	if (row->row.unread_bytes > found->unread_bytes)
		found->unread_bytes = row->row.unread_bytes;
	if (row->row.kernel_bytes + SL_SLAB_BYTES > found->kernel_bytes)
		found->kernel_bytes = row->row.kernel_bytes + SL_SLAB_BYTES;
	if (row->row.flags & SL_ROW_FORGOTTEN_PEER)
		found->forgotten = true;
	raise_to(
		&found->age_ms,
		ms_between(row->row.gone_ns ? row->row.gone_ns : row->row.told_ns, last));
	raise_to(&found->told_ms, ms_between(row->row.told_ns, last));
	raise_to(&found->opened_ms, ms_between(opened_ns, last));
	raise_to(&found->opened_ms, found->age_ms);
	take_addresses(found, &row->row);
}

static uint64_t opened_ns(const struct joined *socket)
{
	uint64_t first = 0;

	for (const struct row *row = socket->rows; row; row = row->next)
		if (row->row.opened_ns && (!first || row->row.opened_ns < first))
			first = row->row.opened_ns;
	return first;
}

/* The opener let go of it, but another process, which inherited or received it, did not.
 */
static void find_closed_opener(const struct merge *merge, const struct joined *socket,
			       struct findings_socket *found)
{
	const struct row *opener = NULL;

	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!was_opened_here(row))
			continue;
		if (row->row.held)
			return;
		opener = row;
	}
	if (!opener)
		return;
	for (uint32_t i = 0; i < found->n_holders; i++)
		if (merge->processes[found->holders[i].process].program ==
		    merge->processes[opener->process].program)
			return;
	found->opener_closed = true;
	found->opener_pid = merge->findings->processes[opener->process].pid;
}

/* Fills socket->found; false = nothing to report of it. */
static bool find_socket(struct merge *merge, struct joined *socket)
{
	struct findings_socket *found = &socket->found;
	struct findings_holder *holders;
	uint32_t n = 0;

	for (const struct row *row = socket->rows; row; row = row->next)
		socket->is_leak |= is_leak(row);
	for (const struct row *row = socket->rows; row; row = row->next)
		n += is_holder(merge, socket, row);
	if (!n)
		return false;
	found->holders = holders = findings_keep(merge->findings, n * sizeof(*holders));
	for (const struct row *row = socket->rows; row; row = row->next) {
		if (!found->test)
			found->test = row->test;
		if (!is_holder(merge, socket, row))
			continue;
		holders[found->n_holders++] =
			(struct findings_holder){row->process, row->fd};
		take_row(merge, found, row, opened_ns(socket));
	}
	if (found->verdict != SL_PENDING)
		find_closed_opener(merge, socket, found);
	return true;
}

/* -- places ----------------------------------------------------------------------- */

static const char *place_id(const struct backtrace *origin, enum sl_kind kind,
			    char empty[TEXT_ID_BYTES])
{
	if (!origin) {
		text_place_id(empty, kind, NULL, 0);
		return empty;
	}
	/* Kept where it was found, which changes nothing that others see. */
	char *known = ((struct backtrace *)origin)->ids[kind];
	if (!*known)
		text_place_id(known, kind, origin->frames, origin->n_frames);
	return known;
}

static struct place *intern_place(struct merge *merge, const struct joined *socket,
				  const struct row *from)
{
	struct place **places =
		socket->found.verdict == SL_PENDING ? &merge->pending : &merge->leaks;
	enum sl_kind kind = socket->found.kind;
	struct place_key key;
	struct place *place;
	char empty[TEXT_ID_BYTES];

	memset(&key, 0, sizeof(key));
	memcpy(key.id, place_id(from->origin, kind, empty), sizeof(key.id));
	if (!from->origin) {
		key.note = (uint8_t)note_of(from);
		key.call = from->row.call;
	}
	HASH_FIND(hh, *places, &key, sizeof(key), place);
	if (place)
		return place;
	place = findings_keep(merge->findings, sizeof(*place));
	place->key = key;
	memcpy(place->found.id, key.id, sizeof(key.id));
	place->found.kind = kind;
	place->found.call = from->row.call;
	place->found.note = note_of(from);
	if (from->origin) {
		place->found.origin = from->origin->frames;
		place->found.n_origin = from->origin->n_frames;
	}
	HASH_ADD(hh, *places, key, sizeof(key), place);
	return place;
}

static void take_eof(const struct merge *merge, struct findings_place *place,
		     const struct joined *socket)
{
	for (const struct row *row = socket->rows; row && !place->eof; row = row->next) {
		if (!is_holder(merge, socket, row) || row->row.eof_call == SL_CALL_NONE)
			continue;
		place->eof_call = row->row.eof_call;
		if (row->eof) {
			place->eof = row->eof->frames;
			place->n_eof = row->eof->n_frames;
		}
	}
}

static void add_to_place(struct merge *merge, struct joined *socket)
{
	const struct row *from = origin_row(socket);
	struct place *place = intern_place(merge, socket, from);

	/* A place whose origin is known from the opener somewhere needs no excuse. */
	if (note_of(from) == SL_NOTE_NONE)
		place->found.note = SL_NOTE_NONE;
	if (place->found.call == SL_CALL_NONE)
		place->found.call = from->row.call;
	take_eof(merge, &place->found, socket);
	socket->next_in_place = place->sockets;
	place->sockets = socket;
	place->found.n_sockets++;
}

static struct findings_place *gather_places(struct findings *findings,
					    struct place *places, size_t *n)
{
	struct findings_place *gathered =
		findings_keep(findings, HASH_COUNT(places) * sizeof(*gathered));

	*n = 0;
	for (struct place *place = places; place; place = place->hh.next) {
		struct findings_socket *to =
			findings_keep(findings, place->found.n_sockets * sizeof(*to));

		place->found.sockets = to;
		for (struct joined *socket = place->sockets; socket;
		     socket = socket->next_in_place)
			*to++ = socket->found;
		gathered[(*n)++] = place->found;
	}
	return gathered;
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
	for (struct joined *socket = merge->sockets; socket; socket = socket->hh.next) {
		judge_rows(merge, socket);
		count_open(merge, socket);
		if (find_socket(merge, socket))
			add_to_place(merge, socket);
	}
	findings->leaks = gather_places(findings, merge->leaks, &findings->n_leaks);
	findings->pending = gather_places(findings, merge->pending, &findings->n_pending);
	free_hashes(merge);
	free(merge->processes);
	free(merge);
	findings_settle(findings);
	return findings;
}
