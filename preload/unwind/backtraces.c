/* See backtraces.h. */
#include "unwind/backtraces.h"

#include "base/arena.h"
#include "base/sections.h"
#include "unwind/id_table.h"

#include <string.h>

#define MAX_WHOLE      65536 /* backtraces kept with all their frames */
#define N_FIRST_FRAMES 4

static struct id_table backtraces;
static uint32_t *by_content; /* the unwinding thread's: open addressing, ids, 0 = free */
static uint32_t by_content_size;

uint32_t backtraces_count(void)
{
	return id_table_count(&backtraces);
}

static struct origin_backtrace *by_id(uint32_t id)
{
	return id_table_get(&backtraces, id);
}

const struct origin_backtrace *backtraces_by_id(uint32_t id)
{
	return by_id(id);
}

void backtraces_describe_place(uint32_t id, uint32_t place)
{
	by_id(id)->place = place;
}

/* Before a hook can know the id. */
void backtraces_describe_note(uint32_t id, uint32_t without_note)
{
	by_id(id)->without_note = without_note;
	by_id(id)->has_note = true;
}

static uint64_t hash_of(const uint64_t *frames, unsigned n, bool is_short)
{
	uint64_t hash = n * 2 + is_short;

	for (unsigned i = 0; i < n; i++) {
		hash = (hash ^ frames[i]) * UINT64_C(0x9e3779b97f4a7c15);
		hash ^= hash >> 29;
	}
	return hash;
}

/* The slot of by_content in which the id of this content is, or is to be put. */
static uint32_t *slot_of(const uint64_t *frames, unsigned n, bool is_short)
{
	uint32_t at = (uint32_t)hash_of(frames, n, is_short) & (by_content_size - 1);

	for (; by_content[at]; at = (at + 1) & (by_content_size - 1)) {
		const struct origin_backtrace *known = backtraces_by_id(by_content[at]);
		if (known->n_frames == n && known->is_short == is_short &&
		    memcmp(known->frames, frames, n * sizeof(*frames)) == 0)
			break;
	}
	return &by_content[at];
}

/* The table is kept at most half full. */
static bool make_room(void)
{
	uint32_t *old = by_content, old_size = by_content_size;

	if (by_content && backtraces.n < old_size / 2)
		return true;
	uint32_t size = old_size ? old_size * 2 : 1024;
	while (size / 2 <= backtraces.n)
		size *= 2;
	uint32_t *larger = arena_map(size * sizeof(*larger));
	if (!larger)
		return false;
	by_content = larger;
	by_content_size = size;
	for (uint32_t id = 1; id <= backtraces.n; id++) {
		const struct origin_backtrace *known = backtraces_by_id(id);
		*slot_of(known->frames, known->n_frames, known->is_short) = id;
	}
	arena_unmap(old, old_size * sizeof(*old));
	return true;
}

static uint32_t publish(const uint64_t *frames, unsigned n, bool is_short)
{
	struct origin_backtrace *new =
		id_table_next(&backtraces)
			? arena_take(sizeof(*new) + n * sizeof(*frames))
			: NULL;

	if (!new)
		return 0;
	new->id = backtraces.n + 1;
	new->n_frames = (uint16_t)n;
	new->is_short = is_short;
	memcpy(new->frames, frames, n * sizeof(*frames));
	return id_table_add(&backtraces, new);
}

uint32_t backtraces_intern(const uint64_t *frames, unsigned n, bool is_short)
{
	if (!make_room())
		return 0;
	uint32_t *slot = slot_of(frames, n, is_short);
	if (*slot == 0 && backtraces.n >= MAX_WHOLE && n > N_FIRST_FRAMES)
		return backtraces_intern(frames, N_FIRST_FRAMES, true);
	if (*slot == 0)
		*slot = publish(frames, n, is_short);
	return *slot;
}

void backtraces_forget_index(void)
{
	by_content = NULL;
	by_content_size = 0;
}
