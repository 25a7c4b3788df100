/* The code cache: up to eight heaps of blocks, which a map of segments leads to, and of
 * the blocks with compiled methods, which methods a return address is in. */
#include "languages/java_internal.h"

#define MAX_HEAPS   8
#define MAX_STEPS   4096 /* in the map */
#define MAP_FREE    0xffu
#define MAX_INLINED 200
#define SCOPE_BYTES 16u /* three packed numbers of five bytes at most */
#define MAX_NAME    64u

static const struct java_layout *const layout = &java_layout;

struct heap {
	uint64_t low, high, map, map_end;
	uint32_t shift;
};

/* The heap that holds this address. */
static bool find_heap(struct java_walk *walk, uint64_t pc, struct heap *heap)
{
	uint64_t list = java_word(walk, java_machine.heaps);
	uint64_t data = java_word(walk, list + (uint64_t)layout->array_data);
	uint32_t n = java_number(walk, list + (uint64_t)layout->array_length);

	for (uint32_t i = 0; i < n && n <= MAX_HEAPS; i++) {
		uint64_t at = java_word(walk, data + 8ull * i);
		uint64_t memory = at + (uint64_t)layout->heap_memory;
		uint64_t map = at + (uint64_t)layout->heap_segments;

		heap->low = java_word(walk, memory + (uint64_t)layout->space_low);
		heap->high = java_word(walk, memory + (uint64_t)layout->space_high);
		if (walk->has_failed || pc < heap->low || pc >= heap->high)
			continue;
		heap->map = java_word(walk, map + (uint64_t)layout->space_low);
		heap->map_end = java_word(walk, map + (uint64_t)layout->space_high);
		heap->shift = java_number(walk, at + (uint64_t)layout->heap_shift);
		return heap->low >= walk->code_low && heap->high <= walk->code_high &&
		       heap->shift >= 4 && heap->shift <= 16;
	}
	return false;
}

/* Each segment of a block says how many to go back, at most; its first says 0. */
static bool find_block(struct java_walk *walk, const struct heap *heap, uint64_t pc,
		       uint64_t *block)
{
	uint64_t index = (pc - heap->low) >> heap->shift;

	if (heap->map_end < heap->map || index >= heap->map_end - heap->map)
		return false;
	for (unsigned steps = 0; steps < MAX_STEPS; steps++) {
		uint32_t back = java_byte(walk, heap->map + index);

		if (walk->has_failed || back == MAP_FREE || back > index)
			return false;
		*block = heap->low + (index << heap->shift);
		if (!back)
			return true;
		index -= back;
	}
	return false;
}

uint64_t java_blob(struct java_walk *walk, uint64_t pc)
{
	struct heap heap;
	uint64_t block, blob, end;

	if (!find_heap(walk, pc, &heap) || !find_block(walk, &heap, pc, &block) ||
	    !java_byte(walk, block + (uint64_t)layout->block_used))
		return 0;
	blob = block + (uint64_t)layout->block_bytes;
	end = blob + java_number(walk, blob + (uint64_t)layout->blob_size);
	return !walk->has_failed && pc >= blob && pc < end && end <= heap.high ? blob : 0;
}

static const char *name_of(struct java_walk *walk, uint64_t blob, uint32_t bytes)
{
	uint64_t name = java_word(walk, blob + (uint64_t)layout->blob_name);

	return name >= java_machine.low && name + bytes <= java_machine.high
		       ? java_at(walk, name, bytes)
		       : NULL;
}

bool java_blob_is(struct java_walk *walk, uint64_t blob, const char *name_begins)
{
	uint32_t bytes = (uint32_t)strlen(name_begins);
	const char *name = name_of(walk, blob, bytes);

	return name && memcmp(name, name_begins, bytes) == 0;
}

bool java_blob_is_named(struct java_walk *walk, uint64_t blob)
{
	const char *name = name_of(walk, blob, MAX_NAME);

	for (unsigned i = 0; name && i < MAX_NAME; i++) {
		if (!name[i])
			return i >= 4;
		if (name[i] < ' ' || name[i] > '~')
			return false;
	}
	return false;
}

/* Of one compiled method: descriptions of return addresses, in ascending order; scopes,
 * which those name; the methods, which the scopes name. */
struct tables {
	uint64_t pcs, pcs_end, scopes, scopes_end, methods, n_methods;
	uint64_t code, code_end;
};

static uint64_t blob_number(struct java_walk *walk, uint64_t blob, int offset)
{
	return java_number(walk, blob + (uint64_t)offset);
}

/* From 23 on most of them lie outside the block. */
static bool find_new_tables(struct java_walk *walk, uint64_t blob, struct tables *tables)
{
	uint64_t at = java_word(walk, blob + (uint64_t)layout->immutable);
	uint64_t bytes = blob_number(walk, blob, layout->immutable_size);
	uint64_t pcs = blob_number(walk, blob, layout->pcs);
	uint64_t scopes = blob_number(walk, blob, layout->scopes);
	uint64_t mutable = java_word(walk, blob + (uint64_t)layout->blob_mutable);
	uint64_t mutable_bytes = blob_number(walk, blob, layout->blob_mutable_size);
	uint64_t before = blob_number(walk, blob, layout->blob_relocation_size);

	*tables = (struct tables){
		at + pcs,
		at + scopes,
		at + scopes,
		at + bytes,
		mutable + before,
		(mutable_bytes - before) / 8,
		blob + blob_number(walk, blob, layout->blob_code_offset),
		blob + blob_number(walk, blob, layout->blob_data_offset),
	};
	return pcs <= scopes && scopes <= bytes && before <= mutable_bytes;
}

