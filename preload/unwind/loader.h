/* Whether the loader may be asked without waiting for a thread of the host. */
#ifndef SOCKLEAK_LOADER_H
#define SOCKLEAK_LOADER_H

#include <stdbool.h>
#include <stdint.h>

/* Once, by the constructor, before the host has a second thread. */
void loader_start(void);

/* Its locks were found: nothing below waits. */
bool loader_is_known(void);

/* The loader's list is the caller's to walk until loader_give_back(); false: another
 * thread has it.  Where its lock is not known: true, and walking may wait. */
bool loader_take(void);
void loader_give_back(void);

/* The same for dlopen, until loader_give_back_loaded(). */
bool loader_take_to_load(void);
void loader_give_back_loaded(void);

/* In a child of clone by number, which runs no handlers: the list as the parent's
 * `thread` walked it is free; it is gone, and the host is to load what it needs. */
void loader_fork_child(uint32_t thread);

#endif
