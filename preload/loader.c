/* dl_iterate_phdr holds a lock of the loader's while its callback runs: a thread of the
 * host's that sits in one for ever would hold whoever asks next for ever.  Nothing tells
 * whether that lock is free, and waiting for it has no limit.  But in a callback of our
 * own we hold it: the one recursive mutex among the loader's variables that this thread
 * owns, once, is the lock.  From then on it is looked at, and never written. */
#include "loader.h"

#include "guard.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#ifdef __GLIBC__
static const pthread_mutex_t *lock; /* NULL = not known */

static bool is_held_by(const pthread_mutex_t *mutex, int thread)
{
	return mutex->__data.__lock != 0 && mutex->__data.__owner == thread &&
	       mutex->__data.__count == 1 && mutex->__data.__nusers == 1 &&
	       mutex->__data.__kind == PTHREAD_MUTEX_RECURSIVE;
}

/* Of the variables between these addresses; NULL too where it is not the only one.  A
 * constructor of ours runs in the first thread, whose number is the process's. */
static const pthread_mutex_t *find_held(uintptr_t from, uintptr_t end)
{
	const pthread_mutex_t *found = NULL;

	for (from = (from + 7) & ~(uintptr_t)7; from + sizeof(pthread_mutex_t) <= end;
	     from += 8)
		if (is_held_by((const pthread_mutex_t *)from, guard_pid)) {
			if (found)
				return NULL;
			found = (const pthread_mutex_t *)from;
		}
	return found;
}

static int find_lock(struct dl_phdr_info *first, size_t bytes, void *argument)
{
	const pthread_mutex_t **found = argument;
	uintptr_t base = getauxval(AT_BASE); /* 0: the loader was itself the program */
	const ElfW(Ehdr) *file = (const void *)base;

	(void)first, (void)bytes;
	if (!base || memcmp(file->e_ident, ELFMAG, SELFMAG) != 0)
		return 1;
	const ElfW(Phdr) *headers = (const void *)(base + file->e_phoff);
	for (unsigned i = 0; i < file->e_phnum; i++)
		if (headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_W))
			*found =
				find_held(base + headers[i].p_vaddr,
					  base + headers[i].p_vaddr + headers[i].p_memsz);
	return 1;
}

void loader_start(void)
{
	const pthread_mutex_t *found = NULL;

	dl_iterate_phdr(find_lock, &found);
	/* What we do not hold any more we held by that call. */
	if (found && found->__data.__lock == 0)
		lock = found;
}

bool loader_is_free(void)
{
	if (!lock || __atomic_load_n(&lock->__data.__lock, __ATOMIC_RELAXED) == 0)
		return true;
	/* Whoever holds it may take it once more. */
	return __atomic_load_n(&lock->__data.__owner, __ATOMIC_RELAXED) ==
	       (int)guard_sys(SYS_gettid);
}
#else
void loader_start(void)
{
}

bool loader_is_free(void)
{
	return true;
}
#endif
