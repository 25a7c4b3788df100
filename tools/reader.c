/* Reads and checks one ledger.
 *
 * Theory of operation.  The file is copied with pread(2), never mapped: whoever cuts it
 * short while we look can make a read short, but cannot kill us.  Nothing is believed
 * before it is checked against what was really read: offsets and counts against the
 * bytes, ids against the tables, enums against their range, strings against their ends.
 *
 * A ledger that still says "running" may change under our eyes, so each of its blocks is
 * copied twice, one copy after the other:
 *
 *   rows     Believed if both copies are equal and their sequence number is even.  A
 *            writer that was at work during the first copy left another number behind by
 *            the time of the second, in whatever order the bytes were copied.  Otherwise
 *            the row is copied again; one that stays odd (its writer was killed inside)
 *            is counted as torn and left out.
 *   records  Appended only, and `kind` is stored last: what was complete in the first
 *            copy is complete in the second, which is the one that is read.
 *
 * Records are copied after rows, because a row may name records that are younger than the
 * first look at the header. */
#include "reader.h"

#include "say.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_TRIES    64         /* copies of a row that will not hold still */
#define MAX_FD       (1U << 30) /* NR_OPEN cannot be raised beyond */
#define MAX_STATE    13         /* TCP_BOUND_INACTIVE, the last of tcp_states.h */
#define LAST_WHY_BIT (1U << 6)  /* SL_WHY_HELD_BY_CHILD */
#define ALL_FLAGS    63U        /* enum sl_row_flags */
#define HEADER_FIXED offsetof(struct sl_header, blocks)

struct reader_chunk {
	struct reader_chunk *next;
	uint64_t bytes[];
};

struct reading {
	struct reader_ledger *ledger;
	int fd;
	bool may_change; /* the writer may be at work */
	char *why;
	uint64_t *first, *second; /* copies of one block */
};

static int __attribute__((format(printf, 2, 3)))
refuse(const struct reading *reading, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(reading->why, READER_WHY_BYTES, format, arguments);
	va_end(arguments);
	return -1;
}

/* Memory that lives as long as the ledger. */
static void *keep(struct reader_ledger *ledger, size_t bytes)
{
	struct reader_chunk *chunk = say_calloc(1, sizeof(*chunk) + bytes);

	chunk->next = ledger->chunks;
	ledger->chunks = chunk;
	return chunk->bytes;
}

static const char *keep_string(struct reader_ledger *ledger, const char *at, size_t bytes)
{
	char *string = keep(ledger, bytes + 1);

	memcpy(string, at, bytes);
	return string;
}

static int cut_short(const struct reading *reading, uint64_t needed)
{
	struct stat status = {0};

	fstat(reading->fd, &status);
	return refuse(reading, "it is cut short, to %lld of at least %llu bytes",
		      (long long)status.st_size, (unsigned long long)needed);
}

static int copy(const struct reading *reading, void *to, size_t bytes, uint64_t offset)
{
	for (size_t done = 0; done < bytes;) {
		ssize_t n = pread(reading->fd, (char *)to + done, bytes - done,
				  (off_t)(offset + done));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return refuse(reading, "%s", strerror(errno));
		if (n == 0)
			return cut_short(reading, offset + bytes);
		done += (size_t)n;
	}
	return 0;
}

/* -- the header ------------------------------------------------------------------- */

static int check_identity(const struct reading *reading, const struct sl_header *head)
{
	if (head->magic == 0)
		return refuse(reading, "its header was never completed");
	if (head->magic == __builtin_bswap64(SL_LEDGER_MAGIC))
		return refuse(reading,
			      "it was written on a machine of the other byte order");
	if (head->magic != SL_LEDGER_MAGIC)
		return refuse(reading, "it is not a ledger of sockleak");
	if (head->version != SL_LEDGER_VERSION)
		return refuse(reading,
			      "it has format version %u, and this sockleak (%s) reads "
			      "version %u",
			      head->version, SL_VERSION, SL_LEDGER_VERSION);
	return 0;
}

