/* The backtraces of a place at a glance: the program's own calls, a line each, and grey
 * lines that stand for what is left out. */
#include "common/path.h"
#include "formats/text_internal.h"

#include "findings/short_name.h"

#include <string.h>

#define MAX_NAME_COLUMNS 44
#define MIN_NAME_COLUMNS 20
/* Of a name and of a place in a line that begins with "told by recvfrom() in". */
#define TOLD_COLUMNS 35

static const struct text_frame *first_row(const struct text_frame *frames, unsigned n)
{
	const struct text_frame *own = stack_first_own(frames, n);

	return own || !n ? own : &frames[0];
}

const struct text_frame *text_first_row(const struct findings_place *place)
{
	return first_row(place->origin, place->n_origin);
}

const struct text_frame *text_first_row_of_use(const struct text_use *use)
{
	return first_row(use->frames, use->n_frames);
}

/* --- a line of a frame --- */

size_t text_columns(const struct text *text, size_t begin)
{
	size_t n = 0;

	for (size_t i = begin; i < text->used; i++)
		n += (text->at[i] & 0xc0) != 0x80;
	return n;
}

void text_pad(struct text *text, size_t begin, size_t column)
{
	for (size_t n = text_columns(text, begin); n < column; n++)
		text_string(text, " ");
}

void text_put_end_of(struct text *text, struct text *whole, size_t columns)
{
	size_t n = text_columns(whole, 0), at = 0;

	if (n > columns) {
		text_string(text, "...");
		for (n -= columns - 3; n > 0 || (whole->at[at] & 0xc0) == 0x80; at++)
			n -= (whole->at[at] & 0xc0) != 0x80;
	}
	whole->at[whole->used] = 0;
	text_string(text, whole->at + at);
}

void text_where(struct text *text, const struct text_frame *frame, size_t columns)
{
	char buffer[4096];
	struct text whole = {.at = buffer, .size = sizeof(buffer) - 1};

	if (frame->file) {
		text_escaped(&whole, frame->file + frame->file_prefix_bytes);
		if (frame->line) {
			text_string(&whole, ":");
			text_unsigned(&whole, frame->line);
		}
	} else if (frame->module) {
		text_escaped(&whole, path_base(frame->module));
		text_string(&whole, "+0x");
		text_hex(&whole, frame->offset);
	}
	text_put_end_of(text, &whole, columns);
}

void text_function(struct text *text, const struct text_frame *frame, size_t columns)
{
	char name[STACK_NAME_BYTES], buffer[4 * STACK_NAME_BYTES];
	struct text whole = {.at = buffer, .size = sizeof(buffer) - 1};

	if (frame->language) {
		text_string(&whole, frame->language == SL_LANGUAGE_NOTE ? "note: " : "");
		text_escaped(&whole, frame->function);
	} else if (frame->function) {
		short_name(frame->function, name, sizeof(name));
		text_escaped(&whole, name);
	} else if (frame->module) {
		text_string(&whole, "code without a name");
	} else {
		text_string(&whole, "code outside all modules");
	}
	text_put_end_of(text, &whole, columns);
}

static void put_name(struct text *text, const struct stack_row *row)
{
	text_function(text, row->frame, MAX_NAME_COLUMNS);
	if (row->times > 1) {
		text_string(text, "  x");
		text_unsigned(text, row->times);
	}
}

/* Of the column of names of this backtrace. */
static size_t name_columns(const struct stack *stack)
{
	size_t widest = MIN_NAME_COLUMNS;

	for (unsigned i = 0; i < stack->n_rows; i++) {
		char buffer[4 * TEXT_MAX_COLUMNS];
		struct text text = {.at = buffer, .size = sizeof(buffer)};

		put_name(&text, &stack->rows[i]);
		if (text_columns(&text, 0) > widest)
			widest = text_columns(&text, 0);
	}
	return widest;
}

