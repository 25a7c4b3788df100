/* The chain of frames. */
#include "languages/python_internal.h"

#include <pthread.h>

#define STATE_BYTES      192u /* of a thread state: all that is read */
#define CONTROL_BYTES    24u
#define CONTROL_PREVIOUS 16 /* 3.11 */
#define NEW_FRAME_BYTES  72u
#define MAX_PAGES        24 /* generators lie scattered, and there is no room for all */
#define STATE_MAX_BYTES  4096u

static const struct python_layout *const layout = &python_layout;
static const struct python_runtime *const runtime = &python_runtime;

static bool has_control_frames(void)
{
	return layout->in_frame >= 0;
}

/* From 3.11 on frames lie one above the other, most often: the next walk will find there
 * those that are called then. */
const char *python_frames_at(struct reader *reader, uint64_t frame)
{
	if (!python_has_new_frames())
		return python_typed_at(reader, frame, PYTHON_OLD_FRAME_BYTES,
				       runtime->frame_type);
	if (reader->n_pieces < MAX_PAGES)
		reader_want_pages(reader, frame, NEW_FRAME_BYTES);
	return python_object_at(reader, frame, NEW_FRAME_BYTES);
}

/* Notes one frame of the chain.  The number of an instruction counts bytes to 3.9, units
 * in 3.10; -1 = the first was not reached yet. */
static enum walk_verdict take_step(struct python_walk *walk, uint64_t frame,
				   uint64_t *previous)
{
	const char *head = python_frames_at(&walk->reader, frame);
	struct python_step *step = &walk->steps[walk->n_steps++];

	if (!head)
		return WALK_WRONG;
	*step = (struct python_step){.frame = frame,
				     .code = reader_word(head, layout->code)};
	*previous = reader_word(head, layout->previous);
	if (!python_has_new_frames()) {
		step->offset = (int)reader_number(head, layout->instruction);
		if (layout->minor == 10 && step->offset > 0)
			step->offset *= 2;
		return WALK_SOUND;
	}
	unsigned owner = (unsigned char)head[layout->owner];
	unsigned is_entry =
		layout->is_entry < 0 ? 0 : (unsigned char)head[layout->is_entry];
	if (owner > (layout->minor == 11 ? OWNER_FRAME_OBJECT : OWNER_C_STACK) ||
	    is_entry > 1)
		return WALK_WRONG;
	step->owner = owner;
	step->instruction = reader_word(head, layout->instruction);
	step->is_left_out = owner == OWNER_C_STACK;
	walk->n_entries += is_entry || owner == OWNER_C_STACK;
	return layout->minor >= 13 && owner == OWNER_C_STACK &&
			       step->code != runtime->none
		       ? WALK_WRONG
		       : WALK_SOUND;
}

/* As many control frames as functions that C called: asked in trials.  Where coroutines
 * are switched by their stacks (greenlets) there are more. */
static enum walk_verdict count_control_frames(struct python_walk *walk, uint64_t state,
					      uint64_t control)
{
	unsigned n = 0;

	for (; control < state || control - state > 2ull * STATE_BYTES; n++) {
		const char *head =
			python_object_at(&walk->reader, control, CONTROL_BYTES);

		if (!head || n > PYTHON_MAX_STEPS)
			return WALK_WRONG;
		control = reader_word(head, CONTROL_PREVIOUS);
	}
	return n == walk->n_entries ? WALK_SOUND : WALK_UNSURE;
}

/* It lies on this thread's stack; the last one lies in the thread state. */
static const char *control_frame_at(struct python_walk *walk, uint64_t state,
				    uint64_t control)
{
	if (walk->goes_on_in_place && control - state >= STATE_MAX_BYTES)
		return runtime->is_finalizing() || !reader_may_be_address(control)
			       ? NULL
			       : (const char *)control;
	return python_object_at(&walk->reader, control, CONTROL_BYTES);
}

/* The chain ends with a frame that C called: in 3.11 it is marked, later a frame on the C
 * stack stands before it. */
static bool ends_well(const struct python_walk *walk, bool last_was_entry)
{
	return layout->minor <= 10 || walk->n_steps == 0 || last_was_entry;
}

enum walk_verdict python_frames_collect(struct python_walk *walk, uint64_t state)
{
	const char *head = python_object_at(&walk->reader, state, STATE_BYTES);
	uint64_t frame, control = 0;

	walk->n_steps = walk->n_entries = 0;
	if (!head)
		return WALK_WRONG;
	if (reader_word(head, layout->thread_id) != (uint64_t)pthread_self())
		return WALK_UNSURE;
	frame = reader_word(head, layout->frame);
	if (!python_has_new_frames() && !python_go_on_in_place(walk))
		return WALK_UNSURE;
	if (has_control_frames()) {
		control = frame;
		head = control_frame_at(walk, state, control);
		if (!head)
			return WALK_WRONG;
		frame = reader_word(head, layout->in_frame);
	}
	while (frame && walk->n_steps < PYTHON_MAX_STEPS) {
		unsigned n_before = walk->n_entries;
		enum walk_verdict verdict = take_step(walk, frame, &frame);

		if (verdict != WALK_SOUND)
			return verdict;
		if (!frame && !ends_well(walk, walk->n_entries > n_before))
			return WALK_WRONG;
	}
	return walk->is_trial && layout->minor == 11 && !frame
		       ? count_control_frames(walk, state, control)
		       : WALK_SOUND;
}
