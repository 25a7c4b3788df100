/* See frame_names.h. */
#include "report/frame_names.h"

#include "base/arena.h"
#include "base/guard.h"
#include "common/ledger.h"
#include "unwind/elf_symbols.h"
#include "unwind/origin.h"

#include <stdbool.h>
#include <string.h>

#define N_SLOTS    16384 /* a power of two */
#define MAX_KNOWN  8192  /* half of them: then all are forgotten */
#define MAX_WANTED 1024  /* looked up at a time: 400 KiB, for as long as that takes */
#define TEXT_BYTES (MAX_KNOWN * (size_t)TEXT_NAME_BYTES) /* touched as needed */

struct name {
	uint64_t frame; /* 0 = free */
	uint64_t distance;
	const char *text; /* NULL = the frame has no name, or is wanted */
};

static struct name *names; /* by open addressing */
static unsigned n_known;
static char *texts;
static size_t texts_used;
static uint64_t *wanted; /* frames without a name yet */
static unsigned n_wanted;

static struct name *slot_of(uint64_t frame)
{
	uint64_t at = (frame * UINT64_C(0x9e3779b97f4a7c15)) >> 32;

	while (names[at % N_SLOTS].frame && names[at % N_SLOTS].frame != frame)
		at++;
	return &names[at % N_SLOTS];
}

static void forget_all(void)
{
	arena_unmap(names, N_SLOTS * sizeof(*names));
	arena_unmap(texts, TEXT_BYTES);
	arena_unmap(wanted, MAX_WANTED * sizeof(*wanted));
	frame_names_fork_child();
}

void frame_names_begin(void)
{
	if (n_known + 2 * SL_MAX_FRAMES > MAX_KNOWN)
		forget_all();
	if (!names)
		names = arena_map(N_SLOTS * sizeof(*names));
	if (!texts)
		texts = arena_map(TEXT_BYTES);
	if (!wanted)
		wanted = arena_map(MAX_WANTED * sizeof(*wanted));
}

static void want(uint64_t frame)
{
	struct name *name = slot_of(frame);

	if (name->frame || !SL_FRAME_MODULE(frame) ||
	    SL_FRAME_MODULE(frame) == SL_FRAME_LANGUAGE)
		return;
	if (n_wanted == MAX_WANTED)
		frame_names_look_up();
	name->frame = frame;
	wanted[n_wanted++] = frame;
	n_known++;
}

void frame_names_want(uint32_t origin)
{
	const struct origin_backtrace *trace =
		origin & ORIGIN_PENDING_BIT ? NULL : origin_backtrace(origin);

	if (!trace || guard_is_sandboxed || !names || !texts || !wanted)
		return;
	for (unsigned i = 0; i < trace->n_frames && n_known < MAX_KNOWN; i++)
		want(trace->frames[i]);
}

/* Frames in ascending order are those of one module after the other. */
static void sort(uint64_t *frames, unsigned n)
{
	for (unsigned gap = n / 2; gap; gap /= 2)
		for (unsigned i = gap; i < n; i++) {
			uint64_t one = frames[i];
			unsigned at = i;

			for (; at >= gap && frames[at - gap] > one; at -= gap)
				frames[at] = frames[at - gap];
			frames[at] = one;
		}
}

static void keep(uint64_t frame, const struct elf_symbol *symbol)
{
	size_t bytes = strlen(symbol->name) + 1;
	struct name *name = slot_of(frame);

	if (!symbol->is_found)
		return;
	name->text = memcpy(texts + texts_used, symbol->name, bytes);
	name->distance = symbol->distance;
	texts_used += bytes;
}

static void look_up_module(const uint64_t *frames, unsigned n, struct elf_symbol *symbols)
{
	const struct origin_module *module = origin_module(SL_FRAME_MODULE(*frames));

	if (!module)
		return;
	memset(symbols, 0, n * sizeof(*symbols));
	for (unsigned i = 0; i < n; i++)
		symbols[i].offset = SL_FRAME_OFFSET(frames[i]);
	elf_symbols_find(module->path, module->build_id, module->build_id_bytes, symbols,
			 n);
	for (unsigned i = 0; i < n; i++)
		keep(frames[i], &symbols[i]);
}

void frame_names_look_up(void)
{
	size_t bytes = n_wanted * sizeof(struct elf_symbol);
	struct elf_symbol *symbols = n_wanted ? arena_map(bytes) : NULL;
	unsigned n;

	/* Without memory the frames have no names. */
	if (symbols)
		sort(wanted, n_wanted);
	for (unsigned i = 0; symbols && i < n_wanted; i += n) {
		n = 1;
		while (i + n < n_wanted &&
		       SL_FRAME_MODULE(wanted[i + n]) == SL_FRAME_MODULE(wanted[i]))
			n++;
		look_up_module(&wanted[i], n, symbols);
	}
	n_wanted = 0;
	arena_unmap(symbols, bytes);
}

const char *frame_names_get(uint64_t frame, uint64_t *distance)
{
	const struct name *name = names ? slot_of(frame) : NULL;

	if (!name || !name->frame)
		return NULL;
	*distance = name->distance;
	return name->text;
}

void frame_names_fork_child(void)
{
	names = NULL;
	texts = NULL;
	wanted = NULL;
	n_known = n_wanted = 0;
	texts_used = 0;
}