static bool find_old_tables(struct java_walk *walk, uint64_t blob, struct tables *tables)
{
	uint64_t bytes = blob_number(walk, blob, layout->blob_size);
	uint64_t pcs = blob_number(walk, blob, layout->pcs);
	uint64_t end = blob_number(walk, blob, layout->dependencies);
	uint64_t methods = blob_number(walk, blob, layout->metadata);
	uint64_t scopes = java_word(walk, blob + (uint64_t)layout->scopes_begin);

	*tables = (struct tables){
		blob + pcs,
		blob + end,
		scopes,
		blob + pcs,
		blob + methods,
		(scopes - blob - methods) / 8,
		java_word(walk, blob + (uint64_t)layout->blob_code_begin),
		java_word(walk, blob + (uint64_t)layout->blob_code_end),
	};
	return pcs <= end && end <= bytes && methods <= pcs && scopes >= blob + methods &&
	       scopes <= blob + pcs;
}

/* Where a deoptimised frame goes on, instead of where it had called. */
static bool is_deoptimised(struct java_walk *walk, uint64_t blob, uint64_t pc)
{
	if (layout->deopt_begin != JAVA_ABSENT)
		return pc == java_word(walk, blob + (uint64_t)layout->deopt_begin) ||
		       pc == java_word(walk, blob + (uint64_t)layout->deopt_mh_begin);
	return pc == blob + blob_number(walk, blob, layout->deopt) ||
	       pc == blob + blob_number(walk, blob, layout->deopt_mh);
}

/* The scope of just this return address; 0 = it is none. */
static uint32_t find_scope(struct java_walk *walk, const struct tables *tables,
			   uint64_t pc)
{
	uint64_t bytes = (uint64_t)layout->pc_bytes, low = 0;
	uint64_t high = (tables->pcs_end - tables->pcs) / bytes;
	int wanted = (int)(pc - tables->code);

	while (low < high && !walk->has_failed) {
		uint64_t middle = low + (high - low) / 2;
		uint64_t at = tables->pcs + middle * bytes;
		int offset = (int)java_number(walk, at + (uint64_t)layout->pc_offset);

		if (offset == wanted)
			return java_number(walk, at + (uint64_t)layout->pc_scope);
		if (offset < wanted)
			low = middle + 1;
		else
			high = middle;
	}
	return 0;
}

struct scope {
	uint32_t caller; /* 0 = none: that of the compiled method itself */
	uint64_t method, index;
};

static bool read_scope(struct java_walk *walk, const struct tables *tables, uint32_t at,
		       struct scope *scope)
{
	uint64_t from = tables->scopes + at, left = tables->scopes_end - from;
	uint32_t bytes = left < SCOPE_BYTES ? (uint32_t)left : SCOPE_BYTES;
	const unsigned char *packed = java_at(walk, from, bytes);
	struct java_stream stream = {packed, packed ? packed + bytes : NULL, !packed};

	scope->caller = java_unpack(&stream);
	uint32_t method = java_unpack(&stream), index = java_unpack(&stream);
	if (stream.is_broken || method == 0 || method > tables->n_methods)
		return false;
	scope->method = java_word(walk, tables->methods + 8ull * (method - 1));
	scope->index = index ? index - 1 : 0; /* 0: before the first */
	return !walk->has_failed;
}

/* From the innermost, which was inlined last.  Those of callers stand before theirs. */
static enum walk_verdict show_scopes(struct java_walk *walk, const struct tables *tables,
				     uint32_t at, uint64_t outermost)
{
	uint64_t limit = tables->scopes_end - tables->scopes;

	for (unsigned depth = 0; depth < MAX_INLINED; depth++) {
		struct scope scope;

		if (at == 0 || at >= limit || !read_scope(walk, tables, at, &scope) ||
		    (!scope.caller && scope.method != outermost))
			return WALK_WRONG;
		enum walk_verdict verdict =
			java_method_show(walk, scope.method, scope.index);
		if (verdict != WALK_SOUND || !scope.caller)
			return verdict;
		limit = at;
		at = scope.caller;
	}
	return WALK_WRONG;
}

enum walk_verdict java_compiled_show(struct java_walk *walk, uint64_t blob,
				     const struct java_frame *frame)
{
	struct tables tables;
	uint64_t pc = frame->pc;

	if (is_deoptimised(walk, blob, pc)) {
		uint64_t slot = frame->sp + blob_number(walk, blob, layout->original_pc);

		if (slot >= walk->base)
			return WALK_WRONG;
		pc = java_word(walk, slot);
	}
	if (!(layout->immutable != JAVA_ABSENT ? find_new_tables(walk, blob, &tables)
					       : find_old_tables(walk, blob, &tables)) ||
	    walk->has_failed || pc < tables.code || pc >= tables.code_end)
		return WALK_WRONG;
	uint64_t known = (blob ^ tables.pcs << 16 ^ tables.methods << 40) +
			 blob_number(walk, blob, layout->compile_id);
	bool was_direct = walk->is_direct, is_proven = java_is_proven(known);
	walk->is_direct = was_direct && is_proven;
	uint32_t scope = find_scope(walk, &tables, pc);
	enum walk_verdict verdict =
		show_scopes(walk, &tables, scope,
			    java_word(walk, blob + (uint64_t)layout->method_of));
	walk->is_direct = was_direct;
	if (verdict == WALK_SOUND && !is_proven)
		java_note_proven(known);
	return verdict;
}