static int check_header(const struct reading *reading, const struct sl_header *head)
{
	if (head->byte_order != SL_BYTE_ORDER ||
	    head->header_bytes != sizeof(struct sl_header) ||
	    head->block_bytes != SL_BLOCK_BYTES)
		return refuse(reading,
			      "its header is damaged (sizes do not fit the version)");
	if (head->n_blocks > SL_MAX_BLOCKS)
		return refuse(reading, "its header is damaged (%u blocks)",
			      head->n_blocks);
	if (head->ended != SL_RUNNING && head->ended != SL_ENDED_EXIT)
		return refuse(reading, "its header is damaged (ended by %u)",
			      head->ended);
	if (head->at_exit > 2 || head->forked > 1)
		return refuse(reading, "its header is damaged (settings out of range)");
	for (size_t i = 0; i < sizeof(head->reserved); i++)
		if (head->reserved[i])
			return refuse(reading,
				      "its header is damaged (byte %zu is not zero)",
				      offsetof(struct sl_header, reserved) + i);
	return 0;
}

static int read_header(struct reading *reading)
{
	struct sl_header *head = reading->ledger->head;
	struct stat status;

	if (fstat(reading->fd, &status) == 0 &&
	    status.st_size < (off_t)sizeof(head->magic))
		return refuse(reading, "it is not a ledger of sockleak");
	if (copy(reading, &head->magic, sizeof(head->magic), 0) < 0)
		return -1;
	if (head->magic != SL_LEDGER_MAGIC)
		return check_identity(reading, head);
	if (copy(reading, head, sizeof(*head), 0) < 0)
		return -1;
	if (check_identity(reading, head) < 0 || check_header(reading, head) < 0)
		return -1;
	head->tool_version[sizeof(head->tool_version) - 1] = 0;
	head->host[sizeof(head->host) - 1] = 0;
	head->exe[sizeof(head->exe) - 1] = 0;
	reading->may_change = head->ended == SL_RUNNING;
	return 0;
}

/* The table of blocks again, since rows may name records in blocks younger than the first
 * copy.  What it says of blocks already read does not change. */
static int read_blocks_again(struct reading *reading)
{
	struct sl_header *head = reading->ledger->head;

	if (!reading->may_change)
		return 0;
	if (copy(reading, &head->n_blocks, sizeof(head->n_blocks),
		 offsetof(struct sl_header, n_blocks)) < 0 ||
	    copy(reading, head->blocks, sizeof(head->blocks), HEADER_FIXED) < 0)
		return -1;
	if (head->n_blocks > SL_MAX_BLOCKS)
		return refuse(reading, "its header is damaged (%u blocks)",
			      head->n_blocks);
	return 0;
}

static uint64_t block_offset(uint32_t k)
{
	return sizeof(struct sl_header) + (uint64_t)k * SL_BLOCK_BYTES;
}

/* -- rows ------------------------------------------------------------------------- */

static const char *row_fault(const struct sl_descriptor *row)
{
	if (row->held > 1)
		return "held";
	if (row->state > MAX_STATE)
		return "state";
	if (row->verdict > SL_LEAK_EXIT)
		return "verdict";
	if (row->kind > SL_KIND_DEAD)
		return "kind";
	if (row->call >= SL_N_CALLS || row->eof_call >= SL_N_CALLS)
		return "call";
	if (row->why >= LAST_WHY_BIT << 1)
		return "why";
	if (row->note > SL_NOTE_UNKNOWN)
		return "note";
	if (row->flags > ALL_FLAGS)
		return "flags";
	if (row->family != 0 && row->family != AF_INET && row->family != AF_INET6)
		return "family";
	if (row->reserved16 || row->reserved32[0] || row->reserved32[1] ||
	    row->reserved32[2])
		return "reserved field";
	return NULL;
}

