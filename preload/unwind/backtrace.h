/* What an origin stands for, as the files of this folder hand it to each other and to the
 * rooms above; the functions are in origin.h. */
#ifndef SOCKLEAK_BACKTRACE_H
#define SOCKLEAK_BACKTRACE_H

#include <stdbool.h>
#include <stdint.h>

#define ORIGIN_PENDING_BIT UINT32_C(0x80000000)

struct origin_backtrace {
	uint32_t id;
	uint16_t n_frames;
	bool is_short; /* could not be followed to its end */
	bool has_note;
	uint32_t
		without_note; /* with a note: the origin that it was added to; 0 = none */
	uint32_t place; /* the first that differs only inside an interpreter; 0 = none */
	uint64_t frames[]; /* as in ledger.h: module << 48 | offset; innermost first; none
			      of ours */
};

/* What a frame of SL_FRAME_LANGUAGE names. */
struct origin_line {
	uint8_t language;     /* enum sl_language */
	uint32_t line;        /* 0 = not known */
	const char *function; /* of a note: its text */
	const char *file;     /* "" = not known */
};

struct origin_module {
	uint32_t id;         /* from 1; 0 = no backtrace names it (yet) */
	uint64_t base, size; /* load bias; end of the highest segment, from the bias */
	uint8_t build_id[32];
	unsigned build_id_bytes; /* 0 = none */
	const char *path;
	bool is_gone; /* unloaded since */
};

#endif
