/* The names of the functions that frames point into, found once each: by module and
 * offset, as frames in ledger.h are.
 *
 * Names are looked up only for what is to be printed or matched, and many at a time: the
 * symbol table of a module is read once for all of its frames that were asked for.  The
 * owner of the scan lock alone.  Memory is bounded (about 3 MiB): when it is used up all
 * names are forgotten and found again as needed. */
#ifndef SOCKLEAK_FRAME_NAMES_H
#define SOCKLEAK_FRAME_NAMES_H

#include <stdint.h>

/* Makes room for two backtraces: all names may be forgotten, and those that were given
 * before are not valid any more. */
void frame_names_begin(void);
/* The names of the frames of this backtrace will be needed.  What finds no room has no
 * names, nor has an origin that is not unwound yet. */
void frame_names_want(uint32_t origin);
/* Reads the symbol tables of the modules with frames that are wanted and not known yet.
 * It opens files: not for hooks. */
void frame_names_look_up(void);

/* The name of the function, and how far the frame is from its start.  NULL = it was not
 * looked up, or has none.  Valid until the next frame_names_begin(). */
const char *frame_names_get(uint64_t frame, uint64_t *distance);

/* In a child: nothing is known yet. */
void frame_names_fork_child(void);

#endif