/* Copies row `at` of the block at `offset` until it holds still.  1 = it did, 0 = torn.
 */
static int settle_row(const struct reading *reading, uint64_t offset, size_t at,
		      struct sl_descriptor *row)
{
	struct sl_descriptor other;
	uint64_t row_offset = offset + at * sizeof(*row);

	for (int i = 0; i < MAX_TRIES; i++) {
		if (copy(reading, row, sizeof(*row), row_offset) < 0 ||
		    copy(reading, &other, sizeof(other), row_offset) < 0)
			return -1;
		if (row->sequence % 2 == 0 && memcmp(row, &other, sizeof(other)) == 0)
			return 1;
	}
	return 0;
}

static int add_row(struct reading *reading, uint32_t fd, const struct sl_descriptor *row)
{
	struct reader_ledger *ledger = reading->ledger;

	if (!row->held && !row->cookie)
		return 0;
	const char *fault = row_fault(row);
	if (fault)
		return refuse(reading,
			      "the row of descriptor %u is damaged (%s out of range)", fd,
			      fault);
	/* Room was made by read_rows(). */
	ledger->rows[ledger->n_rows++] = (struct reader_row){fd, *row};
	return 0;
}

static int read_block_of_rows(struct reading *reading, uint32_t k, uint32_t first_fd)
{
	uint64_t offset = block_offset(k);
	const struct sl_descriptor *rows = (void *)reading->first;

	if (copy(reading, reading->first, SL_BLOCK_BYTES, offset) < 0)
		return -1;
	if (reading->may_change &&
	    copy(reading, reading->second, SL_BLOCK_BYTES, offset) < 0)
		return -1;
	for (uint32_t i = 0; i < SL_ROWS_PER_BLOCK; i++) {
		struct sl_descriptor row = rows[i];
		int settled = row.sequence % 2 == 0;

		if (reading->may_change &&
		    (!settled || memcmp(&row, (struct sl_descriptor *)reading->second + i,
					sizeof(row)) != 0))
			settled = settle_row(reading, offset, i, &row);
		if (settled < 0)
			return -1;
		reading->ledger->n_torn += !settled;
		if (settled && add_row(reading, first_fd + i, &row) < 0)
			return -1;
	}
	return 0;
}

static int compare_rows(const void *a, const void *b)
{
	uint32_t left = ((const struct reader_row *)a)->fd,
		 right = ((const struct reader_row *)b)->fd;

	return (left > right) - (left < right);
}

static int read_rows(struct reading *reading)
{
	struct reader_ledger *ledger = reading->ledger;
	const struct sl_header *head = ledger->head;

	for (uint32_t k = 0; k < head->n_blocks; k++) {
		struct sl_block block = head->blocks[k];

		if (block.kind != SL_BLOCK_ROWS)
			continue;
		if (block.first % SL_ROWS_PER_BLOCK || block.first >= MAX_FD)
			return refuse(reading,
				      "block %u is damaged (first descriptor %u)", k,
				      block.first);
		ledger->rows =
			say_realloc(ledger->rows, ledger->n_rows + SL_ROWS_PER_BLOCK,
				    sizeof(*ledger->rows));
		if (read_block_of_rows(reading, k, block.first) < 0)
			return -1;
	}
	if (ledger->n_rows)
		qsort(ledger->rows, ledger->n_rows, sizeof(*ledger->rows), compare_rows);
	for (size_t i = 1; i < ledger->n_rows; i++)
		if (ledger->rows[i].fd == ledger->rows[i - 1].fd)
			return refuse(reading, "it has two rows for descriptor %u",
				      ledger->rows[i].fd);
	return 0;
}

/* -- records ---------------------------------------------------------------------- */

/* Room for one more at the end of a growing array; doubles at powers of two. */
static void *one_more(void *array, size_t n, size_t bytes)
{
	if (n && (n & (n - 1)))
		return array;
	return say_realloc(array, n ? 2 * n : 1, bytes);
}

