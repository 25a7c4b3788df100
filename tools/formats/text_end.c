/* The end of the short report: what to do, and a table of all places. */
#include "formats/text_internal.h"

#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define NAME_COLUMNS 44
/* With callers beside it. */
#define SHORT_NAME_COLUMNS 22
#define SHORT_AT_COLUMNS   18
#define BEFORE_CALLS       31
#define LEAST_AT_COLUMNS   8 /* of a caller's line; where there are fewer it is left out */

#define WHY(why) [__builtin_ctz(SL_WHY_##why)] =

static const struct {
	const char *words, *advice;
} reasons[TEXT_N_WHYS] = {
	WHY(EOF_READ){"the program was told",
		      "close the socket where that call returned 0 or failed"},
	WHY(NEVER_READ){
		"the end of stream is still unread",
		"read until a call returns 0 or fails, and close the socket there"},
	WHY(READ_UNSEEN){"the end of stream was read unseen",
			 "close the socket (or its FILE) where stdio or io_uring gave "
			 "the last bytes"},
	WHY(SHUT_NOT_CLOSED){"shut down and not closed",
			     "call close() after shutdown(), which frees nothing"},
	WHY(RESET){"the connection was reset",
		   "close the socket where a call fails with ECONNRESET or EPIPE, too"},
	WHY(DUPLICATE){"a duplicate holds it",
		       "close every descriptor that dup() or fcntl() gave"},
	WHY(HELD_BY_CHILD){
		"another process holds it",
		"open it with SOCK_CLOEXEC, or close it in the child after fork()"},
	WHY(TIMED_OUT){"the peer answers no more",
		       "close the socket where a call fails with ETIMEDOUT"},
	WHY(STALLED){"the peer takes no data",
		     "set TCP_USER_TIMEOUT, and close the socket where a write fails"},
	WHY(CONNECT_FAILED){"connect() failed", "close the socket where connect() fails"},
};

const char *text_why_words(unsigned one)
{
	return reasons[__builtin_ctz(one)].words;
}

const char *text_why_advice(unsigned one)
{
	return reasons[__builtin_ctz(one)].advice;
}

void text_advice(const struct writing *writing)
{
	bool lacks_javascript = false;
	unsigned whys = 0;

	for (int list = TEXT_LEAKS; list <= TEXT_LATE; list++) {
		struct text_places places = text_places_of(writing->findings, list);

		for (size_t i = 0; i < places.n; i++) {
			const struct findings_place *place = &places.at[i];

			whys |= place->why;
			lacks_javascript |=
				text_lacks_javascript(place->origin, place->n_origin);
		}
	}
	if (whys)
		fputs("What to do:\n", writing->file);
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (whys & 1U << i)
			fprintf(writing->file, "  %s (%s):\n      %s.\n",
				reasons[i].words, text_why_name(1U << i),
				reasons[i].advice);
	if (lacks_javascript)
		fputs("  these are the calls of Node itself:\n"
		      "      `sockleak run --node` names the lines of JavaScript.\n",
		      writing->file);
	if (whys)
		fputc('\n', writing->file);
}

/* --- the table --- */

struct line {
	const struct writing *writing;
	const struct findings_place *place;
	enum text_list list;
	const char *color;
	size_t number;
	const struct text_frame *beside; /* NULL = nothing */
};

/* The innermost call of the program's own, else why there is none. */
static void put_in(struct text *text, const struct line *line, size_t most)
{
	const struct findings_place *place = line->place;
	const char *note = text_note_name(place->origin_kind);

	if (place->n_origin) {
		text_function(text, text_first_row(place), most);
		return;
	}
	text_string(text, "origin ");
	text_string(text, place->origin_is_pending ? "pending" : note ? note : "lost");
}

static void put_at(struct text *text, const struct line *line, size_t most)
{
	const struct text_frame *first =
		line->place->n_origin ? text_first_row(line->place) : NULL;

	if (first && (first->file || first->module))
		text_where(text, first, most);
}

static void put_beside(struct text *text, const struct line *line, size_t most)
{
	const struct text_frame *frame = line->beside;
	size_t begin = text->used;

	if (!frame)
		return;
	text_function(text, frame, most);
	size_t used = text_columns(text, begin);
	if (used + 1 + LEAST_AT_COLUMNS > most || !(frame->file || frame->module))
		return;
	text_string(text, " ");
	text_where(text, frame, most - used - 1);
}

/* Sets what stands beside each place: where most of its sockets were last used, where
 * uses are known, else the caller that tells it from others.  Returns the name of the
 * column; NULL = there is none. */
static const char *find_beside(struct line *lines, size_t n)
{
	bool has_use = false, has_caller = false;

	for (size_t i = 0; i < n; i++) {
		has_use |= lines[i].place->n_uses > 0;
		has_caller |= lines[i].place->caller != NULL;
	}
	for (size_t i = 0; i < n; i++) {
		const struct findings_place *place = lines[i].place;

		if (!has_use)
			lines[i].beside = place->caller;
		else if (place->n_uses)
			lines[i].beside = text_first_row_of_use(&place->uses[0]);
	}
	return has_use ? "last used in" : has_caller ? "from" : NULL;
}

