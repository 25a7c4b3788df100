/* Code objects: whether they are what they must be, and what is shown of them. */
#include "languages/codes.h"
#include "languages/python_internal.h"
#include "languages/python_lines.h"
#include "languages/python_text.h"

#define BYTES_HEAD      32u  /* of a bytes object */
#define TABLE_WANTED    288u /* most tables, with their head */
#define MAX_CODE_UNITS  (1u << 22)
#define MAX_TABLE_BYTES (READER_BYTES / 2)
#define TINY_CODE_UNITS 8 /* of the interpreter's own, which begins otherwise */

static const struct python_layout *const layout = &python_layout;
static const struct python_runtime *const runtime = &python_runtime;

/* The code begins with the instruction by which every function does.  Before that one it
 * is being set up, but in a generator. */
static enum walk_verdict check_start(struct python_walk *walk, struct python_step *step,
				     uint64_t n_units)
{
	int first = (int)reader_number(step->head, layout->first_traceable);
	uint64_t start = step->code + (uint64_t)layout->basic_bytes;
	bool is_tiny = n_units <= TINY_CODE_UNITS && (uint64_t)first >= n_units;

	if (first < 0 || ((uint64_t)first >= n_units && !is_tiny))
		return WALK_WRONG;
	if (!is_tiny) {
		const char *at = reader_at(&walk->reader, start + 2 * (uint64_t)first, 2);

		if (!at || !*at || !memchr(layout->start, *at, sizeof(layout->start)))
			return WALK_WRONG;
	}
	step->is_left_out = step->owner != OWNER_GENERATOR && step->offset < 2 * first;
	return WALK_SOUND;
}

static enum walk_verdict check_new_code(struct python_walk *walk,
					struct python_step *step)
{
	uint64_t n_units = reader_word(step->head, layout->n_code_units);
	uint64_t start = step->code + (uint64_t)layout->basic_bytes;
	/* At first it is at the unit before the code. */
	uint64_t distance = step->instruction - (start - 2);

	if (n_units == 0 || n_units > MAX_CODE_UNITS || distance % 2 ||
	    distance >= 2 * n_units + 2)
		return WALK_WRONG;
	step->offset = (int)distance - 2;
	return check_start(walk, step, n_units);
}

static uint32_t code_bytes_of(struct python_walk *walk, const struct python_step *step)
{
	const char *code;
	uint64_t bytes;

	if (python_has_new_frames())
		return 2 * (uint32_t)reader_word(step->head, layout->n_code_units);
	code = python_typed_at(&walk->reader,
			       reader_word(step->head, layout->code_bytes_object),
			       BYTES_HEAD, runtime->bytes_type);
	bytes = code ? reader_word(code, PYTHON_SIZE_AT) : 0;
	return bytes <= 2 * MAX_CODE_UNITS ? (uint32_t)bytes : 0;
}

static enum walk_verdict check_old_code(struct python_walk *walk,
					const struct python_step *step)
{
	int bytes = (int)code_bytes_of(walk, step);

	return step->offset >= -1 && step->offset < bytes &&
			       (step->offset == -1 || step->offset % 2 == 0)
		       ? WALK_SOUND
		       : WALK_WRONG;
}

enum walk_verdict python_code_check(struct python_walk *walk, struct python_step *step)
{
	step->head = python_typed_at(&walk->reader, step->code,
				     (uint32_t)layout->basic_bytes, runtime->code_type);
	if (!step->head)
		return WALK_WRONG;
	return python_has_new_frames() ? check_new_code(walk, step)
				       : check_old_code(walk, step);
}

/* Everything that the walk will ask for, in two system calls. */
void python_code_want(struct python_walk *walk)
{
	struct reader *reader = &walk->reader;

	for (unsigned i = 0; i < walk->n_steps; i++)
		if (!walk->steps[i].is_left_out)
			reader_want(reader, walk->steps[i].code,
				    (uint32_t)layout->basic_bytes, PYTHON_CODE_BYTES);
	reader_fetch(reader);
	for (unsigned i = 0; i < walk->n_steps; i++) {
		const char *head =
			walk->steps[i].is_left_out
				? NULL
				: python_object_at(reader, walk->steps[i].code,
						   (uint32_t)layout->basic_bytes);
		if (!head)
			continue;
		python_text_want(reader, reader_word(head, layout->name));
		python_text_want(reader, reader_word(head, layout->file));
		reader_want(reader, reader_word(head, layout->line_table), BYTES_HEAD,
			    TABLE_WANTED);
		if (!python_has_new_frames())
			reader_want(reader, reader_word(head, layout->code_bytes_object),
				    BYTES_HEAD, 0);
	}
	reader_fetch(reader);
}

