/* Places at a glance: how many sockets and why, one of them, and the calls in the
 * program's own code that opened it and were told. */
#include "formats/text_internal.h"

#include "support/paths.h"

#include <stdlib.h>
#include <string.h>

/* Callers that are told once, where at least so many rows are the same. */
#define MIN_SAME_ROWS 3
/* With so many places before it a place is compared; more would take its square. */
#define MAX_COMPARED 100

/* --- the head --- */

void text_put_whys(struct text *text, const struct text_place *shown)
{
	const char *separator = "";

	for (unsigned i = 0; i < TEXT_N_WHYS; i++) {
		unsigned one = 1U << i;
		const char *call = text_call_name(shown->eof_call);

		if (!(shown->why & one))
			continue;
		text_string(text, separator);
		separator = ", ";
		if (one == SL_WHY_EOF_READ && call) {
			text_string(text, "told by ");
			text_string(text, call);
			text_string(text, "()");
		} else {
			text_string(text, text_why_words(one));
		}
	}
	if (shown->unread_bytes && shown->unread_bytes != TEXT_UNREAD_UNKNOWN) {
		bool is_behind = shown->why & SL_WHY_NEVER_READ;

		text_string(text, is_behind ? ", behind " : ", ");
		text_unsigned(text, shown->unread_bytes);
		text_string(text, shown->unread_bytes == 1 ? " byte" : " bytes");
		text_string(text, is_behind ? "" : " unread");
	}
}

/* "200 sockets left in CLOSE_WAIT, oldest 2.1s" */
void text_put_kind(struct text *text, const struct text_block *block)
{
	const struct text_place *shown = &block->shown;
	bool one = shown->n_sockets == 1;

	if (block->list == TEXT_LATE)
		text_string(text, " closed late");
	else if (block->list == TEXT_PENDING)
		text_string(text, " pending");
	else
		text_string(text, shown->kind == SL_KIND_DEAD
					  ? " held although the connection is dead"
					  : " left in CLOSE_WAIT");
	if (shown->is_elsewhere)
		text_string(text, one ? " by another process" : " by other processes");
	text_string(text, one ? " for " : ", oldest ");
	text_duration(text, shown->oldest_ms);
	if (block->list == TEXT_PENDING)
		text_string(text, shown->runs_on ? ", not yet a leak"
						 : ", held to the end of the program, "
						   "not counted");
	if (!shown->n_closed_by_end)
		return;
	text_string(text, ", ");
	if (shown->n_closed_by_end < shown->n_sockets) {
		text_unsigned(text, shown->n_closed_by_end);
		text_string(text, " of them ");
	}
	text_string(text, "closed only by the program's end");
}

static void put_head(struct text *text, const struct text_block *block)
{
	char buffer[64];
	struct text count = {.at = buffer, .size = sizeof(buffer) - 1};
	char reasons[512];
	struct text whys = {.at = reasons, .size = sizeof(reasons) - 1};
	size_t begin = text->used;

	if (block->number) {
		text_string(text, "[");
		text_unsigned(text, block->number);
		text_string(text, "] ");
	}
	text_unsigned(&count, block->shown.n_sockets);
	text_string(&count, block->shown.n_sockets == 1 ? " socket" : " sockets");
	buffer[count.used] = 0;
	text_colored(text, block->writing, block->color, buffer);
	text_put_kind(text, block);
	text_put_whys(&whys, &block->shown);
	reasons[whys.used] = 0;
	if (whys.used > 0) {
		size_t colors = block->writing->options->color
					? strlen(block->color) + strlen(PLAIN)
					: 0;
		size_t n = text_columns(text, begin) - colors + whys.used + 2;

		text_string(text, n > TEXT_MAX_COLUMNS ? ":\n    " : ": ");
		text_string(text, reasons);
	}
	text_string(text, "\n");
}

/* "client 127.0.0.1:57186 of 127.0.0.1:33457", "127.0.0.1:58950 to 127.0.0.1:33457" */
static void put_addresses(struct text *text, const struct text_place *shown)
{
	bool accepted = sl_call_accepts(shown->call);
	char local[64], peer[64] = "a peer not known";
	struct text at = {.at = local, .size = sizeof(local) - 1};
	struct text of = {.at = peer, .size = sizeof(peer) - 1};

	if (shown->family == 0) {
		text_string(text, "addresses not known");
		return;
	}
	text_address(&at, shown->family, shown->local, shown->local_port);
	local[at.used] = 0;
	if (shown->peer_port) {
		text_address(&of, shown->family, shown->peer, shown->peer_port);
		peer[of.used] = 0;
	}
	text_string(text, accepted ? "client " : "");
	text_string(text, accepted ? peer : local);
	text_string(text, accepted                      ? " of "
			  : shown->call == SL_CALL_NONE ? " and "
							: " to ");
	text_string(text, accepted ? local : peer);
}

