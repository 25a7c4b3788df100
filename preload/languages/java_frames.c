/* The chain of frames, from where the thread left Java for the native code that it is in:
 * the JavaThread notes the place.  Four kinds of code stand there: the interpreter's,
 * that of a compiled method, stubs of the machine with a frame of a known size, and the
 * stub by which native code calls Java.  That keeps where the thread had left Java
 * before. */
#include "languages/codes.h"
#include "languages/java_internal.h"

#define MAX_STEPS             2000
#define MAX_STACK             (UINT64_C(64) << 20)
#define MAX_FRAME             (UINT64_C(1) << 20) /* bytes */
#define INTERPRETED_METHOD    24u /* below the frame pointer; not in the tables */
#define INTERPRETED_INDEX     64u
#define INTERPRETED_CALLER_SP 8u

static const struct java_layout *const layout = &java_layout;

/* May be the place of a frame: above those that were. */
static bool is_place(const struct java_walk *walk, uint64_t at)
{
	return at % 8 == 0 && at > walk->below && at < walk->base - 16;
}

static enum walk_verdict step_interpreted(struct java_walk *walk,
					  struct java_frame *frame)
{
	uint64_t fp = frame->fp;

	if (!is_place(walk, fp) || fp < frame->sp || fp - frame->sp > MAX_FRAME)
		return WALK_WRONG;
	uint64_t method = java_word(walk, fp - INTERPRETED_METHOD);
	uint64_t at = java_word(walk, fp - INTERPRETED_INDEX);
	uint64_t code = at ? java_word(walk, method + (uint64_t)layout->method_const) +
					(uint64_t)layout->const_bytes
			   : 0;
	/* 0 in a native method. */
	enum walk_verdict verdict = java_method_show(walk, method, at - code);
	*frame = (struct java_frame){
		java_word(walk, fp - INTERPRETED_CALLER_SP),
		java_word(walk, fp + 8),
		java_word(walk, fp),
	};
	return verdict == WALK_SOUND && frame->sp <= fp ? WALK_WRONG : verdict;
}

/* Native code had called Java. */
static enum walk_verdict step_entry(struct java_walk *walk, struct java_frame *frame)
{
	uint64_t fp = frame->fp;

	if (!is_place(walk, fp))
		return WALK_WRONG;
	uint64_t wrapper = java_word(walk, fp + 8ull * (uint64_t)layout->call_wrapper);
	if (wrapper <= fp || !is_place(walk, wrapper))
		return WALK_WRONG;
	uint64_t anchor = wrapper + (uint64_t)layout->wrapper_anchor;
	*frame = (struct java_frame){
		java_word(walk, anchor + (uint64_t)layout->anchor_sp),
		java_word(walk, anchor + (uint64_t)layout->anchor_pc),
		java_word(walk, anchor + (uint64_t)layout->anchor_fp),
	};
	if (frame->sp)
		return frame->sp > wrapper ? WALK_SOUND : WALK_WRONG;
	walk->is_at_end = true;
	return frame->pc || frame->fp ? WALK_WRONG : WALK_SOUND;
}

