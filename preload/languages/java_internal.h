/* What the files java*.c share: one walk of the frames. */
#ifndef SOCKLEAK_JAVA_INTERNAL_H
#define SOCKLEAK_JAVA_INTERNAL_H

#include "languages/java_layout.h"
#include "languages/languages.h"
#include "languages/reader.h"
#include "languages/walks.h"

#include <string.h>

/* Of a frame that has called: its stack pointer after that, where it goes on, and its
 * frame pointer, which of compiled code may be anything. */
struct java_frame {
	uint64_t sp, pc, fp;
};

struct java_walk {
	uint32_t is_taken;        /* atomic; see walks.h */
	bool is_trial, is_direct; /* see java.c */
	bool is_code_trial;       /* the same of the code cache */
	bool has_code;            /* a frame lies in it, but for the interpreter's */
	bool has_failed;          /* something could not be read */
	bool is_at_end;           /* of the chain, or of what is on the stack */
	unsigned n, size;         /* frames that were taken */
	bool has_own;             /* one of them is none of the JDK's */
	bool is_crowded;          /* some of the JDK's were left out */
	struct language_frame *frames;
	uint64_t below, base;      /* frames lie between them */
	uint64_t stubs, stubs_end; /* of the interpreter */
	uint64_t code_low, code_high;
	char function[LANGUAGE_FUNCTION_BYTES], file[LANGUAGE_FILE_BYTES];
	struct reader reader;
};

const void *java_copy_at(struct java_walk *walk, uint64_t address, uint32_t bytes);
/* NULL = it cannot be read; has_failed is set then.  Valid until java_make_room(). */
static inline const void *java_at(struct java_walk *walk, uint64_t address,
				  uint32_t bytes)
{
	return walk->is_direct && reader_may_be_address(address)
		       ? (const void *)address
		       : java_copy_at(walk, address, bytes);
}

/* Of what was read before, less may be kept than what is still needed. */
void java_make_room(struct java_walk *walk);

/* 0 where it cannot be read. */
static inline uint64_t java_word(struct java_walk *walk, uint64_t address)
{
	const void *at = java_at(walk, address, sizeof(uint64_t));
	uint64_t word = 0;

	if (at)
		memcpy(&word, at, sizeof(word));
	return word;
}

static inline uint32_t java_number(struct java_walk *walk, uint64_t address)
{
	const void *at = java_at(walk, address, sizeof(uint32_t));
	uint32_t number = 0;

	if (at)
		memcpy(&number, at, sizeof(number));
	return number;
}

static inline uint32_t java_half(struct java_walk *walk, uint64_t address)
{
	const void *at = java_at(walk, address, sizeof(uint16_t));
	uint16_t half = 0;

	if (at)
		memcpy(&half, at, sizeof(half));
	return half;
}

static inline uint32_t java_byte(struct java_walk *walk, uint64_t address)
{
	const unsigned char *at = java_at(walk, address, 1);

	return at ? *at : 0;
}

/* Noted when all that is read of it was read without a fault. */
bool java_is_proven(uint64_t what);
void java_note_proven(uint64_t what);

/* The JavaThread of the calling thread; 0 = it has none. */
uint64_t java_thread(struct java_walk *walk);
/* Follows the chain of frames. */
enum walk_verdict java_frames_collect(struct java_walk *walk, uint64_t thread);

/* The blob of the code cache that this address lies in, its `HeapBlock` in use; 0 = none.
 */
uint64_t java_blob(struct java_walk *walk, uint64_t pc);
bool java_blob_is(struct java_walk *walk, uint64_t blob, const char *name_begins);
/* The name is a text. */
bool java_blob_is_named(struct java_walk *walk, uint64_t blob);
/* Takes the frames of the methods that one frame of compiled code is in. */
enum walk_verdict java_compiled_show(struct java_walk *walk, uint64_t blob,
				     const struct java_frame *frame);

/* Takes the frame of a method that stands at this index of its bytecodes. */
enum walk_verdict java_method_show(struct java_walk *walk, uint64_t method,
				   uint64_t index);

/* HotSpot's own packed numbers: UNSIGNED5. */
struct java_stream {
	const unsigned char *at, *end;
	bool is_broken;
};
uint32_t java_unpack(struct java_stream *stream);

#endif
