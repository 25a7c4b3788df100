/* Code that a program generates while it runs, which lies in no module: that of a
 * just-in-time compiler.  No unwind table describes it; a frame of it is believed only
 * where its frame pointer and what lies on the stack agree.  Used by the unwinding thread
 * (origin.h). */
#ifndef SOCKLEAK_GENERATED_CODE_H
#define SOCKLEAK_GENERATED_CODE_H

#include <stdbool.h>
#include <stdint.h>

/* What may be executed is asked for again, if that was some time ago.  false = it cannot
 * be asked for. */
bool generated_code_find(void);
/* This address is returned to, into generated code. */
bool generated_code_is_called(uint64_t address);

/* Where a frame goes on, and its registers there. */
struct generated_frame {
	uint64_t ip, sp, fp;
};

/* From the frame of generated code to that of its caller, in generated code or in a
 * module's.  false = what is there is not believed. */
struct capture;
bool generated_code_step(const struct capture *capture, struct generated_frame *frame);
/* The address to return to stands where the callee's frame ends. */
bool generated_code_returns_by(const struct capture *capture,
			       const struct generated_frame *frame);

#endif
