/* The chain of frames: they lie at the upper end of the stack of a thread or fiber, which
 * is not the stack of C. */
#include "languages/ruby_internal.h"

#define CONTEXT_BYTES   24u
#define MAX_STACK_WORDS (UINT64_C(1) << 26)

/* Flags of a frame. */
#define KIND_MASK  UINT64_C(0x7fff0001)
#define KIND_DUMMY UINT64_C(0x79990001) /* at the bottom of a thread */
#define IS_OF_C    UINT64_C(0x80)

static const struct ruby_layout *const layout = &ruby_layout;

static bool is_kind(uint64_t flags)
{
	static const uint16_t kinds[] = {
		0x1111, /* a method */
		0x2222, /* a block */
		0x3333, /* the body of a class */
		0x4444, /* a file */
		0x5555, /* a function of C */
		0x6666, /* a block that is a function of C */
		0x7777, /* eval() */
		0x7888, /* what rescues or ensures */
		0x7999,
	};

	for (unsigned i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if ((flags & KIND_MASK) == ((uint64_t)kinds[i] << 16 | 1))
			return flags >> 32 == 0;
	return false;
}

static enum walk_verdict take_step(struct ruby_walk *walk, uint64_t frame)
{
	const char *head = ruby_kept_at(walk, frame, (uint32_t)layout->frame_bytes);
	uint64_t environment = head ? reader_word(head, layout->environment) : 0;
	const char *flags_at =
		environment % 8 ? NULL : ruby_kept_at(walk, environment, 8);
	uint64_t flags = flags_at ? reader_word(flags_at, 0) : 0;

	if (!head || !is_kind(flags))
		return WALK_WRONG;
	if (flags & IS_OF_C || !reader_word(head, layout->pc))
		return WALK_SOUND;
	walk->steps[walk->n_steps++] = (struct ruby_step){
		.iseq = reader_word(head, layout->iseq),
		.pc = reader_word(head, layout->pc),
		.is_left_out = (flags & KIND_MASK) == KIND_DUMMY,
	};
	return WALK_SOUND;
}

enum walk_verdict ruby_frames_collect(struct ruby_walk *walk, uint64_t context,
				      unsigned size)
{
	const char *head = ruby_kept_at(walk, context, CONTEXT_BYTES);
	uint64_t frame_bytes = (uint64_t)layout->frame_bytes;
	enum walk_verdict verdict = WALK_SOUND;

	walk->n_steps = 0;
	if (!head)
		return WALK_WRONG;
	uint64_t stack = reader_word(head, layout->stack);
	uint64_t words = reader_word(head, layout->stack_words);
	uint64_t frame = reader_word(head, layout->innermost), end = stack + words * 8;
	if (!frame || !stack)
		return WALK_UNSURE; /* a thread that begins or ends */
	if (stack % 8 || words > MAX_STACK_WORDS || frame < stack || frame > end ||
	    (end - frame) % frame_bytes)
		return WALK_WRONG;
	for (; frame < end && walk->n_steps < RUBY_MAX_STEPS && walk->n_steps <= size &&
	       verdict == WALK_SOUND;
	     frame += frame_bytes) {
		if (walk->is_trial)
			reader_want_pages(&walk->reader, frame, (uint32_t)frame_bytes);
		verdict = take_step(walk, frame);
	}
	return verdict;
}
