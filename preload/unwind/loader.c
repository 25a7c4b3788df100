/* dl_iterate_phdr holds a lock of the loader's while its callback runs: if a thread of
 * the host's stays in a callback for ever, the next caller waits for ever.  In a callback
 * of our own this thread holds the lock: it is the one recursive mutex among the loader's
 * variables that this thread owns, once.  Because it is recursive, a thread that has
 * taken it with trylock walks the list without waiting.
 *
 * dlopen takes it, too, and before it, for as long as constructors run, another, which
 * glibc keeps right in front of it.  They are tried in that order.
 *
 * What it is worth: without it, while a thread of the host's stays in a callback, the
 * report of the end says how many sockets leaked but not where they were opened, and a
 * program that has loaded its connections late never ends (tests/e2e/loader.bats). */
#include "unwind/loader.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>

static pthread_mutex_t *list_lock; /* NULL = not known */
static pthread_mutex_t *load_lock; /* NULL = not known */

#ifdef __GLIBC__
AT_START static bool is_held(const pthread_mutex_t *mutex)
{
	return mutex->__data.__lock != 0 && mutex->__data.__count == 1 &&
	       mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE;
}

/* Of the variables between these addresses; NULL too where it is not the only one.  A
 * constructor of ours runs in the first thread, whose number is the process's. */
AT_START static pthread_mutex_t *find_held(uintptr_t from, uintptr_t end)
{
	const struct {
		int owner;
		unsigned n_users;
	} held = {guard_pid, 1};
	const size_t at = offsetof(pthread_mutex_t, __data.__owner);
	pthread_mutex_t *found = NULL;

	from = (from + 7) & ~(uintptr_t)7;
	for (; from + sizeof(pthread_mutex_t) <= end; from += 8) {
		if (memcmp((const char *)from + at, &held, sizeof(held)) != 0 ||
		    !is_held((pthread_mutex_t *)from))
			continue;
		if (found)
			return NULL;
		found = (pthread_mutex_t *)from;
	}
	return found;
}

/* What may be written, without what no more may be once all is relocated. */
AT_START static pthread_mutex_t *find_held_in(const ElfW(Phdr) * segment,
					      const ElfW(Phdr) * relro, uintptr_t base)
{
	uintptr_t from = segment->p_vaddr, end = from + segment->p_memsz;

	if (relro && relro->p_vaddr == from && relro->p_memsz <= segment->p_memsz)
		from += relro->p_memsz;
	return find_held(base + from, base + end);
}

AT_START static int find_lock(struct dl_phdr_info *first, size_t bytes, void *argument)
{
	pthread_mutex_t **found = argument;
	uintptr_t base = getauxval(AT_BASE); /* 0: the loader was itself the program */
	const ElfW(Ehdr) *file = (const void *)base;
	const ElfW(Phdr) *written = NULL, *relro = NULL;

	(void)first, (void)bytes;
	if (!base || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0)
		return 1;
	const ElfW(Phdr) *headers = (const void *)(base + file->e_phoff);
	for (unsigned i = 0; i < file->e_phnum; i++)
		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W))
			written = &headers[i];
		else if (headers[i].p_type == PT_GNU_RELRO)
			relro = &headers[i];
	if (written)
		*found = find_held_in(written, relro, base);
	return 1;
}

/* Whether the mutex is as initialised, which nothing but such a lock is. */
AT_START static bool is_fresh(const pthread_mutex_t *mutex)
{
	static const pthread_mutex_t fresh = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

	return memcmp(mutex, &fresh, sizeof(fresh)) == 0;
}

AT_START void loader_start(void)
{
	pthread_mutex_t *found = NULL;

	libc_own.dl_iterate_phdr(find_lock, &found);
	/* What we do not hold any more we held by that call. */
	if (!found || found->__data.__lock != 0)
		return;
	list_lock = found;
	if (is_fresh(found - 1))
		load_lock = found - 1;
}

static bool is_held_by(const pthread_mutex_t *mutex, uint32_t thread)
{
	return mutex && mutex->__data.__lock != 0 &&
	       (uint32_t)mutex->__data.__owner == thread;
}

/* If the thread held both locks it was loading, and may have left the list in the middle
 * of a change: then the lock stays taken. */
void loader_fork_child(uint32_t thread)
{
	static const pthread_mutex_t fresh = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;

	if (is_held_by(list_lock, thread) && !is_held_by(load_lock, thread))
		memcpy(list_lock, &fresh, sizeof(fresh));
}
#else
void loader_start(void)
{
}

void loader_fork_child(uint32_t thread)
{
	(void)thread;
}
#endif

static bool take(pthread_mutex_t *mutex)
{
	return !mutex || pthread_mutex_trylock(mutex) == 0;
}

static void give_back(pthread_mutex_t *mutex)
{
	if (mutex)
		pthread_mutex_unlock(mutex);
}

bool loader_take(void)
{
	return take(list_lock);
}

void loader_give_back(void)
{
	give_back(list_lock);
}

bool loader_is_known(void)
{
	return list_lock && load_lock;
}

bool loader_take_to_load(void)
{
	if (!take(load_lock))
		return false;
	if (take(list_lock)) {
		/* Do not hold the list lock alone: a thread that loads has the other lock
		 * and waits for this one. */
		if (!load_lock)
			give_back(list_lock);
		return true;
	}
	give_back(load_lock);
	return false;
}

void loader_give_back_loaded(void)
{
	if (!load_lock)
		return;
	give_back(list_lock);
	give_back(load_lock);
}
