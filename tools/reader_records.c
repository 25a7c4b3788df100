/* The records of a ledger: modules, backtraces, names and events, each within its block
 * and its own length. */
#include "reading.h"

#include "say.h"

#include <stdlib.h>
#include <string.h>

static const char *keep_string(struct reader_ledger *ledger, const char *at, size_t bytes)
{
	char *string = reading_keep(ledger, bytes + 1);

	memcpy(string, at, bytes);
	return string;
}

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
		.build_id = memcpy(reading_keep(ledger, sizeof(module->build_id)),
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
		.frames = memcpy(reading_keep(ledger, bytes), backtrace->frames, bytes),
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

	if (reading_copy(reading, reading->first, SL_BLOCK_BYTES,
			 reading_block_offset(k)) < 0)
		return -1;
	if (reading->may_change) {
		if (reading_copy(reading, reading->second, SL_BLOCK_BYTES,
				 reading_block_offset(k)) < 0)
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
			return reading_refuse(reading,
					      "block %u is damaged (record at byte %zu)",
					      k, at);
		at += record->bytes;
	}
	return 0;
}

/* The three tables start alike, with the id. */
int reading_compare_ids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static bool sort_by_id(void *table, size_t n, size_t bytes)
{
	if (n)
		qsort(table, n, bytes, reading_compare_ids);
	for (size_t i = 1; i < n; i++)
		if (reading_compare_ids((char *)table + (i - 1) * bytes,
					(char *)table + i * bytes) == 0)
			return false;
	return true;
}

int reading_records(struct reading *reading)
{
	struct reader_ledger *ledger = reading->ledger;
	const struct sl_header *head = ledger->head;

	for (uint32_t k = 0; k < head->n_blocks; k++) {
		uint32_t kind = head->blocks[k].kind;

		if (kind > SL_BLOCK_RECORDS)
			return reading_refuse(reading, "block %u is damaged (kind %u)", k,
					      kind);
		if (kind == SL_BLOCK_RECORDS && read_block_of_records(reading, k) < 0)
			return -1;
	}
	if (!sort_by_id(ledger->modules, ledger->n_modules, sizeof(*ledger->modules)) ||
	    !sort_by_id(ledger->backtraces, ledger->n_backtraces,
			sizeof(*ledger->backtraces)) ||
	    !sort_by_id(ledger->names, ledger->n_names, sizeof(*ledger->names)))
		return reading_refuse(reading, "two of its records have the same id");
	return 0;
}
