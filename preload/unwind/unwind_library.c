/* See unwind_library.h. */
#include "unwind/unwind_library.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define TEXT(x)  #x
#define TEXT2(x) TEXT(x)
#define NAME(f)  TEXT2(UNW_OBJ(f))

struct unwind_library unwind_library;
static bool is_missing, is_noted;
static uint64_t noted_device, noted_inode;

AT_START static bool identify(uint64_t *device, uint64_t *inode)
{
	struct stat status;

	/* The kernel's layout is the C library's on both machines. */
	if (guard_sys(SYS_newfstatat, AT_FDCWD, LIBUNWIND_FILE, &status, 0) != 0)
		return false;
	*device = status.st_dev;
	*inode = status.st_ino;
	return true;
}

AT_START void unwind_library_note(void)
{
	is_noted = true;
	if (!identify(&noted_device, &noted_inode))
		noted_inode = 0;
}

static bool is_the_noted_file(void)
{
	uint64_t device, inode;

	return !is_noted || (noted_inode != 0 && identify(&device, &inode) &&
			     device == noted_device && inode == noted_inode);
}

static bool find_functions(void *handle)
{
	const struct {
		void *to;
		const char *name;
	} wanted[] = {
		{&unwind_library.create_addr_space, NAME(create_addr_space)},
		{&unwind_library.set_caching_policy, NAME(set_caching_policy)},
		{&unwind_library.flush_cache, NAME(flush_cache)},
		{&unwind_library.init_remote, NAME(init_remote)},
		{&unwind_library.step, NAME(step)},
		{&unwind_library.get_reg, NAME(get_reg)},
		{&unwind_library.search, NAME(dwarf_search_unwind_table)},
	};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		void *function = libc_own.dlsym(handle, wanted[i].name);
		if (!function)
			return false;
		memcpy(wanted[i].to, &function, sizeof(function));
	}
	return true;
}

AT_START bool unwind_library_load(void)
{
	if (unwind_library.is_loaded)
		return true;
	if (is_the_noted_file()) {
		void *handle = libc_own.dlopen(LIBUNWIND_FILE, RTLD_NOW | RTLD_LOCAL);
		unwind_library.is_loaded = handle && find_functions(handle);
		dlerror(); /* the host shall not find our failure */
	}
	is_missing = !unwind_library.is_loaded;
	return unwind_library.is_loaded;
}

const char *unwind_library_missing(void)
{
	if (!is_missing)
		return NULL;
	return LIBUNWIND_FILE;
}

bool unwind_library_enter(uint64_t *before)
{
	bool is_blocked = guard_block_signals(GUARD_ALL_SIGNALS, before);

	guard_is_in_libunwind = true;
	return is_blocked;
}

void unwind_library_leave(bool is_blocked, uint64_t before)
{
	guard_is_in_libunwind = false;
	if (is_blocked)
		guard_restore_signals(before);
}

void unwind_library_abandon(void)
{
	unwind_library.is_loaded = false;
}
