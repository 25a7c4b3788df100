/* Reads and checks one ledger.
 *
 * Theory of operation.  The file is copied with pread(2), never mapped: if it is
 * truncated while it is read, a read is short, and no signal ends this process.  Nothing
 * is believed before it is checked against what was really read: offsets and counts
 * against the bytes, ids against the tables, enums against their range, strings against
 * their ends.
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
 * The series of the header is copied until its sequence number is even and the same
 * before and after.  Records are copied after rows, because a row may name records that
 * are younger than the first look at the header. */
#include "read/reader.h"

#include "common/path.h"
#include "read/reader_records.h"
#include "read/reader_rows.h"
#include "read/reader_series.h"
#include "read/reading.h"
#include "support/files.h"
#include "support/say.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEADER_FIXED offsetof(struct sl_header, blocks)

const char reader_unborn[] = "its header was never completed";

/* -- the header ------------------------------------------------------------------- */

static int check_identity(const struct reading *reading, const struct sl_header *head)
{
	if (head->magic == 0)
		return reading_refuse(reading, "%s", reader_unborn);
	if (head->magic == __builtin_bswap64(SL_LEDGER_MAGIC))
		return reading_refuse(
			reading, "it was written on a machine of the other byte order");
	if (head->magic != SL_LEDGER_MAGIC)
		return reading_refuse(reading, "it is not a ledger of sockleak");
	if (head->version != SL_LEDGER_VERSION)
		return reading_refuse(
			reading,
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
		return reading_refuse(
			reading, "its header is damaged (sizes do not fit the version)");
	if (head->n_blocks > SL_MAX_BLOCKS)
		return reading_refuse(reading, "its header is damaged (%u blocks)",
				      head->n_blocks);
	if (head->ended != SL_RUNNING && head->ended != SL_ENDED_EXIT)
		return reading_refuse(reading, "its header is damaged (ended by %u)",
				      head->ended);
	if (head->at_exit > SL_AT_EXIT_ALL || head->forked > 1)
		return reading_refuse(reading,
				      "its header is damaged (settings out of range)");
	for (size_t i = 0; i < sizeof(head->reserved); i++)
		if (head->reserved[i])
			return reading_refuse(
				reading, "its header is damaged (byte %zu is not zero)",
				offsetof(struct sl_header, reserved) + i);
	return 0;
}

static int read_header(struct reading *reading)
{
	struct sl_header *head = reading->ledger->head;
	struct stat status = {.st_size = sizeof(*head)};

	fstat(reading->fd, &status);
	if (status.st_size == 0)
		return reading_refuse(reading, "%s", reader_unborn);
	if (status.st_size < (off_t)sizeof(head->magic))
		return reading_refuse(reading, "it is not a ledger of sockleak");
	if (reading_copy(reading, &head->magic, sizeof(head->magic), 0) < 0)
		return -1;
	if (head->magic != SL_LEDGER_MAGIC)
		return check_identity(reading, head);
	if (reading_copy(reading, head, sizeof(*head), 0) < 0)
		return -1;
	if (check_identity(reading, head) < 0 || check_header(reading, head) < 0)
		return -1;
	head->tool_version[sizeof(head->tool_version) - 1] = 0;
	head->host[sizeof(head->host) - 1] = 0;
	head->exe[sizeof(head->exe) - 1] = 0;
	reading->may_change = head->ended == SL_RUNNING;
	return reader_series(reading);
}

/* The table of blocks again, since rows may name records in blocks younger than the first
 * copy.  What it says of blocks already read does not change. */
static int read_blocks_again(struct reading *reading)
{
	struct sl_header *head = reading->ledger->head;

	if (!reading->may_change)
		return 0;
	if (reading_copy(reading, &head->n_blocks, sizeof(head->n_blocks),
			 offsetof(struct sl_header, n_blocks)) < 0 ||
	    reading_copy(reading, head->blocks, sizeof(head->blocks), HEADER_FIXED) < 0)
		return -1;
	if (head->n_blocks > SL_MAX_BLOCKS)
		return reading_refuse(reading, "its header is damaged (%u blocks)",
				      head->n_blocks);
	return 0;
}

/* -- what names what -------------------------------------------------------------- */

static bool frame_is_there(const struct reader_ledger *ledger, uint64_t frame)
{
	uint32_t id = SL_FRAME_MODULE(frame);

	if (id == SL_FRAME_LANGUAGE)
		return SL_FRAME_OFFSET(frame) <= UINT32_MAX &&
		       reader_line(ledger, (uint32_t)frame);
	const struct reader_module *module = reader_module(ledger, id);
	return !id || (module && SL_FRAME_OFFSET(frame) < module->size);
}

static int check_frames(const struct reading *reading)
{
	const struct reader_ledger *ledger = reading->ledger;

	for (size_t i = 0; i < ledger->n_backtraces; i++)
		for (unsigned j = 0; j < ledger->backtraces[i].n_frames; j++)
			if (!frame_is_there(ledger, ledger->backtraces[i].frames[j]))
				return reading_refuse(
					reading,
					"frame %u of backtrace %u lies in no module", j,
					ledger->backtraces[i].id);
	return 0;
}

static bool origin_is_there(const struct reader_ledger *ledger, uint32_t origin)
{
	return origin == 0 || origin == SL_ORIGIN_PENDING ||
	       reader_backtrace(ledger, origin);
}

/* A writer that was killed, or is at work, may be between a row and what it names. */
static void mend_references(struct reader_ledger *ledger)
{
	for (size_t i = 0; i < ledger->n_rows; i++) {
		struct sl_descriptor *row = &ledger->rows[i].row;

		if (!origin_is_there(ledger, row->origin))
			row->origin = SL_ORIGIN_PENDING;
		if (!origin_is_there(ledger, row->eof_origin))
			row->eof_origin = SL_ORIGIN_PENDING;
		if (!origin_is_there(ledger, row->use_origin))
			row->use_origin = SL_ORIGIN_PENDING;
		if (!reader_name(ledger, row->name))
			row->name = 0;
	}
	for (size_t i = 0; i < ledger->n_events; i++)
		if (!origin_is_there(ledger, ledger->events[i].origin))
			ledger->events[i].origin = SL_ORIGIN_PENDING;
	for (size_t i = 0; i < ledger->n_elsewhere; i++)
		if (!origin_is_there(ledger, ledger->elsewhere[i].row.origin))
			ledger->elsewhere[i].row.origin = SL_ORIGIN_PENDING;
}

static int check_rows(const struct reading *reading)
{
	const struct reader_ledger *ledger = reading->ledger;

	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct sl_descriptor *row = &ledger->rows[i].row;

		if (!origin_is_there(ledger, row->origin) ||
		    !origin_is_there(ledger, row->eof_origin) ||
		    !origin_is_there(ledger, row->use_origin))
			return reading_refuse(
				reading,
				"the row of descriptor %u names a backtrace that is not "
				"there",
				ledger->rows[i].fd);
		if (row->name && !reader_name(ledger, row->name))
			return reading_refuse(
				reading,
				"the row of descriptor %u names a test that is not there",
				ledger->rows[i].fd);
	}
	return 0;
}