/* The columns of calls; none is wider than need be. */
struct widths {
	size_t in, at;
};

static size_t widest(const struct line *lines, size_t n,
		     void (*put)(struct text *text, const struct line *line, size_t most),
		     size_t most)
{
	size_t columns = 0;

	for (size_t i = 0; i < n; i++) {
		char buffer[4 * TEXT_MAX_COLUMNS];
		struct text text = {.at = buffer, .size = sizeof(buffer)};

		put(&text, &lines[i], most);
		if (text_columns(&text, 0) > columns)
			columns = text_columns(&text, 0);
	}
	return columns;
}

static size_t cut(size_t *columns, size_t least, size_t n)
{
	size_t room = *columns > least ? *columns - least : 0;

	*columns -= n < room ? n : room;
	return n < room ? n : room;
}

static struct widths widths_of(const struct line *lines, size_t n)
{
	struct widths widths = {widest(lines, n, put_in, NAME_COLUMNS),
				widest(lines, n, put_at, NAME_COLUMNS)};
	size_t beside = widest(lines, n, put_beside, NAME_COLUMNS);
	size_t all = BEFORE_CALLS + widths.in + 2 + widths.at + 2 + beside;

	if (beside && all > TEXT_MAX_COLUMNS) {
		all -= cut(&widths.at, SHORT_AT_COLUMNS, all - TEXT_MAX_COLUMNS);
		if (all > TEXT_MAX_COLUMNS)
			cut(&widths.in, SHORT_NAME_COLUMNS, all - TEXT_MAX_COLUMNS);
	}
	return widths;
}

static void put_calls(struct text *text, const struct line *line,
		      const struct widths *widths, size_t room)
{
	size_t begin = text->used;

	put_in(text, line, widths->in);
	if (!line->place->n_origin ||
	    (!line->beside && !widest(line, 1, put_at, widths->at)))
		return;
	text_pad(text, begin, widths->in + 2);
	room -= widths->in + 2;
	put_at(text, line, line->beside && widths->at < room ? widths->at : room);
	if (!line->beside)
		return;
	text_pad(text, begin, widths->in + 2 + widths->at + 2);
	put_beside(text, line, room - widths->at - 2);
}

static void put_line(struct text *text, const struct line *line,
		     const struct widths *widths)
{
	static const char *const lists[] = {"", "  closed late", "  pending"};
	const struct findings_place *place = line->place;
	const char *call = text_call_name(place->call);
	char count[24], age[24];
	struct text age_text = {.at = age, .size = sizeof(age) - 1};
	size_t begin = text->used;

	text_string(text, "[");
	text_unsigned(text, line->number);
	text_string(text, "]");
	text_pad(text, begin, 5);
	snprintf(count, sizeof(count), "%7zu", place->n_sockets);
	text_colored(text, line->writing, line->color, count);
	text_duration(&age_text, place->oldest_ms);
	age[age_text.used] = 0;
	for (size_t n = age_text.used; n < 8; n++)
		text_string(text, " ");
	text_string(text, age);
	text_string(text, "  ");
	begin = text->used;
	text_string(text, call ? call : "-");
	text_pad(text, begin, 9);
	put_calls(text, line, widths,
		  TEXT_MAX_COLUMNS - BEFORE_CALLS - strlen(lists[line->list]));
	text_string(text, lists[line->list]);
	text_string(text, "\n");
}

struct table {
	struct line *lines;
	size_t n;
	const char *beside; /* the name of the last column; NULL = there is none */
};

static void put_table(struct text *text, const void *of)
{
	const struct table *table = of;
	struct widths widths = widths_of(table->lines, table->n);
	size_t begin = text->used;

	text_string(text, "     sockets  oldest  by       in");
	text_pad(text, begin, BEFORE_CALLS + widths.in + 2);
	text_string(text, "at");
	if (table->beside) {
		text_pad(text, begin, BEFORE_CALLS + widths.in + 2 + widths.at + 2);
		text_string(text, table->beside);
	}
	text_string(text, "\n");
	for (size_t i = 0; i < table->n; i++)
		put_line(text, &table->lines[i], &widths);
}

void text_table(const struct writing *writing)
{
	const struct findings *findings = writing->findings;
	size_t n = findings->n_leaks + findings->n_late + findings->n_pending, bytes;
	struct table table = {0};

	if (n < 2)
		return;
	table.lines = say_calloc(n, sizeof(*table.lines));
	for (int list = 0; list < TEXT_N_LISTS; list++) {
		struct text_places places = text_places_of(findings, list);

		for (size_t i = 0; i < places.n; i++, table.n++)
			table.lines[table.n] =
				(struct line){writing,      &places.at[i], list,
					      places.color, table.n + 1,   NULL};
	}
	table.beside = find_beside(table.lines, table.n);
	char *at = format_block(put_table, &table, &bytes);
	fwrite(at, 1, bytes, writing->file);
	fputc('\n', writing->file);
	free(at);
	free(table.lines);
}
