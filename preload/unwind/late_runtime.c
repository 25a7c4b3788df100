/* A runtime is known by its library's name, which is in the loader's own memory: a host
 * that loads other libraries pays for no more than that.
 *
 * The library is kept by a handle of ours.  Captures call into it, and would find nothing
 * there when another thread unloads it meanwhile. */
#include "unwind/late_runtime.h"

#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"
#include "languages/languages.h"
#include "unwind/loader.h"
#include "unwind/module_headers.h"
#include "unwind/room.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define NEVER_SEARCHED UINT64_MAX
#define MAX_MET        64 /* what calls may be in no library that is known */

static bool (*may_allocate)(void);
static _Atomic uint32_t n_met;
static uint64_t n_loads = NEVER_SEARCHED; /* at the last search */

AT_START void late_runtime_start(bool (*ask)(void))
{
	may_allocate = ask;
}

struct search {
	uint64_t n_loads; /* at the search before */
	const char *found;
};

/* All objects of one walk say the same number of loads. */
static int visit(struct dl_phdr_info *object, size_t bytes, void *argument)
{
	struct search *search = argument;

	(void)bytes;
	n_loads = object->dlpi_adds;
	if (n_loads == search->n_loads)
		return 1;
	const char *name = module_headers_name(object);
	if (!name || !languages_is_runtime(name))
		return 0;
	search->found = name;
	return 1;
}

static void search_loaded(void)
{
	struct search search = {n_loads, NULL};
	void *library;

	libc_own.dl_iterate_phdr(visit, &search);
	if (!search.found)
		return;
	library = libc_own.dlopen(search.found, RTLD_LAZY | RTLD_NOLOAD);
	if (library)
		languages_take_runtime(library);
	dlerror(); /* the host shall not find our failure */
}

void late_runtime_search(void)
{
	if (!languages_may_come() || !loader_take_to_load())
		return;
	search_loaded();
	loader_give_back_loaded();
}

/* The code that called is being executed: its entry in the loader's list stays. */
static bool is_runtime(uint64_t address)
{
	struct imports_extent extent;
	const struct link_map *object;

	if (!&imports_extent_of || imports_extent_of((void *)address, &extent) != 0)
		return false;
	object = (const struct link_map *)extent.others[0];
	return object->l_name && languages_is_part_of_runtime(object->l_name);
}

/* Where the loader's locks are not known it would wait for them. */
void late_runtime_meet(uint64_t returns_to, void (*search)(void *nothing))
{
	uint64_t before;

	if (n_met >= MAX_MET || !is_runtime(returns_to) || !loader_is_known() ||
	    !may_allocate() || !guard_block_signals(GUARD_ALL_SIGNALS, &before))
		return;
	atomic_fetch_add_explicit(&n_met, 1, memory_order_relaxed);
	reentrancy_depth++;
	room_run(search, NULL);
	reentrancy_depth--;
	guard_restore_signals(before);
}