static int check_references(const struct reading *reading)
{
	const struct reader_ledger *ledger = reading->ledger;

	if (reading->may_change)
		mend_references(reading->ledger);
	if (check_rows(reading) < 0)
		return -1;
	for (size_t i = 0; i < ledger->n_events; i++)
		if (!origin_is_there(ledger, ledger->events[i].origin))
			return reading_refuse(
				reading, "event %zu names a backtrace that is not there",
				i);
	for (size_t i = 0; i < ledger->n_elsewhere; i++) {
		const struct sl_descriptor *row = &ledger->elsewhere[i].row;

		if (!origin_is_there(ledger, row->origin) || row->eof_origin ||
		    row->use_origin || row->name)
			return reading_refuse(
				reading,
				"record %zu of what others hold names what is not there",
				i);
	}
	return 0;
}

/* -- the whole -------------------------------------------------------------------- */

static int open_regular(struct reading *reading, const char *path)
{
	reading->fd = files_open_regular(path);
	if (reading->fd >= 0)
		return 0;
	return reading_refuse(reading, "%s",
			      errno == EINVAL ? "it is not a regular file"
					      : strerror(errno));
}

static int read_all(struct reading *reading)
{
	if (read_header(reading) < 0 || reader_rows(reading) < 0 ||
	    read_blocks_again(reading) < 0 || reader_records(reading) < 0)
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
	const char *at = path_base(path);
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
