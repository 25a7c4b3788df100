/* What the script of the HTML report reads: places in the order of the page, with their
 * sockets, and the frames they name by number. */
#include "formats/html_internal.h"

#include "formats/values.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

#define uthash_fatal(message) say_die(say_memory_status, "out of memory")
#include <uthash.h>

#define TEST_BYTES 200

/* -- frames, each once ------------------------------------------------------------ */

struct known_frame {
	size_t index;
	UT_hash_handle hh; /* by its JSON */
	char key[];
};

struct frames {
	struct known_frame *known;
	json_t *rows;
	size_t bytes;
};

static json_t *text_value(const struct text *text)
{
	return values_checked(json_stringn(text->at, text->used));
}

/* Gives up the row; -1 = there is no room for another one. */
static long intern_row(struct frames *frames, json_t *row)
{
	char *key = json_dumps(values_checked(row), JSON_COMPACT | JSON_ENSURE_ASCII);
	size_t bytes = key ? strlen(key) : 0, n = json_array_size(frames->rows);
	struct known_frame *known;

	if (!key)
		say_die(say_memory_status, "out of memory");
	HASH_FIND(hh, frames->known, key, bytes, known);
	if (known || n >= HTML_MAX_FRAMES || frames->bytes > HTML_ENOUGH_BYTES / 2) {
		json_decref(row);
	} else {
		known = say_calloc(1, sizeof(*known) + bytes);
		known->index = n;
		frames->bytes += bytes;
		memcpy(known->key, key, bytes);
		HASH_ADD_KEYPTR(hh, frames->known, known->key, bytes, known);
		values_append(frames->rows, row);
	}
	free(key);
	return known ? (long)known->index : -1;
}

/* Words in place of a frame. */
static long intern_words(struct frames *frames, const char *words)
{
	return intern_row(frames, json_pack("[s, s, i, s]", words, "", 0, "other"));
}

/* [name, where, whether it is a library's, language] */
static long intern_frame(struct frames *frames, const struct text_frame *frame)
{
	const char *language = text_language_name(frame->language);
	char name[4 * HTML_NAME_COLUMNS], where[4 * HTML_WHERE_COLUMNS];
	struct text name_text = {.at = name, .size = sizeof(name)};
	struct text where_text = {.at = where, .size = sizeof(where)};

	text_function(&name_text, frame, HTML_NAME_COLUMNS);
	text_where(&where_text, frame, HTML_WHERE_COLUMNS);
	return intern_row(frames,
			  json_pack("[o, o, i, s]", text_value(&name_text),
				    text_value(&where_text), stack_is_library(frame),
				    language ? language : "native"));
}

/* -1 and no more in the array where there was no room. */
static int append_index(json_t *array, long index)
{
	if (index < 0)
		return -1;
	values_append(array, json_integer(index));
	return 0;
}

/* null where one found no room */
static json_t *all_frames(struct frames *frames, const struct text_frame *from,
			  unsigned n)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < n; i++)
		if (append_index(array, intern_frame(frames, &from[i])) < 0) {
			json_decref(array);
			return json_null();
		}
	return array;
}

/* Of the icicle: the program's own, the outermost first. */
static json_t *folded_rows(struct frames *frames, const struct findings_place *place)
{
	struct stack stack = stack_fold(place->origin, place->n_origin, STACK_ROOM);
	json_t *array = json_array();
	int result = 0;

	if (!stack.n_rows)
		result = append_index(array, intern_words(frames, "origin unknown"));
	if (stack.n_more)
		result = append_index(array, intern_words(frames, "... deeper calls"));
	for (unsigned i = stack.n_rows; i-- > 0 && result == 0;)
		result = append_index(array, intern_frame(frames, stack.rows[i].frame));
	return array;
}

/* -- sockets ---------------------------------------------------------------------- */

/* "4711", "4711 (sleep)", "4711 and 2 more" */
static json_t *process_of(const struct findings_socket *socket)
{
	const struct findings_holder *holder = &socket->holders[0];
	char buffer[128];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	if (!holder->pid)
		return json_null();
	text_unsigned(&text, holder->pid);
	if (holder->is_elsewhere && holder->program) {
		text_string(&text, " (");
		text_escaped(&text, holder->program);
		text_string(&text, ")");
	}
	if (socket->n_holders > 1) {
		text_string(&text, " and ");
		format_put_count(&text, socket->n_holders - 1, " more");
	}
	return text_value(&text);
}