static bool add_module(struct reader_ledger *ledger, const struct sl_module *module)
{
	if (module->path_bytes > module->head.bytes - sizeof(*module) ||
	    module->id == 0 || module->build_id_bytes > sizeof(module->build_id))
		return false;
	ledger->modules =
		one_more(ledger->modules, ledger->n_modules, sizeof(*ledger->modules));
	ledger->modules[ledger->n_modules++] = (struct reader_module){
		.id = module->id,
		.path = keep_string(ledger, module->path, module->path_bytes),
		.build_id = memcpy(keep(ledger, sizeof(module->build_id)),
				   module->build_id, sizeof(module->build_id)),
		.build_id_bytes = module->build_id_bytes,
		.size = module->size,
	};
	return true;
}

static bool add_backtrace(struct reader_ledger *ledger,
			  const struct sl_backtrace *backtrace)
{
	size_t bytes = backtrace->n_frames * sizeof(backtrace->frames[0]);

	if (bytes > backtrace->head.bytes - sizeof(*backtrace) || backtrace->id == 0 ||
	    backtrace->id == SL_ORIGIN_PENDING || backtrace->n_frames > SL_MAX_FRAMES ||
	    backtrace->is_short > 1)
		return false;
	ledger->backtraces = one_more(ledger->backtraces, ledger->n_backtraces,
				      sizeof(*ledger->backtraces));
	ledger->backtraces[ledger->n_backtraces++] = (struct reader_backtrace){
		.id = backtrace->id,
		.n_frames = backtrace->n_frames,
		.is_short = backtrace->is_short,
		.frames = memcpy(keep(ledger, bytes), backtrace->frames, bytes),
	};
	return true;
}

static bool add_name(struct reader_ledger *ledger, const struct sl_name *name)
{
	if (name->text_bytes > name->head.bytes - sizeof(*name) || name->id == 0)
		return false;
	ledger->names = one_more(ledger->names, ledger->n_names, sizeof(*ledger->names));
	ledger->names[ledger->n_names++] = (struct reader_name){
		.id = name->id,
		.text = keep_string(ledger, name->text, name->text_bytes),
	};
	return true;
}

static bool add_event(struct reader_ledger *ledger, const struct sl_event *event)
{
	if (event->kind < SL_EVENT_LEAK || event->kind > SL_EVENT_COUNTS ||
	    event->call >= SL_N_CALLS || event->note > SL_NOTE_UNKNOWN ||
	    event->socket_kind > SL_KIND_DEAD)
		return false;
	ledger->events =
		one_more(ledger->events, ledger->n_events, sizeof(*ledger->events));
	ledger->events[ledger->n_events++] = *event;
	return true;
}

/* The record lies wholly in the block, by its own `bytes`. */
static bool add_record(struct reader_ledger *ledger, const struct sl_record *record)
{
	static const size_t least_bytes[] = {
		[SL_RECORD_MODULE] = sizeof(struct sl_module),
		[SL_RECORD_BACKTRACE] = sizeof(struct sl_backtrace),
		[SL_RECORD_NAME] = sizeof(struct sl_name),
		[SL_RECORD_EVENT] = sizeof(struct sl_event),
	};

	if (record->kind > SL_RECORD_EVENT || record->bytes < least_bytes[record->kind])
		return false;
	switch (record->kind) {
	case SL_RECORD_MODULE:
		return add_module(ledger, (const void *)record);
	case SL_RECORD_BACKTRACE:
		return add_backtrace(ledger, (const void *)record);
	case SL_RECORD_NAME:
		return add_name(ledger, (const void *)record);
	default:
		return add_event(ledger, (const void *)record);
	}
}

