/* libunwind: loaded, never linked, from the path that the library was built for.  One
 * thread at a time, but for unwind_library_note(). */
#ifndef SOCKLEAK_UNWIND_LIBRARY_H
#define SOCKLEAK_UNWIND_LIBRARY_H

#include <libunwind.h>
#include <stdbool.h>
#include <stdint.h>

/* What of it is called; all there once it is loaded. */
struct unwind_library {
	bool is_loaded;
	unw_addr_space_t (*create_addr_space)(unw_accessors_t *, int);
	int (*set_caching_policy)(unw_addr_space_t, unw_caching_policy_t);
	void (*flush_cache)(unw_addr_space_t, unw_word_t, unw_word_t);
	int (*init_remote)(unw_cursor_t *, unw_addr_space_t, void *);
	int (*step)(unw_cursor_t *);
	int (*get_reg)(unw_cursor_t *, int, unw_word_t *);
	int (*search)(unw_addr_space_t, unw_word_t, unw_dyn_info_t *, unw_proc_info_t *,
		      int, void *);
};
extern struct unwind_library unwind_library;

/* Loads it.  Where it was noted before, only that very file. */
bool unwind_library_load(void);
/* Its path where it could not be loaded, else NULL. */
const char *unwind_library_missing(void);
/* Notes path, device and inode for a later unwind_library_load(). */
void unwind_library_note(void);
/* It is never called again: its locks may be taken for ever. */
void unwind_library_abandon(void);

/* Around every call of it: our own exports answer its pipe2 and mincore meanwhile.  All
 * signals are blocked, for in a handler of the host's, and after one that jumped out of
 * it, the host's calls would be answered, too.  leave() takes what enter() returned. */
bool unwind_library_enter(uint64_t *before);
void unwind_library_leave(bool is_blocked, uint64_t before);

#endif