static json_t *test_of(const struct findings_socket *socket)
{
	char buffer[TEST_BYTES];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	if (!socket->test)
		return json_null();
	text_escaped(&text, socket->test);
	return text_value(&text);
}

static json_t *socket_row(const struct findings_socket *from)
{
	json_t *row = json_array();
	bool knows_peer = from->peer_state != TEXT_PEER_UNKNOWN;
	bool knows_unread = from->unread_bytes != SL_UNREAD_UNKNOWN;

	values_append(row, process_of(from));
	values_append(row, from->holders[0].pid ? json_integer(from->holders[0].fd)
						: json_null());
	values_append(row, values_address(from->local_port ? from->family : 0,
					  from->local, from->local_port));
	values_append(row, values_address(from->peer_port ? from->family : 0, from->peer,
					  from->peer_port));
	values_append(row, json_string(text_state_name(from->state)));
	values_append(row, values_number(from->age_ms));
	values_append(row, values_ms(from->opened_ms));
	values_append(row,
		      knows_unread ? values_number(from->unread_bytes) : json_null());
	values_append(row, knows_peer ? json_string(text_peer_name(from->peer_state))
				      : json_null());
	values_append(row, test_of(from));
	values_append(row, from->use ? values_number(from->used_ms) : json_null());
	return row;
}

/* -- places ----------------------------------------------------------------------- */

struct gathering {
	struct frames frames;
	size_t max_sockets; /* of a place */
	size_t n;
};

/* Of those that the card shows. */
static json_t *uses_of(struct frames *frames, const struct findings_place *place)
{
	json_t *array = json_array();

	for (size_t i = 0; i < place->n_uses && i < TEXT_MAX_USES; i++)
		values_append(array, all_frames(frames, place->uses[i].frames,
						place->uses[i].n_frames));
	return array;
}

static void put_place(const struct html *html, const struct html_place *shown, void *of)
{
	static const char *const lists[] = {"leak", "late", "pending"};
	const struct findings_place *place = shown->place;
	struct gathering *gathering = of;
	json_t *object = json_object(), *sockets = json_array();

	for (size_t i = 0; i < place->n_sockets && i < gathering->max_sockets; i++)
		values_append(sockets, socket_row(&place->sockets[i]));
	values_set(object, "list", json_string(lists[shown->list]));
	values_set(object, "id", json_string(place->id));
	values_set(object, "n", values_number(place->n_sockets));
	values_set(object, "oldest", values_number(place->oldest_ms));
	values_set(object, "rows", folded_rows(&gathering->frames, place));
	values_set(object, "origin",
		   all_frames(&gathering->frames, place->origin, place->n_origin));
	values_set(object, "eof",
		   all_frames(&gathering->frames, place->eof, place->n_eof));
	values_set(object, "uses", uses_of(&gathering->frames, place));
	values_set(object, "sockets", sockets);
	fputs(gathering->n++ ? ",\n" : "", html->file);
	html_json(html, object);
}

static void free_frames(struct frames *frames)
{
	struct known_frame *known, *next;

	HASH_ITER(hh, frames->known, known, next)
	{
		HASH_DEL(frames->known, known);
		free(known);
	}
}

void html_data(const struct html *html)
{
	struct gathering gathering = {.frames.rows = values_checked(json_array())};
	size_t n = 0;

	for (enum text_list list = 0; list < TEXT_N_LISTS; list++)
		n += html_n_shown(html, list);
	gathering.max_sockets = HTML_MAX_SOCKETS / (n ? n : 1);
	fputs("{\"places\":[", html->file);
	html_each_place(html, put_place, &gathering);
	fputs("],\n\"frames\":", html->file);
	html_json(html, gathering.frames.rows);
	fputs(",\n", html->file);
	html_series(html);
	fputs("}", html->file);
	free_frames(&gathering.frames);
}
