/* The rows and records of the ledger: see ledger_writer.h for who may call what. */
#include "base/unchecked.h"
#include "ledger/ledger_internal.h"

#include "base/sections.h"
#include "ledger/ledger_writer.h"

#include <string.h>

#define GROW_BLOCKS    16   /* reserved at a time: 320 KiB */
#define LOW_BLOCKS     4    /* grow when fewer are left */
#define ROW_SPINS      1000 /* half a microsecond */
#define ROW_TRIES      4    /* another writer may come first, again */
#define ENTRY_RANGES   (1048576 / SL_ROWS_PER_BLOCK)
#define MAX_UNRESOLVED 1024

/* Block + 1 of each range of descriptors; 0 = none. */
ARENA_TABLE static _Atomic uint16_t blocks_of_rows[ENTRY_RANGES];
static _Atomic uint32_t n_row_blocks;          /* how many of them hold rows */
static _Atomic uint64_t n_lost_records;        /* found no room, for good */
static uint64_t n_unwritten;                   /* what had none at the last scan */
static _Atomic uint32_t n_backtraces, n_names; /* in the file */
/* Block + 1, and bytes of it; the scanning thread's. */
static uint32_t records_block, records_used;

/* Leaks that were closed before their backtraces were resolved, in the file: the scanning
 * thread's.  More than these stay pending. */
ARENA_TABLE static struct unresolved {
	struct sl_descriptor *row;
	uint32_t origin, eof_origin, use_origin; /* as in origin.h */
} unresolved[MAX_UNRESOLVED];
static unsigned n_unresolved;

static _Atomic uint32_t refused; /* blocks: so many were not to be had */
_Atomic bool ledger_is_low;
static _Atomic bool lacks_rows; /* some found no room */

static _Atomic uint64_t *counter(uint64_t *field)
{
	return (_Atomic uint64_t *)field;
}

static void note_use(uint32_t n_used)
{
	if (n_used + LOW_BLOCKS > atomic_load(&ledger_n_reserved) &&
	    n_used + LOW_BLOCKS > atomic_load(&refused))
		atomic_store(&ledger_is_low, true);
}

/* A fresh block, or 0; else its number + 1. */
static uint32_t take_block(void)
{
	_Atomic uint32_t *n_blocks = (_Atomic uint32_t *)&ledger_file->n_blocks;
	uint32_t n = atomic_load(n_blocks);

	do {
		note_use(n + 1);
		if (n >= atomic_load(&ledger_n_reserved))
			return 0;
	} while (!atomic_compare_exchange_weak(n_blocks, &n, n + 1));
	return n + 1;
}

static void name_block(uint32_t block, enum sl_block_kind kind, uint32_t first)
{
	ledger_file->blocks[block - 1].first = first;
	atomic_store_explicit((_Atomic uint32_t *)&ledger_file->blocks[block - 1].kind,
			      kind, memory_order_release);
}

static struct sl_descriptor *row_of(int fd, bool make)
{
	unsigned range = (unsigned)fd / SL_ROWS_PER_BLOCK;

	if (range >= ENTRY_RANGES)
		return NULL;
	uint16_t block =
		atomic_load_explicit(&blocks_of_rows[range], memory_order_acquire);
	if (!block && make) {
		uint32_t fresh = take_block();

		if (!fresh)
			atomic_store(&lacks_rows, true);
		/* The block of the thread that came second is not used: one block a
		 * race. */
		if (fresh && atomic_compare_exchange_strong(&blocks_of_rows[range],
							    &block, (uint16_t)fresh)) {
			name_block(fresh, SL_BLOCK_ROWS, range * SL_ROWS_PER_BLOCK);
			atomic_fetch_add(&n_row_blocks, 1);
			block = (uint16_t)fresh;
		}
	}
	if (!block)
		return NULL;
	return (struct sl_descriptor *)((char *)ledger_file + BLOCK_OFFSET(block - 1)) +
	       (unsigned)fd % SL_ROWS_PER_BLOCK;
}

