/* See lines.h. */
#include "unwind/lines.h"

#include "base/arena.h"
#include "base/sections.h"
#include "common/fnv.h"
#include "common/ledger.h"
#include "languages/notes.h"
#include "unwind/id_table.h"

#include <stddef.h>
#include <string.h>

#define N_BUCKETS 4096 /* a power of two */

static_assert((int)LANGUAGE_PYTHON == (int)SL_LANGUAGE_PYTHON &&
		      (int)LANGUAGE_JAVA == (int)SL_LANGUAGE_JAVA &&
		      (int)LANGUAGE_RUBY == (int)SL_LANGUAGE_RUBY,
	      "one number a language");

struct line {
	struct origin_line shown;
	uint32_t next; /* in its bucket; 0 = the last */
};

static struct id_table lines;
ARENA_TABLE static uint32_t buckets[N_BUCKETS]; /* ids; the unwinding thread's */

uint32_t lines_count(void)
{
	return id_table_count(&lines);
}

static struct line *by_id(uint32_t id)
{
	return id_table_get(&lines, id);
}

const struct origin_line *lines_by_id(uint32_t id)
{
	const struct line *line = by_id(id);

	return line ? &line->shown : NULL;
}

/* Its texts; false = its code is not known. */
static bool read_frame(const struct language_frame *frame, struct origin_line *line)
{
	*line = (struct origin_line){.language = frame->language, .line = frame->line};
	if (frame->language == SL_LANGUAGE_NOTE) {
		line->function = notes_text(frame->identity);
		line->file = "";
		return line->function != NULL;
	}
	const struct language_code *code = language_code(frame->identity);
	if (!code)
		return false;
	line->function = code->function;
	line->file = code->file;
	return true;
}

static uint32_t *bucket_of(const struct origin_line *line)
{
	uint64_t hash =
		fnv_add(FNV_BASIS ^ line->line, line->function, strlen(line->function));

	hash = fnv_add(hash, line->file, strlen(line->file));
	return &buckets[hash & (N_BUCKETS - 1)];
}

static bool is_same(const struct origin_line *a, const struct origin_line *b)
{
	return a->language == b->language && a->line == b->line &&
	       strcmp(a->function, b->function) == 0 && strcmp(a->file, b->file) == 0;
}

static uint32_t add(const struct origin_line *from, uint32_t *bucket)
{
	struct line *new = id_table_next(&lines) ? arena_take(sizeof(*new)) : NULL;

	if (!new)
		return 0;
	new->shown = *from;
	new->next = *bucket;
	return *bucket = id_table_add(&lines, new);
}

uint32_t lines_id(const struct language_frame *frame)
{
	struct origin_line line;

	if (!read_frame(frame, &line))
		return 0;
	uint32_t *bucket = bucket_of(&line);
	for (uint32_t id = *bucket; id; id = by_id(id)->next)
		if (is_same(&by_id(id)->shown, &line))
			return id;
	return add(&line, bucket);
}

/* A line that is entered once more gets another id: nothing worse. */
void lines_forget_index(void)
{
	memset(buckets, 0, sizeof(buckets));
}
