/* What the files ruby*.c share: one walk of the frames. */
#ifndef SOCKLEAK_RUBY_INTERNAL_H
#define SOCKLEAK_RUBY_INTERNAL_H

#include "languages/languages.h"
#include "languages/reader.h"
#include "languages/ruby_layout.h"
#include "languages/walks.h"

#include <string.h>

#define RUBY_MAX_PAGES 16
#define RUBY_MAX_STEPS 256 /* frames of Ruby code */

struct ruby_step {
	uint64_t iseq, pc;
	uint64_t path, label; /* what is shown of it, Strings */
	uint32_t line;
	bool is_left_out;
};

struct ruby_walk {
	uint32_t is_taken; /* atomic; see walks.h */
	unsigned n_steps;
	bool is_trial;
	bool has_lock; /* no object moves meanwhile */
	struct ruby_step steps[RUBY_MAX_STEPS];
	/* Of the walk before, while the collector works. */
	unsigned n_before;
	struct language_frame before[RUBY_MAX_STEPS];
	/* What Ruby says: frames of C are among them. */
	uint64_t said[2 * RUBY_MAX_STEPS];
	int lines_said[2 * RUBY_MAX_STEPS];
	char function[LANGUAGE_FUNCTION_BYTES], file[LANGUAGE_FILE_BYTES];
	struct reader reader;
};

/* Memory that is neither freed nor moved while the frames of this thread stand: in place,
 * but in trials.  NULL = it cannot be read. */
static inline const char *ruby_kept_at(struct ruby_walk *walk, uint64_t address,
				       uint32_t bytes)
{
	if (address % 4 || !reader_may_be_address(address))
		return NULL;
	return walk->is_trial ? reader_at(&walk->reader, address, bytes)
			      : (const char *)address;
}

/* An object of Ruby's heap.  The collector may move it, and protect its page meanwhile.
 */
static inline const char *ruby_object_at(struct ruby_walk *walk, uint64_t address,
					 uint32_t bytes)
{
	if (walk->reader.n_pieces < RUBY_MAX_PAGES)
		reader_want_pages(&walk->reader, address, bytes);
	return address % 8 ? NULL : reader_at(&walk->reader, address, bytes);
}

/* Notes the frames of Ruby code, innermost first, until `size` are to be shown. */
enum walk_verdict ruby_frames_collect(struct ruby_walk *walk, uint64_t context,
				      unsigned size);
/* Asks for what the next one will read, in two system calls. */
void ruby_code_want(struct ruby_walk *walk);
/* Looks at the code of a step, and finds its line. */
enum walk_verdict ruby_code_check(struct ruby_walk *walk, struct ruby_step *step);
enum walk_verdict ruby_code_show(struct ruby_walk *walk, const struct ruby_step *step,
				 struct language_frame *frame);

#endif