/* A row's sequence is odd while it is written, for less than a microsecond.  A thread
 * that finds it odd for longer takes the row over: the writer was interrupted (by a
 * handler that runs this code), or will never finish, because a handler jumped out of it
 * or the thread was cancelled.  A writer that goes on after all leaves old words in the
 * row, and end_row() tells it that the row is not its own any more; the scanning thread
 * then writes the row anew.  A function that writes between begin_row() and end_row() is
 * UNCHECKED for this reason: two threads may write one row. */
static bool begin_row(struct sl_descriptor *row, uint32_t *sequence)
{
	_Atomic uint32_t *at = (_Atomic uint32_t *)&row->sequence;

	for (unsigned tries = 0; tries < ROW_TRIES; tries++) {
		uint32_t seen = atomic_load(at);

		for (unsigned spins = 0; (seen & 1) && spins < ROW_SPINS; spins++)
			seen = atomic_load(at);
		*sequence = seen & 1 ? seen + 1 : seen;
		if (atomic_compare_exchange_strong(at, &seen, *sequence + 1)) {
			atomic_thread_fence(memory_order_release);
			return true;
		}
	}
	return false;
}

/* false = another writer has taken it over. */
static bool end_row(struct sl_descriptor *row, uint32_t sequence)
{
	uint32_t written = sequence + 1;

	return atomic_compare_exchange_strong((_Atomic uint32_t *)&row->sequence,
					      &written, sequence + 2);
}

uint32_t ledger_origin(uint32_t origin)
{
	return origin <= atomic_load(&n_backtraces) ? origin : SL_ORIGIN_PENDING;
}

/* A name as a row may have it: 0 while it is not in the file. */
static uint16_t name_in_ledger(uint16_t name)
{
	return name <= atomic_load(&n_names) ? name : 0;
}

/* Returns whether all that it names is in the file. */
UNCHECKED static bool fill_row(struct sl_descriptor *row,
			       const struct sl_descriptor *from)
{
	memcpy(&row->sequence + 1, &from->sequence + 1,
	       sizeof(*row) - sizeof(row->sequence));
	row->origin = ledger_origin(from->origin);
	row->eof_origin = ledger_origin(from->eof_origin);
	row->use_origin = ledger_origin(from->use_origin);
	row->name = name_in_ledger(from->name);
	return row->origin == from->origin && row->name == from->name &&
	       row->eof_origin == from->eof_origin && row->use_origin == from->use_origin;
}

bool ledger_publish(int fd, const struct sl_descriptor *from)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, true) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return true;
	bool is_whole = fill_row(row, from);
	end_row(row, sequence);
	return is_whole;
}

/* A hook first changes the entry and then waits for the row: if it changes the entry
 * after is_current() was asked, it writes the row after this function.  `from`: NULL =
 * the row ends, at `ended_ns`. */
UNCHECKED static bool write_current(int fd, ledger_is_current *is_current,
				    uint32_t generation, const struct sl_descriptor *from,
				    uint64_t ended_ns, bool *is_whole)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, from != NULL) : NULL;
	uint32_t sequence;

	*is_whole = true;
	if (!row)
		return true;
	if (!begin_row(row, &sequence))
		return false;
	bool may_write = is_current(fd, generation);
	if (may_write && from) {
		*is_whole = fill_row(row, from);
	} else if (may_write && row->held) {
		row->held = 0;
		row->ended_ns = ended_ns;
	}
	return end_row(row, sequence) && may_write;
}

bool ledger_publish_current(int fd, const struct sl_descriptor *row,
			    ledger_is_current *is_current, uint32_t generation,
			    bool *is_whole)
{
	return write_current(fd, is_current, generation, row, 0, is_whole);
}

UNCHECKED void ledger_told(int fd, uint64_t told_ns, enum sl_call call)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	if (row->held) {
		row->told_ns = told_ns;
		row->eof_call = (uint16_t)call;
		row->eof_origin = SL_ORIGIN_PENDING;
	}
	end_row(row, sequence);
}

