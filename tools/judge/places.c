/* Places: sockets of one origin and kind, over all processes and hosts. */
#include "judge/judging.h"

#include <string.h>

/* SL_ORIGIN_KIND_NONE: it has a whole one. */
static enum sl_origin_kind why_no_origin(const struct row *row)
{
	if (row->row.origin_kind != SL_ORIGIN_KIND_NONE)
		return row->row.origin_kind;
	if (!row->origin)
		return SL_ORIGIN_UNKNOWN;
	return row->origin->is_short ? SL_ORIGIN_SHORT : SL_ORIGIN_KIND_NONE;
}

static const char *place_id(const struct backtrace *origin, enum sl_kind kind,
			    char empty[TEXT_ID_BYTES])
{
	if (!origin) {
		text_place_id(empty, kind, NULL, 0);
		return empty;
	}
	/* Kept where it was found, which changes nothing that others see. */
	char *known = ((struct backtrace *)origin)->ids[kind];
	if (!*known)
		text_place_id(known, kind, origin->frames, origin->n_frames);
	return known;
}

static struct place *intern_place(struct merge *merge, struct places *all,
				  const struct joined *socket, const struct row *from)
{
	struct place **places = socket->found.closed == FINDINGS_CLOSED_LATE ? &all->late
				: socket->found.verdict == SL_PENDING ? &all->pending
								      : &all->leaks;
	enum sl_kind kind = socket->found.kind;
	struct place_key key;
	struct place *place;
	char empty[TEXT_ID_BYTES];

	memset(&key, 0, sizeof(key));
	memcpy(key.id, place_id(from->origin, kind, empty), sizeof(key.id));
	if (!from->origin) {
		key.origin_kind = (uint8_t)why_no_origin(from);
		key.call = from->row.call;
		key.origin_is_pending = from->row.origin == SL_ORIGIN_PENDING;
	}
	HASH_FIND(hh, *places, &key, sizeof(key), place);
	if (place)
		return place;
	place = findings_keep(merge->findings, sizeof(*place));
	place->key = key;
	memcpy(place->found.id, key.id, sizeof(key.id));
	place->found.kind = kind;
	place->found.call = from->row.call;
	place->found.origin_kind = why_no_origin(from);
	place->found.origin_is_pending = key.origin_is_pending;
	if (from->origin) {
		place->found.origin = from->origin->frames;
		place->found.n_origin = from->origin->n_frames;
	}
	HASH_ADD(hh, *places, key, sizeof(key), place);
	return place;
}

static void take_eof(const struct merge *merge, struct findings_place *place,
		     const struct joined *socket)
{
	for (const struct row *row = socket->rows; row && !place->eof; row = row->next) {
		if (!judging_is_found_by(merge, socket, row) ||
		    row->row.eof_call == SL_CALL_NONE)
			continue;
		place->eof_call = row->row.eof_call;
		if (row->eof) {
			place->eof = row->eof->frames;
			place->n_eof = row->eof->n_frames;
		}
	}
}

static void add_use(struct merge *merge, struct place *place, struct joined *socket)
{
	char empty[TEXT_ID_BYTES];
	struct place_use_key key;
	struct place_use *use;

	if (!socket->used)
		return;
	memset(&key, 0, sizeof(key));
	memcpy(key.id, place_id(socket->used->use, SL_KIND_CLOSE_WAIT, empty),
	       sizeof(key.id));
	key.call = socket->used->row.use_call;
	key.is_sent = socket->used->row.use_is_sent;
	HASH_FIND(hh, place->uses, &key, sizeof(key), use);
	if (!use) {
		use = findings_keep(merge->findings, sizeof(*use));
		use->key = key;
		use->backtrace = socket->used->use;
		use->number = HASH_COUNT(place->uses) + 1;
		HASH_ADD(hh, place->uses, key, sizeof(key), use);
	}
	socket->found.use = use->number;
}

/* Of how many sockets, and which is the example, findings_settle() tells. */
static void gather_uses(struct findings *findings, struct place *place)
{
	size_t n = HASH_COUNT(place->uses);
	struct text_use *to = findings_keep(findings, n * sizeof(*to));

	place->found.uses = to;
	place->found.n_uses = n;
	for (const struct place_use *use = place->uses; use; use = use->hh.next)
		*to++ = (struct text_use){
			.call = use->key.call,
			.is_sent = use->key.is_sent,
			.frames = use->backtrace ? use->backtrace->frames : NULL,
			.n_frames = use->backtrace ? use->backtrace->n_frames : 0,
		};
	HASH_CLEAR(hh, place->uses);
}

void judging_add_to_place(struct merge *merge, struct places *places,
			  struct joined *socket)
{
	const struct row *from = linked_origin_row(socket);
	struct place *place = intern_place(merge, places, socket, from);

	/* The same frames may be a whole backtrace in one ledger and a short one in another:
	 * then the place has a whole one. */
	if (why_no_origin(from) == SL_ORIGIN_KIND_NONE)
		place->found.origin_kind = SL_ORIGIN_KIND_NONE;
	if (place->found.call == SL_CALL_NONE)
		place->found.call = from->row.call;
	take_eof(merge, &place->found, socket);
	add_use(merge, place, socket);
	socket->next_in_place = place->sockets;
	place->sockets = socket;
	place->found.n_sockets++;
}

struct findings_place *judging_gather_places(struct findings *findings,
					     struct place *places, size_t *n)
{
	struct findings_place *gathered =
		findings_keep(findings, HASH_COUNT(places) * sizeof(*gathered));

	*n = 0;
	for (struct place *place = places; place; place = place->hh.next) {
		struct findings_socket *to =
			findings_keep(findings, place->found.n_sockets * sizeof(*to));

		place->found.sockets = to;
		for (struct joined *socket = place->sockets; socket;
		     socket = socket->next_in_place)
			*to++ = socket->found;
		gather_uses(findings, place);
		gathered[(*n)++] = place->found;
	}
	return gathered;
}
