/* The tables of a ledger: their memory and the search by id. */
#include "read/reader_tables.h"

#include "support/say.h"

#include <stdlib.h>

struct reader_chunk {
	struct reader_chunk *next;
	uint64_t bytes[];
};

void *reader_keep(struct reader_ledger *ledger, size_t bytes)
{
	struct reader_chunk *chunk = say_calloc(1, sizeof(*chunk) + bytes);

	chunk->next = ledger->chunks;
	ledger->chunks = chunk;
	return chunk->bytes;
}

int reader_compare_ids(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

	return (left > right) - (left < right);
}

static const void *find(const void *table, size_t n, size_t bytes, uint32_t id)
{
	return n && id ? bsearch(&id, table, n, bytes, reader_compare_ids) : NULL;
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

const struct reader_line *reader_line(const struct reader_ledger *ledger, uint32_t id)
{
	return find(ledger->lines, ledger->n_lines, sizeof(*ledger->lines), id);
}

struct text_frame reader_frame(const struct reader_ledger *ledger, uint64_t frame)
{
	struct text_frame shown = {0};

	if (SL_FRAME_MODULE(frame) == SL_FRAME_LANGUAGE) {
		const struct reader_line *line = reader_line(ledger, (uint32_t)frame);

		shown.language = line->language;
		shown.function = line->function;
		shown.file = line->file;
		shown.line = line->line;
		return shown;
	}
	const struct reader_module *module =
		reader_module(ledger, SL_FRAME_MODULE(frame));
	shown.offset = SL_FRAME_OFFSET(frame);
	if (!module)
		return shown;
	shown.module = module->path;
	shown.build_id = module->build_id;
	shown.build_id_bytes = module->build_id_bytes;
	return shown;
}

const char *reader_name(const struct reader_ledger *ledger, uint32_t id)
{
	const struct reader_name *name =
		find(ledger->names, ledger->n_names, sizeof(*ledger->names), id);

	return name ? name->text : NULL;
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
	free(ledger->lines);
	free(ledger->events);
	free(ledger->elsewhere);
	*ledger = (struct reader_ledger){0};
}