UNCHECKED void ledger_identify(int fd, uint64_t cookie)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	if (row->held)
		row->cookie = cookie;
	end_row(row, sequence);
}

UNCHECKED void ledger_resolve(int fd, uint32_t socket_id, uint32_t origin,
			      uint32_t eof_origin, uint32_t use_origin)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	if (row->held && row->socket_id == socket_id) {
		if (row->origin == SL_ORIGIN_PENDING)
			row->origin = ledger_origin(origin);
		if (row->eof_origin == SL_ORIGIN_PENDING)
			row->eof_origin = ledger_origin(eof_origin);
		if (row->use_origin == SL_ORIGIN_PENDING)
			row->use_origin = ledger_origin(use_origin);
	}
	end_row(row, sequence);
}

UNCHECKED void ledger_end_row(int fd, uint64_t ended_ns)
{
	struct sl_descriptor *row = ledger_ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	row->held = 0;
	row->ended_ns = ended_ns;
	end_row(row, sequence);
}

bool ledger_end_current(int fd, ledger_is_current *is_current, uint32_t generation,
			uint64_t ended_ns)
{
	bool is_whole;

	return write_current(fd, is_current, generation, NULL, ended_ns, &is_whole);
}

/* Read without the sequence: the answer may be wrong once, and the next scan asks
 * again. */
UNCHECKED bool ledger_has(int fd)
{
	const struct sl_descriptor *row = ledger_ours() ? row_of(fd, false) : NULL;

	return row && row->held;
}

/* The record in the file; NULL = there is no room, now. */
static struct sl_record *append(struct sl_record *record, const void *tail,
				uint32_t tail_bytes)
{
	uint32_t head_bytes = record->bytes;
	uint32_t bytes = (head_bytes + tail_bytes + 7) & ~7U;
	uint32_t kind = record->kind;

	if (bytes > SL_BLOCK_BYTES)
		return NULL;
	if (!records_block || records_used + bytes > SL_BLOCK_BYTES) {
		uint32_t fresh = take_block();

		/* Between two scans as much may be written as a scan makes room for, and
		 * more. */
		if (!fresh) {
			ledger_grow(0);
			fresh = take_block();
		}
		if (!fresh) {
			if (kind == SL_RECORD_EVENT) /* the others are tried again */
				ledger_drop_record();
			return NULL;
		}
		name_block(fresh, SL_BLOCK_RECORDS, 0);
		records_block = fresh;
		records_used = 0;
	}
	char *at = (char *)ledger_file + BLOCK_OFFSET(records_block - 1) + records_used;
	memcpy(at + sizeof(*record), record + 1, head_bytes - sizeof(*record));
	if (tail_bytes)
		memcpy(at + head_bytes, tail, tail_bytes);
	((struct sl_record *)at)->bytes = bytes;
	atomic_store_explicit((_Atomic uint32_t *)&((struct sl_record *)at)->kind, kind,
			      memory_order_release);
	records_used += bytes;
	if (kind == SL_RECORD_BACKTRACE)
		atomic_fetch_add(&n_backtraces, 1);
	if (kind == SL_RECORD_NAME)
		atomic_fetch_add(&n_names, 1);
	return (struct sl_record *)at;
}

bool ledger_append(struct sl_record *record, const void *tail, uint32_t tail_bytes)
{
	return !ledger_ours() || append(record, tail, tail_bytes);
}

static bool has_pending(const struct sl_descriptor *row)
{
	return row->origin == SL_ORIGIN_PENDING || row->eof_origin == SL_ORIGIN_PENDING ||
	       row->use_origin == SL_ORIGIN_PENDING;
}

void ledger_resolve_closed(uint32_t (*resolve_origin)(uint32_t origin))
{
	for (unsigned i = 0; ledger_ours() && i < n_unresolved; i++) {
		struct unresolved *one = &unresolved[i];

		one->origin = resolve_origin(one->origin);
		one->eof_origin = resolve_origin(one->eof_origin);
		one->use_origin = resolve_origin(one->use_origin);
		one->row->origin = ledger_origin(one->origin);
		one->row->eof_origin = ledger_origin(one->eof_origin);
		one->row->use_origin = ledger_origin(one->use_origin);
		if (!has_pending(one->row))
			unresolved[i--] = unresolved[--n_unresolved];
	}
}

