/* Where CPython keeps its frames and code objects: what was measured of each version, and
 * is compared with what the interpreter says of itself. */
#ifndef SOCKLEAK_PYTHON_LAYOUT_H
#define SOCKLEAK_PYTHON_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

/* Offsets in bytes; -1 = this version has no such field. */
struct python_layout {
	int minor;
	/* Of the thread state: */
	int thread_id;
	int frame;    /* the innermost frame; 3.11 and 3.12: a control frame ... */
	int in_frame; /* ... in which the innermost frame stands here */
	/* Of a frame: */
	int previous, code;
	int instruction; /* to 3.10 the number of one, later its address */
	int is_entry;    /* 3.11: a function of C called this one */
	int owner;       /* who owns it, see python.c */
	/* Of a code object: */
	int first_line, name, file, line_table;
	int code_bytes_object;  /* to 3.10 a bytes object; later the code is inside */
	int basic_bytes;        /* its size; there the code begins from 3.11 on */
	int n_code_units;       /* as PyVarObject's ob_size */
	int first_traceable;    /* the number of the first instruction of the function */
	unsigned char start[3]; /* what opcode that is; 0 = no more */
	/* Of a str: */
	int ascii_text, compact_text;
	/* Of _PyRuntime: */
	int main_thread; /* as pthread_self() said in the thread that began it */
};

extern struct python_layout python_layout;

/* What the runtime exports.  Functions that only read. */
struct python_runtime {
	void *(*thread_state)(void); /* of this thread; NULL = it has none */
	int (*is_finalizing)(void);
	int (*line_of_code)(void *code, int offset);
	int (*line_of_frame)(void *frame); /* to 3.10 */
	uint64_t code_type, str_type, bytes_type, frame_type, none, itself;
};

extern struct python_runtime python_runtime;

/* Fills in both from what this library exports, NULL = what all do; false = there is no
 * Python, or none that is known here. */
bool python_layout_find(void *library);
/* With what the interpreter says of itself. */
bool python_layout_agrees(void);

#endif
