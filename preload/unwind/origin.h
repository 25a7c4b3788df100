/* Where a call came from.  A hook captures: it either recognises a backtrace that was
 * unwound before, or copies registers and stack for later.  The unwinding thread (whoever
 * owns the scan lock and calls origin_work()) unwinds the copies with libunwind's remote
 * interface, interns the backtraces and remembers which words the unwinder read.
 *
 * An origin is a 32-bit word: 0 = none; with ORIGIN_PENDING_BIT a copy not unwound yet;
 * else the id of a backtrace, from 1. */
#ifndef SOCKLEAK_ORIGIN_H
#define SOCKLEAK_ORIGIN_H

#include "languages/languages.h"
#include "unwind/backtrace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Called by the constructor, once, before any other function here.  `n_frames`: 1 to 128.
 * With `load_now` libunwind is loaded here; without, the file that would be is noted
 * (path, device, inode) and the first origin_work() loads just that one, and allocates.
 * Without libunwind the copies are followed by frame pointer and marked short. */
void origin_start(unsigned n_frames, bool load_now);

/* What was loaded by origin_start() takes its memory of malloc: before the first
 * origin_work(), by a thread that is not on top of a signal handler, while no other
 * thread is here.  Not at the start: clearing it costs a program that never connects 2 %
 * of that. */
void origin_allocate(void);

/* Called with the first socket, before the host may change its root: keeps the path of
 * the program.  Any thread, any signal. */
void origin_find_program(void);

/* In a hook, called from the hook itself or from a function that it called, all with
 * frame pointers: the origin of the caller of the hook.  Never blocks, allocates from
 * malloc, or touches errno; needs less than 512 bytes of stack, in a program of Python,
 * Ruby or Java less than 3 KiB.  0 if nothing could be had (counted in origin_lost()). */
uint32_t origin_capture(void);
/* The same of one of many calls, of which the last counts: what is not recognised is not
 * copied where many wait. */
uint32_t origin_capture_use(void);

/* True while copies wait for origin_work(): one load. */
bool origin_has_work(void);

/* From now on libunwind is not loaded any more if it was not: this may be the end, on top
 * of a handler that interrupted malloc or the loader. */
void origin_load_no_more(void);

/* Unwinds what waits.  One thread at a time (the owner of the scan lock); not from a
 * hook. Returns how many were done.  While another thread holds the loader's list nothing
 * is: it is waited for 100 ms at most, and what waits stays. */
unsigned origin_work(void);
/* The last work was ended by that. */
bool origin_is_held_up(void);

/* At the end of the process: what cannot be unwound in time is followed by its frame
 * pointers through the modules as they were last known, and marked short. */
void origin_finish(void);

/* What `origin` has become: the id of its backtrace once it was unwound, itself while it
 * waits, 0 if its copy was lost.  Slots of copies are reused with a new generation, and a
 * word of an old generation says 0: never a wrong place.  One load or two. */
uint32_t origin_resolve(uint32_t origin);

/* The end of a sweep: since the last such call the unwinding thread has resolved every word
 * that is kept anywhere.  Slots that were unwound before that call may now be reused. */
void origin_end_sweep(void);

/* In a call of the program's, not in a signal handler: the origin with these frames, which
 * the program handed over, before its own, in the place of earlier ones; `n` 0 = without.
 */
uint32_t origin_with_note(uint32_t origin, const struct language_frame frames[],
			  unsigned n);

/* What leaks are grouped by: the first origin with the same frames, but for those inside
 * an interpreter.  Of what waits itself.  By the caller of origin_work(). */
uint32_t origin_place(uint32_t origin);

/* By id; NULL if there is no such id.  The memory stays for ever. */
const struct origin_backtrace *origin_backtrace(uint32_t id);
uint32_t origin_n_backtraces(void); /* ids run from 1 to this */
const struct origin_module *origin_module(uint32_t id);
uint32_t origin_n_modules(void);
const struct origin_line *origin_line(uint32_t id);
uint32_t origin_n_lines(void);

/* The path of libunwind where it could not be loaded, else NULL. */
const char *origin_missing(void);
uint64_t origin_lost(void); /* captures that came to nothing */

/* Around fork: prepare waits, at most 100 ms, until no thread is inside libunwind or the
 * loader on our behalf; child keeps the copies that waited; where a
 * thread was inside when the process was copied it forgets them, and never calls
 * libunwind again. */
void origin_fork_prepare(void);
void origin_fork_parent(void);
void origin_fork_child(void);

#endif