static void put_row(struct text *text, const struct text_block *block,
		    const struct stack_row *row, size_t columns, bool is_first)
{
	char buffer[4 * TEXT_MAX_COLUMNS];
	struct text name = {.at = buffer, .size = sizeof(buffer) - 1};

	put_name(&name, row);
	buffer[name.used] = 0;
	text_string(text, "      ");
	text_colored(text, block->writing, is_first ? BOLD : "", buffer);
	bool has_where = row->frame->file || row->frame->module;
	for (size_t n = text_columns(&name, 0); has_where && n < columns + 2; n++)
		text_string(text, " ");
	text_where(text, row->frame, TEXT_MAX_COLUMNS - 8 - columns);
	text_string(text, "\n");
}

/* --- a backtrace --- */

/* A line that stands for frames. */
static void put_folded(struct text *text, const struct text_block *block,
		       const char *words)
{
	text_string(text, "      ");
	text_colored(text, block->writing, GREY, words);
	text_string(text, "\n");
}

void text_put_left_out(struct text *text, const struct stack *stack)
{
	unsigned n = stack->n_libraries < STACK_MAX_LIBRARIES ? stack->n_libraries
							      : STACK_MAX_LIBRARIES;

	if (!stack->n_library)
		return;
	text_string(text, "... ");
	text_unsigned(text, stack->n_library);
	for (unsigned i = 0; i < n; i++) {
		bool is_last = i + 1 == n && stack->n_libraries == n;

		text_string(text, i == 0 ? " of " : is_last ? " and " : ", ");
		text_escaped(text, stack->libraries[i]);
	}
	text_string(text, stack->n_libraries > n ? " and others" : "");
}

static void put_left_out(struct text *text, const struct text_block *block,
			 const struct stack *stack)
{
	char buffer[256];
	struct text words = {.at = buffer, .size = sizeof(buffer) - 1};

	if (stack->n_more) {
		text_string(&words, "... ");
		text_unsigned(&words, stack->n_more);
		text_string(&words, " more (--verbose)");
		buffer[words.used] = 0;
		put_folded(text, block, buffer);
		words.used = 0;
	}
	text_put_left_out(&words, stack);
	buffer[words.used] = 0;
	if (words.used)
		put_folded(text, block, buffer);
}

/* The line of the source below the frame that it is of. */
static void put_source(struct text *text, const char *source)
{
	char buffer[4 * TEXT_MAX_COLUMNS];
	struct text line = {.at = buffer, .size = TEXT_MAX_COLUMNS - 10};

	text_escaped(&line, source);
	buffer[line.used] = 0;
	text_string(text, "        > ");
	text_string(text, buffer);
	text_string(text, "\n");
}

static void put_stack(struct text *text, const struct text_block *block,
		      const struct stack *stack, const char *source)
{
	size_t columns = name_columns(stack);

	for (unsigned i = 0; i < stack->n_rows; i++) {
		put_row(text, block, &stack->rows[i], columns, i == 0);
		if (i == 0 && source)
			put_source(text, source);
	}
}

void text_put_origin(struct text *text, const struct text_block *block)
{
	const struct findings_place *place = block->place;
	unsigned n = place->n_origin - block->n_common;
	struct stack stack = stack_fold(place->origin, n, STACK_MAX_ROWS);
	const char *reason = text_origin_reason(&block->shown);

	if (text_call_name(place->call)) {
		text_string(text, "    ");
		text_string(text, text_opened(place->call));
		text_string(text, text_call_name(place->call));
		text_string(text, place->n_origin ? "() in\n" : "()\n");
	}
	put_stack(text, block, &stack, place->source);
	put_left_out(text, block, &stack);
	if (block->same_as) {
		char words[64];
		struct text same = {.at = words, .size = sizeof(words) - 1};

		text_string(&same, "... from the same callers as [");
		text_unsigned(&same, block->same_as);
		text_string(&same, "]");
		words[same.used] = 0;
		put_folded(text, block, words);
	}
	if (!reason)
		return;
	text_string(text, "    origin: ");
	text_string(text, reason);
	text_string(text, "\n");
}