/* "fd 4", "fd 4 of process 4711 (sleep)" */
static void put_descriptor(struct text *text, const struct text_place *shown)
{
	if (shown->is_elsewhere && !shown->holder_pid) {
		text_string(text, "of a process that may not be looked at");
		return;
	}
	text_string(text, "fd ");
	text_unsigned(text, (uint64_t)shown->fd);
	if (!shown->is_elsewhere)
		return;
	text_string(text, " of process ");
	text_unsigned(text, (uint64_t)shown->holder_pid);
	if (!shown->program)
		return;
	text_string(text, " (");
	text_escaped(text, shown->program);
	text_string(text, ")");
}

void text_put_example(struct text *text, const struct text_place *shown)
{
	text_string(text, shown->n_sockets > 1 ? "e.g. " : "");
	put_descriptor(text, shown);
	text_string(text, ", ");
	put_addresses(text, shown);
	if (shown->test) {
		text_string(text, ", test ");
		text_escaped(text, shown->test);
	}
}

static void put_block(struct text *text, const void *of)
{
	const struct text_block *block = of;

	put_head(text, block);
	text_string(text, "    ");
	text_put_example(text, &block->shown);
	text_string(text, "\n");
	text_put_origin(text, block);
	text_put_told(text, block);
	text_put_uses(text, block);
}

void format_put_short(struct text *text, const void *of)
{
	static const struct format_text_options plain;
	const struct format_short *wanted = of;
	struct writing writing = {.findings = wanted->findings, .options = &plain};
	struct text_block block = {
		.writing = &writing,
		.place = wanted->place,
		.shown = format_place(wanted->findings, wanted->place),
		.list = wanted->is_late ? TEXT_LATE : TEXT_LEAKS,
		.color = "",
	};
	size_t before;

	put_block(text, &block);
	before = text->used;
	text_string(text, "    in tests: ");
	size_t begin = text->used;
	format_put_tests(text, wanted->place);
	if (text->used == begin)
		text->used = before;
	else
		text_string(text, "\n");
}

/* --- all places --- */

/* A place before it, of the same list, that most callers are the same of. */
static void find_same(struct text_block *block, const struct findings_place *places,
		      size_t index)
{
	const struct findings_place *place = &places[index];
	unsigned best = 0;

	for (size_t i = 0; i < index && i < MAX_COMPARED; i++) {
		unsigned n = stack_common(place->origin, place->n_origin,
					  places[i].origin, places[i].n_origin);

		if (n <= best || n == place->n_origin)
			continue;
		best = n;
		block->same_as = block->number - index + i;
	}
	struct stack same =
		stack_fold(place->origin + place->n_origin - best, best, STACK_MAX_ROWS);
	if (same.n_rows >= MIN_SAME_ROWS)
		block->n_common = best;
	else
		block->same_as = 0;
}

/* What fits after the counts; below the working directory as a file of the source. */
static void print_program(const struct writing *writing, const char *exe, int used)
{
	char buffer[8192], shown[8192];
	struct text whole = {.at = buffer, .size = sizeof(buffer) - 1};
	struct text text = {.at = shown, .size = sizeof(shown)};

	text_escaped(&whole, exe + paths_below_working_directory(exe));
	text_put_end_of(&text, &whole,
			used < 60 ? TEXT_MAX_COLUMNS - 4 - (size_t)used : 36);
	fprintf(writing->file, " in %.*s", (int)text.used, shown);
}

static void print_title(const struct writing *writing)
{
	const struct findings *findings = writing->findings;
	uint64_t n = findings_n_leaked(findings);
	bool color = writing->options->color;
	int used = 0;

	if (!n)
		return;
	fputs(color ? RED : "", writing->file);
	if (findings->n_processes == 1)
		used = fprintf(writing->file, "==%u==", findings->processes[0].pid);
	else
		fprintf(writing->file, "==%zu processes==", findings->n_processes);
	used += fprintf(writing->file,
			"ERROR: sockleak: %llu socket%s leaked at %zu place%s",
			(unsigned long long)n, n == 1 ? "" : "s", findings->n_leaks,
			findings->n_leaks == 1 ? "" : "s");
	if (findings->n_processes == 1 && findings->processes[0].exe)
		print_program(writing, findings->processes[0].exe, used);
	fprintf(writing->file, "%s\n\n", color ? PLAIN : "");
}

void text_short(const struct writing *writing)
{
	size_t number = 0;

	print_title(writing);
	for (int list = 0; list < TEXT_N_LISTS; list++) {
		struct text_places places = text_places_of(writing->findings, list);

		for (size_t i = 0; i < places.n; i++) {
			struct text_block block = {
				.writing = writing,
				.place = &places.at[i],
				.shown = format_place(writing->findings, &places.at[i]),
				.list = list,
				.color = places.color,
				.number = number + i + 1,
			};
			size_t bytes;

			find_same(&block, places.at, i);
			char *at = format_block(put_block, &block, &bytes);
			fwrite(at, 1, bytes, writing->file);
			free(at);
			text_below(writing, &places.at[i], "    ");
			fputc('\n', writing->file);
		}
		number += places.n;
	}
}
