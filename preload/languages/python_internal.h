/* What the files python*.c share: one walk of the frames. */
#ifndef SOCKLEAK_PYTHON_INTERNAL_H
#define SOCKLEAK_PYTHON_INTERNAL_H

#include "languages/languages.h"
#include "languages/python_layout.h"
#include "languages/reader.h"
#include "languages/walks.h"

#include <string.h>

#define PYTHON_OLD_FRAME_BYTES 112u
#define PYTHON_CODE_BYTES      256u

enum python_owner { OWNER_THREAD, OWNER_GENERATOR, OWNER_FRAME_OBJECT, OWNER_C_STACK };

#define PYTHON_MAX_STEPS 256 /* frames of any kind */

struct python_step {
	uint64_t frame, code, instruction;
	const char *head; /* of the code object, as it can be read */
	int offset;       /* of the instruction, in bytes */
	enum python_owner owner;
	bool is_left_out;
};

struct python_walk {
	uint32_t is_taken; /* atomic; see walks.h */
	unsigned n_steps, n_entries;
	bool is_trial;
	bool goes_on_in_place; /* see python.c */
	struct python_step steps[PYTHON_MAX_STEPS];
	/* Copies, for the interpreter. */
	char code[PYTHON_CODE_BYTES], frame[PYTHON_OLD_FRAME_BYTES];
	char function[LANGUAGE_FUNCTION_BYTES], file[LANGUAGE_FILE_BYTES];
	struct reader reader;
};

/* false = the interpreter has begun to end: what was read may be anything. */
bool python_go_on_in_place(struct python_walk *walk);
/* Follows the chain of frames. */
enum walk_verdict python_frames_collect(struct python_walk *walk, uint64_t state);
/* NULL = it cannot be read, or is none. */
const char *python_frames_at(struct reader *reader, uint64_t frame);

/* Asks for all that the two below will read, in two system calls. */
void python_code_want(struct python_walk *walk);
/* Looks at the code object of a step, and finds where in it the step is. */
enum walk_verdict python_code_check(struct python_walk *walk, struct python_step *step);
enum walk_verdict python_code_show(struct python_walk *walk, struct python_step *step,
				   struct language_frame *frame);

static inline bool python_has_new_frames(void)
{
	return python_layout.minor >= 11;
}

static inline const char *python_object_at(struct reader *reader, uint64_t address,
					   uint32_t bytes)
{
	return address % 8 ? NULL : reader_at(reader, address, bytes);
}

#define PYTHON_TYPE_AT 8  /* of every object */
#define PYTHON_SIZE_AT 16 /* of every object with a size */

static inline const char *python_typed_at(struct reader *reader, uint64_t address,
					  uint32_t bytes, uint64_t type)
{
	const char *object = python_object_at(reader, address, bytes);

	return object && reader_word(object, PYTHON_TYPE_AT) == type ? object : NULL;
}

#endif