static int read_block_of_records(struct reading *reading, uint32_t k)
{
	const char *first = (const char *)reading->first, *believed = first;

	if (copy(reading, reading->first, SL_BLOCK_BYTES, block_offset(k)) < 0)
		return -1;
	if (reading->may_change) {
		if (copy(reading, reading->second, SL_BLOCK_BYTES, block_offset(k)) < 0)
			return -1;
		believed = (const char *)reading->second;
	}
	for (size_t at = 0; at + sizeof(struct sl_record) <= SL_BLOCK_BYTES;) {
		const struct sl_record *record = (const void *)(believed + at);

		if (((const struct sl_record *)(const void *)(first + at))->kind ==
		    SL_RECORD_END)
			break;
		if (record->bytes < sizeof(*record) || record->bytes % 8 ||
		    record->bytes > SL_BLOCK_BYTES - at ||
		    !add_record(reading->ledger, record))
			return refuse(reading, "block %u is damaged (record at byte %zu)",
				      k, at);
		at += record->bytes;
	}
	return 0;
}

/* The three tables start alike, with the id. */
static int compare_ids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static bool sort_by_id(void *table, size_t n, size_t bytes)
{
	if (n)
		qsort(table, n, bytes, compare_ids);
	for (size_t i = 1; i < n; i++)
		if (compare_ids((char *)table + (i - 1) * bytes,
				(char *)table + i * bytes) == 0)
			return false;
	return true;
}

static int read_records(struct reading *reading)
{
	struct reader_ledger *ledger = reading->ledger;
	const struct sl_header *head = ledger->head;

	for (uint32_t k = 0; k < head->n_blocks; k++) {
		uint32_t kind = head->blocks[k].kind;

		if (kind > SL_BLOCK_RECORDS)
			return refuse(reading, "block %u is damaged (kind %u)", k, kind);
		if (kind == SL_BLOCK_RECORDS && read_block_of_records(reading, k) < 0)
			return -1;
	}
	if (!sort_by_id(ledger->modules, ledger->n_modules, sizeof(*ledger->modules)) ||
	    !sort_by_id(ledger->backtraces, ledger->n_backtraces,
			sizeof(*ledger->backtraces)) ||
	    !sort_by_id(ledger->names, ledger->n_names, sizeof(*ledger->names)))
		return refuse(reading, "two of its records have the same id");
	return 0;
}

/* -- what names what -------------------------------------------------------------- */

static const void *find(const void *table, size_t n, size_t bytes, uint32_t id)
{
	return n && id ? bsearch(&id, table, n, bytes, compare_ids) : NULL;
}

const struct reader_module *reader_module(const struct reader_ledger *ledger, uint32_t id)
{
	return find(ledger->modules, ledger->n_modules, sizeof(*ledger->modules), id);
}

const struct reader_backtrace *reader_backtrace(const struct reader_ledger *ledger,
						uint32_t id)
{
	return find(ledger->backtraces, ledger->n_backtraces, sizeof(*ledger->backtraces),
		    id);
}

const char *reader_name(const struct reader_ledger *ledger, uint32_t id)
{
	const struct reader_name *name =
		find(ledger->names, ledger->n_names, sizeof(*ledger->names), id);

	return name ? name->text : NULL;
}

static int check_frames(const struct reading *reading)
{
	const struct reader_ledger *ledger = reading->ledger;

	for (size_t i = 0; i < ledger->n_backtraces; i++)
		for (unsigned j = 0; j < ledger->backtraces[i].n_frames; j++) {
			uint64_t frame = ledger->backtraces[i].frames[j];
			uint32_t id = SL_FRAME_MODULE(frame);
			const struct reader_module *module = reader_module(ledger, id);

			if (id && (!module || SL_FRAME_OFFSET(frame) >= module->size))
				return refuse(
					reading,
					"frame %u of backtrace %u lies in no module", j,
					ledger->backtraces[i].id);
		}
	return 0;
}

static bool origin_is_there(const struct reader_ledger *ledger, uint32_t origin)
{
	return origin == 0 || origin == SL_ORIGIN_PENDING ||
	       reader_backtrace(ledger, origin);
}

