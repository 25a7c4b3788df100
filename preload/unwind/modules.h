/* Which module is where: the loader's list, read again when its counters have moved, with
 * ids that stay for ever.  Used by one thread at a time (the one in origin_work), except
 * for modules_by_id() and modules_count(). */
#ifndef SOCKLEAK_MODULES_H
#define SOCKLEAK_MODULES_H

#include "unwind/module_headers.h"

/* The main program's own path, asked for once: best before the host changes its root. */
void modules_find_program(void);

/* Runs `work` while the loader can unload nothing, with the table up to date.  false: the
 * loader would not let us, or no memory.  Not in a hook. */
bool modules_hold(void (*work)(void *argument), void *argument);

/* Inside `work`, or with the table as it was last read: */
struct module *modules_at(uint64_t address); /* NULL = outside all modules */
/* Inside `work` only: */
/* Reads a word of a segment.  What may be written is not looked at: its words read 0 if
 * `or_zero`.  false = no segment that can be read. */
bool modules_read(uint64_t address, bool or_zero, uint64_t *word);

/* Was `address` in a module that the last change took away? */
bool modules_left(uint64_t address);

/* Counts the readings of the loader's list that found a change; any thread. */
uint32_t module_list_version(void);

/* Its id, given when it is first asked for; 0 = none is left, or no memory. */
uint32_t modules_id(struct module *module);
const struct module *modules_by_id(uint32_t id);
uint32_t modules_count(void); /* ids run from 1 to this */
/* The module this code is in; NULL if that is the main program (a test). */
const struct module *modules_ours(void);

#endif
