/* Where CRuby keeps its frames and the code they are in: what was measured of a version.
 */
#ifndef SOCKLEAK_RUBY_LAYOUT_H
#define SOCKLEAK_RUBY_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Offsets in bytes. */
struct ruby_layout {
	int minor; /* of Ruby 3 */
	/* Of the execution context of a thread or fiber: */
	int stack;       /* its lowest address */
	int stack_words; /* how many */
	int innermost;   /* the innermost frame; frames lie one above the other */
	/* Of a frame: */
	int pc;          /* the address of the instruction that follows */
	int iseq;        /* the code that it is in, a sequence of instructions */
	int environment; /* begins with flags */
	int frame_bytes;
	/* Of an iseq: */
	int body;
	/* Of its body: */
	int n_words; /* of the code */
	int code;
	int path, label; /* a String, or an Array that begins with one; a String */
	int lines; /* an array, one entry for each position where the line changes */
	int n_lines;
	int line_index; /* which entry belongs to a position */
	int line_bytes; /* of an entry, which begins with the line */
	/* Of a String: */
	int text_bytes, text, text_embedded;
};

extern struct ruby_layout ruby_layout;

/* What the runtime exports.  Functions that only read. */
struct ruby_runtime {
	long context; /* from the thread pointer to the address of this thread's context,
		       * which is NULL where Ruby does not know the thread */
	int (*has_lock)(void); /* this thread holds Ruby's lock (the GVL) */
	int (*is_collecting)(void);
	size_t (*n_collections)(void);
	int (*frames)(int start, int limit, uint64_t frames[], int lines[]);
	uint64_t (*path)(uint64_t iseq), (*label)(uint64_t iseq);
};

extern struct ruby_runtime ruby_runtime;

/* Fills in both; false = there is no Ruby, or none that is known here. */
bool ruby_layout_find(void);

#endif