static int check_references(const struct reading *reading)
{
	const struct reader_ledger *ledger = reading->ledger;

	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct sl_descriptor *row = &ledger->rows[i].row;

		if (!origin_is_there(ledger, row->origin) ||
		    !origin_is_there(ledger, row->eof_origin))
			return refuse(
				reading,
				"the row of descriptor %u names a backtrace that is not "
				"there",
				ledger->rows[i].fd);
		if (row->name && !reader_name(ledger, row->name))
			return refuse(
				reading,
				"the row of descriptor %u names a test that is not there",
				ledger->rows[i].fd);
	}
	for (size_t i = 0; i < ledger->n_events; i++)
		if (!origin_is_there(ledger, ledger->events[i].origin))
			return refuse(reading,
				      "event %zu names a backtrace that is not there", i);
	return 0;
}

/* -- the whole -------------------------------------------------------------------- */

static int open_regular(struct reading *reading, const char *path)
{
	struct stat status;

	/* Not to be held up by a pipe, and not to end up with a terminal. */
	reading->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (reading->fd < 0)
		return refuse(reading, "%s", strerror(errno));
	if (fstat(reading->fd, &status) == 0 && S_ISREG(status.st_mode))
		return 0;
	close(reading->fd);
	return refuse(reading, "it is not a regular file");
}

static int read_all(struct reading *reading)
{
	if (read_header(reading) < 0 || read_rows(reading) < 0 ||
	    read_blocks_again(reading) < 0 || read_records(reading) < 0)
		return -1;
	if (check_frames(reading) < 0)
		return -1;
	return check_references(reading);
}

int reader_read(const char *path, struct reader_ledger *ledger,
		char why[READER_WHY_BYTES])
{
	struct reading reading = {.ledger = ledger, .why = why};
	uint32_t pid;
	uint64_t start_ticks;

	*ledger = (struct reader_ledger){0};
	if (open_regular(&reading, path) < 0)
		return -1;
	ledger->path = say_strdup(path);
	ledger->head = say_calloc(1, sizeof(*ledger->head));
	reading.first = say_calloc(2, SL_BLOCK_BYTES);
	reading.second = reading.first + SL_BLOCK_BYTES / sizeof(*reading.first);
	int result = read_all(&reading);
	free(reading.first);
	close(reading.fd);
	if (result < 0)
		reader_free(ledger);
	else if (!reader_parse_name(path, &pid, &start_ticks, &ledger->sequence))
		ledger->sequence = 0;
	return result;
}

void reader_free(struct reader_ledger *ledger)
{
	while (ledger->chunks) {
		struct reader_chunk *next = ledger->chunks->next;

		free(ledger->chunks);
		ledger->chunks = next;
	}
	free(ledger->path);
	free(ledger->head);
	free(ledger->rows);
	free(ledger->modules);
	free(ledger->backtraces);
	free(ledger->names);
	free(ledger->events);
	*ledger = (struct reader_ledger){0};
}

static bool parse_number(const char **at, char end, uint64_t most, uint64_t *number)
{
	char *after;

	if (**at < '0' || **at > '9')
		return false;
	errno = 0;
	*number = strtoull(*at, &after, 10);
	if (errno || *number > most || *after != end)
		return false;
	*at = after + 1;
	return true;
}

bool reader_parse_name(const char *path, uint32_t *pid, uint64_t *start_ticks,
		       uint32_t *sequence)
{
	const char *slash = strrchr(path, '/'), *at = slash ? slash + 1 : path;
	uint64_t pid64, sequence64;

	if (!parse_number(&at, '.', UINT32_MAX, &pid64) ||
	    !parse_number(&at, '.', UINT64_MAX, start_ticks) ||
	    !parse_number(&at, '.', UINT32_MAX, &sequence64) ||
	    strcmp(at, &SL_LEDGER_SUFFIX[1]) != 0)
		return false;
	*pid = (uint32_t)pid64;
	*sequence = (uint32_t)sequence64;
	return true;
}