/* "... from serve, main and the same callers": names alone, where they find room. */
static void put_callers(struct text *text, const struct text_block *block,
			const struct stack *stack, bool is_same)
{
	char buffer[4 * TEXT_MAX_COLUMNS];
	struct text words = {.at = buffer, .size = sizeof(buffer) - 1};
	unsigned n = 1, n_rows = stack->n_rows + stack->n_more;
	size_t room = TEXT_MAX_COLUMNS - 34;

	text_string(&words, "... from ");
	for (; n < stack->n_rows; n++) {
		size_t before = words.used;

		text_string(&words, n > 1 ? ", " : "");
		text_function(&words, stack->rows[n].frame, MAX_NAME_COLUMNS);
		if (text_columns(&words, 0) <= room)
			continue;
		words.used = before;
		break;
	}
	if (n < n_rows) {
		text_string(&words, n > 1 ? " and " : "");
		text_unsigned(&words, n_rows - n);
		text_string(&words, " more");
	}
	if (is_same)
		text_string(&words,
			    n_rows > 1 ? " and the same callers" : "the same callers");
	buffer[words.used] = 0;
	if (is_same || n_rows > 1)
		put_folded(text, block, buffer);
}

static bool is_where_told(const struct findings_place *place, const struct text_use *use)
{
	return place->eof_call == use->call && place->n_eof == use->n_frames &&
	       stack_common(use->frames, use->n_frames, place->eof, place->n_eof) ==
		       place->n_eof;
}

static void put_use(struct text *text, const struct text_block *block,
		    const struct text_use *use)
{
	const struct findings_place *place = block->place;
	unsigned n_common =
		stack_common(use->frames, use->n_frames, place->origin, place->n_origin);
	struct stack stack =
		stack_fold(use->frames, use->n_frames - n_common, STACK_MAX_ROWS);

	text_string(text, "    ");
	text_use(text, use, place->n_sockets);
	if (is_where_told(place, use)) {
		text_string(text, ", where it was told\n");
		return;
	}
	text_string(text, stack.n_rows ? " in\n" : "\n");
	if (!stack.n_rows)
		return;
	put_row(text, block, &stack.rows[0], name_columns(&stack), true);
	put_callers(text, block, &stack, n_common > 0);
}

void text_put_uses(struct text *text, const struct text_block *block)
{
	const struct findings_place *place = block->place;
	size_t n = place->n_uses < TEXT_MAX_USES ? place->n_uses : TEXT_MAX_USES;

	for (size_t i = 0; i < n; i++)
		put_use(text, block, &place->uses[i]);
	if (n < place->n_uses) {
		char buffer[64];

		snprintf(buffer, sizeof(buffer),
			 "... %zu more places of last use (--json)", place->n_uses - n);
		text_string(text, "    ");
		text_colored(text, block->writing, GREY, buffer);
		text_string(text, "\n");
	}
}

void text_put_told(struct text *text, const struct text_block *block)
{
	const struct findings_place *place = block->place;
	unsigned n_common =
		stack_common(place->eof, place->n_eof, place->origin, place->n_origin);
	struct stack stack =
		stack_fold(place->eof, place->n_eof - n_common, STACK_MAX_ROWS);

	if (place->eof_call == SL_CALL_NONE || !stack.n_rows)
		return;
	text_string(text, place->eof_call == SL_CALL_shutdown ? "    shut down by "
							      : "    told by ");
	text_string(text, text_call_name(place->eof_call));
	text_string(text, "() in  ");
	text_function(text, stack.rows[0].frame, TOLD_COLUMNS);
	text_string(text, "  ");
	text_where(text, stack.rows[0].frame, TOLD_COLUMNS);
	text_string(text, "\n");
	put_callers(text, block, &stack, n_common > 0);
}
