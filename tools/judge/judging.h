/* What the files of judge/ share.  For them alone. */
#ifndef SOCKLEAK_JUDGING_H
#define SOCKLEAK_JUDGING_H

#include "link/linked.h"

/* sockets.c */

/* Judges the rows of a socket; those of a program that became another one say only what
 * the later program's do not. */
void judging_rows(const struct merge *merge, struct joined *socket);
/* Then fills socket->found; false = nothing to report of it. */
bool judging_find_socket(struct merge *merge, struct joined *socket);
/* After the two above: whether the row is of a holder of the socket, or of a leak that
 * was closed after all. */
bool judging_is_found_by(const struct merge *merge, const struct joined *socket,
			 const struct row *row);

/* places.c */

struct place_key {
	char id[TEXT_ID_BYTES];
	/* Of places without frames, which the id does not tell apart. */
	uint8_t origin_kind;
	bool origin_is_pending;
	uint16_t call;
};

struct place_use { /* where some of its sockets were last used */
	struct place_use_key {
		char id[TEXT_ID_BYTES]; /* of its backtrace, as that of a place */
		uint8_t is_sent;
		uint16_t call;
	} key;
	const struct backtrace *backtrace; /* of one of them; NULL = not known */
	uint32_t number;                   /* from 1 */
	UT_hash_handle hh;
};

struct place {
	struct place_key key;
	struct findings_place found;
	struct joined *sockets;
	struct place_use *uses; /* in the order of their numbers */
	UT_hash_handle hh;
};

struct places {
	struct place *leaks, *pending, *late;
};

/* A socket that was found joins the others of its place. */
void judging_add_to_place(struct merge *merge, struct places *places,
			  struct joined *socket);
/* The places as findings have them. */
struct findings_place *judging_gather_places(struct findings *findings,
					     struct place *places, size_t *n);

#endif