/* What is shown of a code object. */
struct shown {
	struct python_text function, file;
	struct python_lines lines;
	const char *table; /* the object; NULL = it cannot be read */
};

static bool read_shown(struct python_walk *walk, const struct python_step *step,
		       struct shown *shown)
{
	struct reader *reader = &walk->reader;
	uint64_t table = reader_word(step->head, layout->line_table), bytes;

	shown->table = python_typed_at(reader, table, BYTES_HEAD, runtime->bytes_type);
	if (!shown->table)
		return false;
	bytes = reader_word(shown->table, PYTHON_SIZE_AT);
	reader->is_full |= bytes > MAX_TABLE_BYTES && bytes < MAX_CODE_UNITS;
	if (bytes > MAX_TABLE_BYTES)
		return false;
	shown->table = reader_at(reader, table, BYTES_HEAD + (uint32_t)bytes + 1);
	shown->lines = (struct python_lines){
		layout->minor,
		(int)reader_number(step->head, layout->first_line),
		(const unsigned char *)shown->table + BYTES_HEAD,
		(uint32_t)bytes,
	};
	return shown->table &&
	       python_text_read(reader, reader_word(step->head, layout->name),
				&shown->function) &&
	       python_text_read(reader, reader_word(step->head, layout->file),
				&shown->file);
}

static uint64_t fingerprint_of(const struct shown *shown)
{
	const struct python_text *function = &shown->function, *file = &shown->file;
	struct codes_print print = {{
		(uint64_t)shown->lines.first_line,
		function->width,
		file->width,
	}};

	codes_mix(&print, function->at, function->length * function->width);
	codes_mix(&print, file->at, file->length * file->width);
	codes_mix(&print, shown->lines.table, shown->lines.bytes);
	return codes_fingerprint(&print);
}

/* A code object that was never met. */
static enum walk_verdict meet(struct python_walk *walk, const struct python_step *step,
			      const struct shown *shown, uint64_t fingerprint,
			      uint32_t *identity)
{
	if (shown->lines.first_line < 0 || !python_text_is_sound(&shown->function) ||
	    !python_text_is_sound(&shown->file) ||
	    !python_lines_cover(&shown->lines, code_bytes_of(walk, step)))
		return WALK_WRONG;
	python_text_copy(&shown->function, false, walk->function, sizeof(walk->function));
	python_text_copy(&shown->file, true, walk->file, sizeof(walk->file));
	*identity = codes_add(fingerprint, LANGUAGE_PYTHON, walk->function, walk->file);
	walk->reader.is_full |= !*identity;
	return *identity ? WALK_SOUND : WALK_UNSURE;
}

/* The interpreter says the same of copies of its objects. */
static bool interpreter_agrees(struct python_walk *walk, const struct python_step *step,
			       const struct shown *shown, uint32_t line)
{
	uint64_t table = (uint64_t)(uintptr_t)shown->table;
	uint64_t code = (uint64_t)(uintptr_t)walk->code;
	int said;

	memcpy(walk->code, step->head, (size_t)layout->basic_bytes);
	memcpy(walk->code + layout->line_table, &table, sizeof(table));
	if (python_has_new_frames()) {
		said = runtime->line_of_code(walk->code, step->offset);
	} else {
		const char *frame = python_frames_at(&walk->reader, step->frame);
		if (!frame)
			return false;
		memcpy(walk->frame, frame, PYTHON_OLD_FRAME_BYTES);
		memcpy(walk->frame + layout->code, &code, sizeof(code));
		said = runtime->line_of_frame(walk->frame);
	}
	return (said > 0 ? (uint32_t)said : 0) == line;
}

enum walk_verdict python_code_show(struct python_walk *walk, struct python_step *step,
				   struct language_frame *frame)
{
	struct shown shown;
	uint32_t line, instruction = (uint32_t)step->offset / 2;

	if (!read_shown(walk, step, &shown))
		return WALK_WRONG;
	uint64_t fingerprint = fingerprint_of(&shown);
	uint32_t identity = codes_find(fingerprint);
	if (!identity) {
		enum walk_verdict verdict =
			meet(walk, step, &shown, fingerprint, &identity);
		if (verdict != WALK_SOUND)
			return verdict;
	}
	if (!codes_line(identity, instruction, &line)) {
		line = python_lines_find(&shown.lines, step->offset);
		codes_note_line(identity, instruction, line);
	}
	*frame = (struct language_frame){
		.language = LANGUAGE_PYTHON,
		.line = line,
		.identity = identity,
	};
	return walk->is_trial && !interpreter_agrees(walk, step, &shown, line)
		       ? WALK_WRONG
		       : WALK_SOUND;
}