void ledger_closed(int fd, const struct sl_descriptor *row)
{
	struct sl_closed record = {
		.head = {SL_RECORD_CLOSED, sizeof(record)},
		.fd = (uint32_t)fd,
		.row = *row,
	};

	if (!ledger_ours())
		return;
	record.row.origin = ledger_origin(row->origin);
	record.row.eof_origin = ledger_origin(row->eof_origin);
	record.row.use_origin = ledger_origin(row->use_origin);
	record.row.name = name_in_ledger(row->name);
	struct sl_closed *written = (struct sl_closed *)append(&record.head, NULL, 0);
	if (written && n_unresolved < MAX_UNRESOLVED && has_pending(&record.row))
		unresolved[n_unresolved++] = (struct unresolved){
			&written->row, row->origin, row->eof_origin, row->use_origin};
}

void ledger_count(const struct ledger_counts *counts)
{
	if (!ledger_ours())
		return;
	n_unwritten = counts->unwritten;
	atomic_store(counter(&ledger_file->opened), counts->opened);
	atomic_store(counter(&ledger_file->closed), counts->closed);
	atomic_store(counter(&ledger_file->missed), counts->missed);
	atomic_store(counter(&ledger_file->dropped), ledger_dropped());
	atomic_store(counter(&ledger_file->closed_late), counts->closed_late);
	atomic_store(counter(&ledger_file->closed_late_max_ms),
		     counts->closed_late_max_ms);
	atomic_store(counter(&ledger_file->scanned_ns), counts->scanned_ns);
}

void ledger_drop_record(void)
{
	atomic_fetch_add(&n_lost_records, 1);
}

void ledger_note_filter(uint64_t now_ns)
{
	if (ledger_ours())
		atomic_store(counter(&ledger_file->filter_laid_ns), now_ns);
}

uint64_t ledger_dropped(void)
{
	return atomic_load(&n_lost_records) + n_unwritten;
}

void ledger_grow(unsigned row_blocks_in_use)
{
	atomic_store(&ledger_is_low, false);
	if (!ledger_ours() || guard_is_sandboxed)
		return;
	uint32_t reserved = atomic_load(&ledger_n_reserved);
	uint32_t used = atomic_load((_Atomic uint32_t *)&ledger_file->n_blocks);
	/* Each range of rows in use has its block already, or will want one. */
	uint32_t needed = used + LOW_BLOCKS;
	uint32_t have = atomic_load(&n_row_blocks);
	if (row_blocks_in_use > have)
		needed += row_blocks_in_use - have;
	if (needed <= reserved || needed <= atomic_load(&refused))
		return;
	uint32_t wanted = needed + GROW_BLOCKS;
	if (wanted > SL_MAX_BLOCKS)
		wanted = SL_MAX_BLOCKS;
	bool is_full = wanted <= reserved;
	long fd = is_full ? -1 : ledger_reopen();
	if (fd >= 0 && ledger_reserve((int)fd, wanted))
		atomic_store(&ledger_n_reserved, wanted);
	else if (fd >= 0 || is_full)
		atomic_store(&refused, needed);
	if (fd >= 0)
		guard_close(fd, &ledger_made);
}

bool ledger_lacked_rows(void)
{
	return atomic_load(&lacks_rows) && atomic_exchange(&lacks_rows, false);
}

void ledger_writer_fork_child(void)
{
	n_unwritten = 0;
	atomic_store(&refused, 0);
	atomic_store(&ledger_is_low, false);
	atomic_store(&lacks_rows, false);
	n_unresolved = 0;
	atomic_store(&n_lost_records, 0);
	atomic_store(&n_backtraces, 0);
	atomic_store(&n_names, 0);
	atomic_store(&n_row_blocks, 0);
	records_block = 0;
	memset((void *)blocks_of_rows, 0, sizeof(blocks_of_rows));
}
