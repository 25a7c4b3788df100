/* See publish_records.h. */
#include "report/publish_records.h"

#include "ledger/ledger_writer.h"
#include "report/test_names.h"
#include "unwind/origin.h"

#include <string.h>

static uint32_t published_backtraces, published_modules, published_names, published_lines;

static bool publish_module(uint32_t id)
{
	const struct origin_module *module = origin_module(id);

	if (!module)
		return true;
	struct sl_module record = {
		.head = {SL_RECORD_MODULE, sizeof(record)},
		.id = id,
		.path_bytes = (uint16_t)strnlen(module->path, 4096),
		.build_id_bytes = (uint16_t)module->build_id_bytes,
		.base = module->base,
		.size = module->size,
	};
	memcpy(record.build_id, module->build_id, sizeof(record.build_id));
	return ledger_append(&record.head, module->path, record.path_bytes);
}

static bool publish_backtrace(uint32_t id)
{
	const struct origin_backtrace *trace = origin_backtrace(id);
	struct sl_backtrace record = {
		.head = {SL_RECORD_BACKTRACE, sizeof(record)},
		.id = id,
		.n_frames = trace->n_frames,
		.is_short = trace->is_short,
	};

	return ledger_append(&record.head, trace->frames,
			     (uint32_t)(trace->n_frames * sizeof(trace->frames[0])));
}

static bool publish_line(uint32_t id)
{
	const struct origin_line *line = origin_line(id);
	char text[SL_LINE_TEXT_BYTES];
	struct sl_line record = {
		.head = {SL_RECORD_LINE, sizeof(record)},
		.id = id,
		.line = line->line,
		.language = line->language,
		.function_bytes = (uint16_t)strnlen(line->function, sizeof(text) / 2),
		.file_bytes = (uint32_t)strnlen(line->file, sizeof(text) / 2),
	};

	memcpy(text, line->function, record.function_bytes);
	memcpy(text + record.function_bytes, line->file, record.file_bytes);
	return ledger_append(&record.head, text,
			     record.function_bytes + record.file_bytes);
}

static bool publish_name(uint32_t id)
{
	const char *text = test_names_text((uint16_t)id);
	struct sl_name record = {.head = {SL_RECORD_NAME, sizeof(record)}, .id = id};

	if (!text)
		return false;
	record.text_bytes = (uint32_t)strnlen(text, 1024);
	return ledger_append(&record.head, text, record.text_bytes);
}

/* What finds no room waits for the file to grow: nothing may be named that is not there.
 */
static bool publish_new(uint32_t *published, uint32_t n, bool (*publish)(uint32_t id))
{
	while (*published < n && publish(*published + 1))
		++*published;
	return *published >= n;
}

void publish_records(void)
{
	if (!ledger_is_kept())
		return;
	if (publish_new(&published_modules, origin_n_modules(), publish_module) &&
	    publish_new(&published_lines, origin_n_lines(), publish_line))
		publish_new(&published_backtraces, origin_n_backtraces(),
			    publish_backtrace);
	publish_new(&published_names, test_names_count(), publish_name);
}

uint64_t publish_records_waiting(void)
{
	return !ledger_is_kept()
		       ? 0
		       : (uint64_t)(origin_n_modules() - published_modules) +
				 (origin_n_lines() - published_lines) +
				 (origin_n_backtraces() - published_backtraces) +
				 (test_names_count() - published_names);
}

void publish_records_fork_child(void)
{
	published_backtraces = published_modules = published_names = published_lines = 0;
}
