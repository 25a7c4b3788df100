/* The records of a ledger: modules, lines, backtraces, names and events, each within its
 * block and its own length. */
#include "read/reader_records.h"

#include "read/reader_rows.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

static const char *keep_string(struct reader_ledger *ledger, const char *at, size_t bytes)
{
	char *string = reader_keep(ledger, bytes + 1);

	memcpy(string, at, bytes);
	return string;
}

static bool add_module(struct reader_ledger *ledger, const struct sl_module *module)
{
	if (module->path_bytes > module->head.bytes - sizeof(*module) ||
	    module->id == 0 || module->build_id_bytes > sizeof(module->build_id))
		return false;
	ledger->modules = say_one_more(ledger->modules, ledger->n_modules,
				       sizeof(*ledger->modules));
	ledger->modules[ledger->n_modules++] = (struct reader_module){
		.id = module->id,
		.path = keep_string(ledger, module->path, module->path_bytes),
		.build_id = memcpy(reader_keep(ledger, sizeof(module->build_id)),
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
	ledger->backtraces = say_one_more(ledger->backtraces, ledger->n_backtraces,
					  sizeof(*ledger->backtraces));
	ledger->backtraces[ledger->n_backtraces++] = (struct reader_backtrace){
		.id = backtrace->id,
		.n_frames = backtrace->n_frames,
		.is_short = backtrace->is_short,
		.frames = memcpy(reader_keep(ledger, bytes), backtrace->frames, bytes),
	};
	return true;
}

static bool add_name(struct reader_ledger *ledger, const struct sl_name *name)
{
	if (name->text_bytes > name->head.bytes - sizeof(*name) || name->id == 0)
		return false;
	ledger->names =
		say_one_more(ledger->names, ledger->n_names, sizeof(*ledger->names));
	ledger->names[ledger->n_names++] = (struct reader_name){
		.id = name->id,
		.text = keep_string(ledger, name->text, name->text_bytes),
	};
	return true;
}

/* A number or a text that is longer than the frames of any writer is damage. */
static bool add_line(struct reader_ledger *ledger, const struct sl_line *line)
{
	size_t bytes = line->head.bytes - sizeof(*line);

	if (line->id == 0 || line->language == SL_LANGUAGE_NONE ||
	    line->language >= SL_N_LANGUAGES || line->line > INT32_MAX ||
	    line->function_bytes == 0 || line->function_bytes > bytes ||
	    line->file_bytes > bytes - line->function_bytes)
		return false;
	ledger->lines =
		say_one_more(ledger->lines, ledger->n_lines, sizeof(*ledger->lines));
	ledger->lines[ledger->n_lines++] = (struct reader_line){
		.id = line->id,
		.line = line->line,
		.language = (uint8_t)line->language,
		.function = keep_string(ledger, line->text, line->function_bytes),
		.file = line->file_bytes
				? keep_string(ledger, line->text + line->function_bytes,
					      line->file_bytes)
				: NULL,
	};
	return true;
}

static bool add_event(struct reader_ledger *ledger, const struct sl_event *event)
{
	if (event->kind < 1 || event->kind > SL_EVENT_PASSED ||
	    event->call >= SL_N_CALLS || event->origin_kind > SL_ORIGIN_UNKNOWN ||
	    event->socket_kind > SL_KIND_DEAD)
		return false;
	if (event->kind != SL_EVENT_PASSED)
		return true;
	ledger->events =
		say_one_more(ledger->events, ledger->n_events, sizeof(*ledger->events));
	ledger->events[ledger->n_events++] = *event;
	return true;
}

static bool add_elsewhere(struct reader_ledger *ledger, const struct sl_elsewhere *record)
{
	if (!record->row.cookie || reader_row_fault(&record->row))
		return false;
	ledger->elsewhere = say_one_more(ledger->elsewhere, ledger->n_elsewhere,
					 sizeof(*ledger->elsewhere));
	ledger->elsewhere[ledger->n_elsewhere++] = *record;
	return true;
}

/* One more row, beside the row of the descriptor that has this number now. */
static bool add_closed(struct reader_ledger *ledger, const struct sl_closed *record)
{
	if (record->row.held || !record->row.ended_ns || record->reserved ||
	    reader_row_fault(&record->row))
		return false;
	ledger->rows =
		say_realloc(ledger->rows, ledger->n_rows + 1, sizeof(*ledger->rows));
	ledger->rows[ledger->n_rows++] = (struct reader_row){record->fd, record->row};
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
		[SL_RECORD_ELSEWHERE] = sizeof(struct sl_elsewhere),
		[SL_RECORD_CLOSED] = sizeof(struct sl_closed),
		[SL_RECORD_LINE] = sizeof(struct sl_line),
	};

	if (record->kind > SL_RECORD_LINE || record->bytes < least_bytes[record->kind])
		return false;
	switch (record->kind) {
	case SL_RECORD_MODULE:
		return add_module(ledger, (const void *)record);
	case SL_RECORD_BACKTRACE:
		return add_backtrace(ledger, (const void *)record);
	case SL_RECORD_NAME:
		return add_name(ledger, (const void *)record);
	case SL_RECORD_ELSEWHERE:
		return add_elsewhere(ledger, (const void *)record);
	case SL_RECORD_LINE:
		return add_line(ledger, (const void *)record);
	case SL_RECORD_CLOSED:
		return add_closed(ledger, (const void *)record);
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

		/* In both copies: a block that was whole in the first may have been
		 * changed meanwhile by another program than the library. */
		if (((const struct sl_record *)(const void *)(first + at))->kind ==
			    SL_RECORD_END ||
		    record->kind == SL_RECORD_END)
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

static bool sort_by_id(void *table, size_t n, size_t bytes)
{
	if (n)
		qsort(table, n, bytes, reader_compare_ids);
	for (size_t i = 1; i < n; i++)
		if (reader_compare_ids((char *)table + (i - 1) * bytes,
				       (char *)table + i * bytes) == 0)
			return false;
	return true;
}

int reader_records(struct reading *reading)
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
	    !sort_by_id(ledger->lines, ledger->n_lines, sizeof(*ledger->lines)) ||
	    !sort_by_id(ledger->names, ledger->n_names, sizeof(*ledger->names)))
		return reading_refuse(reading, "two of its records have the same id");
	return 0;
}