/* Stubs whose frames are laid out otherwise, or that have none. */
static bool is_other_stub(struct java_walk *walk, uint64_t blob)
{
	static const char *const names[] = {"StubRoutines", "vtable",       "I2C",
					    "Interpreter",  "MethodHandle", "Upcall",
					    "upcall"};

	for (unsigned i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (java_blob_is(walk, blob, names[i]))
			return true;
	return false;
}

/* The rest of a virtual thread's stack lies in the heap, where the collector moves it. */
static enum walk_verdict end_in_heap(struct java_walk *walk)
{
	static const char text[] = "(the rest of a virtual thread's stack)";
	struct codes_print print = {{LANGUAGE_JAVA, 1, 0, 0}};

	walk->is_at_end = true;
	if (walk->n == walk->size)
		return WALK_SOUND;
	codes_mix(&print, text, sizeof(text));
	uint32_t identity = codes_add(codes_fingerprint(&print), LANGUAGE_JAVA, text, "");
	if (identity)
		walk->frames[walk->n++] = (struct language_frame){
			.language = LANGUAGE_JAVA, .identity = identity};
	return WALK_SOUND;
}

static enum walk_verdict step_code(struct java_walk *walk, struct java_frame *frame)
{
	uint64_t blob = java_blob(walk, frame->pc);
	enum walk_verdict verdict = WALK_SOUND;

	if (!blob)
		return WALK_WRONG;
	uint64_t bytes =
		8ull * java_number(walk, blob + (uint64_t)layout->blob_frame_size);
	if (!bytes && java_blob_is(walk, blob, "StubRoutines (cont"))
		return end_in_heap(walk);
	if (java_blob_is(walk, blob, "nmethod"))
		verdict = java_compiled_show(walk, blob, frame);
	else if (java_blob_is(walk, blob, "native nmethod"))
		verdict = java_method_show(
			walk, java_word(walk, blob + (uint64_t)layout->method_of), 0);
	else if (!java_blob_is_named(walk, blob))
		return WALK_WRONG;
	else if (is_other_stub(walk, blob))
		return WALK_UNSURE;
	if (verdict != WALK_SOUND || walk->is_at_end)
		return verdict;
	if (!bytes || bytes > MAX_FRAME || frame->sp + bytes > walk->base)
		return WALK_WRONG;
	uint64_t sp = frame->sp + bytes;
	*frame = (struct java_frame){sp, java_word(walk, sp - 8),
				     java_word(walk, sp - 16)};
	return WALK_SOUND;
}

static enum walk_verdict step_blob(struct java_walk *walk, struct java_frame *frame)
{
	bool was_direct = walk->is_direct;

	walk->has_code = true;
	walk->is_direct = was_direct && !walk->is_code_trial;
	enum walk_verdict verdict = step_code(walk, frame);
	walk->is_direct = was_direct;
	return verdict;
}

static enum walk_verdict step(struct java_walk *walk, struct java_frame *frame)
{
	uint64_t call_stub = java_word(walk, java_machine.call_stub_return);

	if (!is_place(walk, frame->sp))
		return WALK_WRONG;
	if (!frame->pc) /* it lies below */
		frame->pc = java_word(walk, frame->sp - 8);
	walk->below = frame->sp - 8;
	if (frame->pc < walk->code_low || frame->pc >= walk->code_high)
		return WALK_WRONG;
	if (frame->pc >= walk->stubs && frame->pc < walk->stubs_end)
		return step_interpreted(walk, frame);
	if (frame->pc == call_stub)
		return step_entry(walk, frame);
	return step_blob(walk, frame);
}

static enum walk_verdict find_stack(struct java_walk *walk, uint64_t thread)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	uint64_t base = java_word(walk, thread + (uint64_t)layout->thread_stack_base);
	uint64_t bytes = java_word(walk, thread + (uint64_t)layout->thread_stack_size);

	walk->base = base;
	walk->below = here;
	java_word(walk, base - 8);
	if (walk->has_failed || base % 8)
		return WALK_WRONG;
	/* Elsewhere is a handler on a stack of its own. */
	return here < base && here >= base - bytes && base - here <= MAX_STACK
		       ? WALK_SOUND
		       : WALK_UNSURE;
}

static void find_code(struct java_walk *walk)
{
	uint64_t queue = java_word(walk, java_machine.interpreter);

	walk->stubs = java_word(walk, queue + (uint64_t)layout->queue_stubs);
	walk->stubs_end =
		walk->stubs + java_number(walk, queue + (uint64_t)layout->queue_limit);
	walk->code_low = java_word(walk, java_machine.code_low);
	walk->code_high = java_word(walk, java_machine.code_high);
}

/* Within the machine itself there is no order in what is noted. */
static bool is_in_native_code(struct java_walk *walk, uint64_t thread)
{
	return java_number(walk, thread + (uint64_t)layout->thread_state) ==
		       (uint32_t)layout->in_native &&
	       !java_word(walk, thread + (uint64_t)layout->thread_vframes);
}

enum walk_verdict java_frames_collect(struct java_walk *walk, uint64_t thread)
{
	uint64_t anchor = thread + (uint64_t)layout->thread_anchor;
	enum walk_verdict verdict;

	if (!is_in_native_code(walk, thread))
		return WALK_UNSURE;
	struct java_frame frame = {
		java_word(walk, anchor + (uint64_t)layout->anchor_sp),
		java_word(walk, anchor + (uint64_t)layout->anchor_pc),
		java_word(walk, anchor + (uint64_t)layout->anchor_fp),
	};
	if (!frame.sp)
		return WALK_UNSURE; /* nothing of Java called this */
	verdict = find_stack(walk, thread);
	find_code(walk);
	for (unsigned i = 0; i < MAX_STEPS && verdict == WALK_SOUND && !walk->is_at_end;
	     i++) {
		java_make_room(walk);
		verdict = step(walk, &frame);
		if (walk->has_failed)
			verdict = WALK_WRONG;
		if (walk->n == walk->size && walk->has_own && !walk->is_trial)
			walk->is_at_end = true;
	}
	return verdict == WALK_SOUND && !walk->is_at_end ? WALK_UNSURE : verdict;
}
