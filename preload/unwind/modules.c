/* The loader's list is read inside dl_iterate_phdr, which keeps the loader from unloading
 * anything meanwhile.  Of the files themselves nothing is read in place: see pages.h. Its
 * first callback tells the counters of loads and unloads: as long as they stand still the
 * table is right, and the work is done in that very callback. Else the whole list is
 * read, and asked for again. */
#include "unwind/modules.h"

#include "base/arena.h"
#include "base/guard.h"
#include "base/imports.h"
#include "base/sections.h"
#include "base/unchecked.h"
#include "common/fnv.h"
#include "common/path.h"
#include "unwind/id_table.h"
#include "unwind/module_ranges.h"
#include "unwind/pages.h"

#include <fcntl.h>
#include <link.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

/* A frame keeps 16 bits of an id; 0 = outside, all = a language's. */
#define MAX_IDS      (UINT16_MAX - 1)
#define N_BUCKETS    4096
#define MAX_READINGS 8 /* the list may change between reading it and the work */

struct segment {
	struct module_segment at;
	struct module *module;
};

static struct id_table named;
static struct module *present;                        /* those of the last reading */
static uint32_t n_readings;                           /* atomic */
ARENA_TABLE static struct module *buckets[N_BUCKETS]; /* by base and name */
static struct module *ours;

/* Which ranges the last change took away; past MAX_LEFT: any. */
#define MAX_LEFT 32
ARENA_TABLE static struct {
	uint64_t start, end;
} left[MAX_LEFT];
static unsigned n_left;
ARENA_TABLE static char program_path[4096];
static _Atomic bool has_program;

static struct segment *segments; /* sorted by start */
static size_t n_segments, segments_capacity;
static unsigned long long n_loads, n_unloads; /* as the table has it */
static bool has_read, is_reading;

/* One walk through the loader's list. */
struct walk {
	void (*work)(void *argument); /* NULL: only read the list */
	void *argument;
	bool is_first, is_done, is_changed, has_failed;
	unsigned long long n_loads, n_unloads;
	uint32_t reading;
};

/* Two threads may ask at once: they write the same. */
void modules_find_program(void)
{
	if (atomic_load_explicit(&has_program, memory_order_acquire))
		return;
	guard_program(program_path, sizeof(program_path));
	atomic_store_explicit(&has_program, true, memory_order_release);
}

const struct module *modules_by_id(uint32_t id)
{
	return id_table_get(&named, id);
}

uint32_t modules_count(void)
{
	return id_table_count(&named);
}

/* A host may load others for ever, of which few are ever named. */
uint32_t modules_id(struct module *module)
{
	if (!module->shown.id && named.n < MAX_IDS && id_table_next(&named)) {
		module->shown.id = named.n + 1;
		id_table_add(&named, module);
	}
	return module->shown.id;
}

uint32_t module_list_version(void)
{
	return __atomic_load_n(&n_readings, __ATOMIC_RELAXED);
}

const struct module *modules_ours(void)
{
	return ours;
}

/* A path that means something after a chdir: the loader keeps names as they were given.
 */
static const char *kept_path(const char *name)
{
	char directory[4096];
	long bytes = 0;

	if (name[0] != '/' && strchr(name, '/') && !guard_is_sandboxed)
		bytes = guard_sys(SYS_getcwd, directory, sizeof(directory));
	size_t head = bytes > 1 ? (size_t)bytes : 0; /* with the terminator: the slash */
	size_t tail = strlen(name) + 1;
	char *path = arena_take(head + tail);
	if (!path)
		return "";
	if (head) {
		memcpy(path, directory, head - 1);
		path[head - 1] = '/';
	}
	memcpy(path + head, name, tail);
	return path;
}

/* The loader's own, which its lock keeps as it is; sanitizers do not see that lock. */
UNCHECKED_MEMORY static const char *name_of(const struct dl_phdr_info *from, bool is_main)
{
	ARENA_TABLE static char name[sizeof(program_path)];
	const char *passed = module_headers_name(from);
	size_t bytes = 0;

	if (is_main && passed && !passed[0]) {
		modules_find_program();
		return program_path;
	}
	while (passed && passed[bytes] && bytes < sizeof(name) - 1) {
		name[bytes] = passed[bytes];
		bytes++;
	}
	name[bytes] = 0;
	return name;
}

/* Ends with `name`, as kept_path() may have put a directory before it. */
static bool has_name(const struct module *module, const char *name)
{
	size_t kept = strlen(module->shown.path), passed = strlen(name);

	return kept >= passed && strcmp(module->shown.path + kept - passed, name) == 0;
}

/* By the last part of the name, which has_name() compares in any case: many are loaded at
 * one place, one after the other. */
static struct module **bucket_of(uint64_t base, const char *name)
{
	const char *last = path_base(name);
	uint64_t hash = fnv_add(base >> 12, last, strlen(last));

	return &buckets[(hash ^ hash >> 32) % N_BUCKETS];
}

/* NULL: no memory.  What lies in it is outside, then. */
static struct module *add(const struct dl_phdr_info *from, struct module *seen,
			  const char *name)
{
	struct module *module = arena_take(sizeof(*module));

	if (!module || !module_headers_keep(from, seen))
		return NULL;
	*module = *seen;
	module->shown.path = kept_path(name);
	module_ranges_take(module);
	struct module **bucket = bucket_of(module->shown.base, name);
	module->next = *bucket;
	*bucket = module;
	return module;
}

/* As far as the loader's own memory tells. */
static bool is_at_the_place(const struct module *known, const struct module *seen,
			    const char *name)
{
	return known->shown.base == seen->shown.base && known->headers == seen->headers &&
	       known->n_headers == seen->n_headers && has_name(known, name);
}

static bool has_content(const struct module *known, const struct module *seen)
{
	return known->start == seen->start && known->end == seen->end &&
	       known->shown.build_id_bytes == seen->shown.build_id_bytes &&
	       memcmp(known->shown.build_id, seen->shown.build_id,
		      seen->shown.build_id_bytes) == 0;
}

/* The known module at the same place with the same content, or a new one.  As long as
 * nothing was unloaded what is at the place is the same; else it is read, and what cannot
 * be read any more is taken for what it was.  NULL: nothing is known of it. */
static struct module *recognise(const struct dl_phdr_info *from, const struct walk *walk)
{
	struct module seen = {
		.shown.base = from->dlpi_addr,
		.headers = from->dlpi_phdr,
		.n_headers = from->dlpi_phnum,
		.found_at = walk->reading,
	};
	const char *name = name_of(from, walk->is_first);
	bool is_certain = has_read && walk->n_unloads == n_unloads;
	bool is_readable = false;
	struct module *first = *bucket_of(seen.shown.base, name);

	for (struct module *known = first; known; known = known->next)
		if (is_certain && !known->shown.is_gone &&
		    is_at_the_place(known, &seen, name))
			return known;
	is_readable = module_headers_read(from, &seen);
	for (struct module *known = first; known; known = known->next) {
		if (!is_at_the_place(known, &seen, name) ||
		    (is_readable ? !has_content(known, &seen) : known->shown.is_gone))
			continue;
		known->found_at = walk->reading;
		return known;
	}
	return is_readable ? add(from, &seen, name) : NULL;
}

static bool make_room(void)
{
	size_t capacity = segments_capacity ? 2 * segments_capacity : 1024;
	struct segment *larger = arena_map(capacity * sizeof(*larger));

	if (!larger)
		return false;
	if (segments)
		memcpy(larger, segments, n_segments * sizeof(*segments));
	arena_unmap(segments, segments_capacity * sizeof(*segments));
	segments = larger;
	segments_capacity = capacity;
	return true;
}

static bool add_segments(struct module *module)
{
	for (unsigned i = 0; i < module->n_segments; i++) {
		if (n_segments == segments_capacity && !make_room())
			return false;
		segments[n_segments++] = (struct segment){module->segments[i], module};
	}
	return true;
}

static int read_one(struct dl_phdr_info *from, struct walk *walk)
{
	struct module *module = recognise(from, walk);
	bool is_main = walk->is_first;

	walk->is_first = false;
	if (!module)
		return 0;
	if (!add_segments(module)) {
		walk->has_failed = true;
		return 1;
	}
	module->seen_at = walk->reading;
	if (!module->is_present) {
		module->is_present = true;
		module->next_present = present;
		present = module;
	}
	uint64_t here = (uint64_t)(uintptr_t)&modules_find_program;
	if (!is_main && here >= module->start && here < module->end)
		ours = module;
	return 0;
}

static void begin_reading(struct walk *walk, const struct dl_phdr_info *from)
{
	walk->is_changed = is_reading = true;
	walk->n_loads = from->dlpi_adds;
	walk->n_unloads = from->dlpi_subs;
	walk->reading = n_readings + 1;
	n_segments = 0;
	if (!has_read || walk->n_unloads != n_unloads)
		pages_forget();
}

static int visit(struct dl_phdr_info *from, size_t bytes, void *argument)
{
	struct walk *walk = argument;

	(void)bytes;
	if (walk->is_first && has_read && from->dlpi_adds == n_loads &&
	    from->dlpi_subs == n_unloads) {
		walk->work(walk->argument);
		walk->is_done = true;
		return 1;
	}
	if (walk->is_first)
		begin_reading(walk, from);
	return read_one(from, walk);
}

static int by_start(const void *a, const void *b)
{
	const struct segment *one = a, *other = b;

	return one->at.start < other->at.start ? -1 : one->at.start > other->at.start;
}

/* By insertion: the list comes nearly sorted in runs, and qsort may allocate. */
static void sort_segments(void)
{
	for (size_t i = 1; i < n_segments; i++) {
		struct segment moving = segments[i];
		size_t at = i;
		for (; at > 0 && by_start(&moving, &segments[at - 1]) < 0; at--)
			segments[at] = segments[at - 1];
		segments[at] = moving;
	}
}

static void note_left(const struct module *module)
{
	if (n_left++ < MAX_LEFT) {
		left[n_left - 1].start = module->start;
		left[n_left - 1].end = module->end;
	}
}

/* A module that was not seen in this reading is gone. */
static void find_left(uint32_t reading)
{
	n_left = 0;
	for (struct module **link = &present; *link;) {
		struct module *module = *link;

		module->shown.is_gone = module->seen_at != reading;
		if (!module->shown.is_gone) {
			link = &module->next_present;
			continue;
		}
		note_left(module);
		module->is_present = false;
		*link = module->next_present;
	}
}

bool modules_left(uint64_t address)
{
	if (n_left > MAX_LEFT)
		return true;
	for (unsigned i = 0; i < n_left; i++)
		if (address >= left[i].start && address < left[i].end)
			return true;
	return false;
}

static void end_reading(const struct walk *walk)
{
	sort_segments();
	find_left(walk->reading);
	n_loads = walk->n_loads;
	n_unloads = walk->n_unloads;
	has_read = true;
	is_reading = false;
	__atomic_store_n(&n_readings, walk->reading, __ATOMIC_RELEASE);
}

bool modules_hold(void (*work)(void *argument), void *argument)
{
	for (unsigned i = 0; i < MAX_READINGS; i++) {
		struct walk walk = {.work = work, .argument = argument, .is_first = true};
		libc_own.dl_iterate_phdr(visit, &walk);
		if (walk.is_done)
			return true;
		if (walk.has_failed || !walk.is_changed)
			break;
		end_reading(&walk);
	}
	has_read = false;
	return false;
}

static const struct segment *segment_at(uint64_t address)
{
	static const struct segment *last; /* asked for again most of the time */
	size_t low = 0, high = n_segments;

	if (!segments)
		return NULL;
	if (last >= segments && last < segments + n_segments &&
	    address >= last->at.start && address < last->at.end)
		return last;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (segments[middle].at.end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n_segments || address < segments[low].at.start)
		return NULL;
	return last = &segments[low];
}

struct module *modules_at(uint64_t address)
{
	const struct segment *segment = is_reading ? NULL : segment_at(address);

	return segment ? segment->module : NULL;
}

bool modules_read(uint64_t address, bool or_zero, uint64_t *word)
{
	const struct segment *segment = segment_at(address);

	if (!segment || !segment->at.is_readable || (segment->at.is_writable && !or_zero))
		return false;
	*word = 0;
	if (segment->at.is_writable)
		return true;
	uint64_t bytes = segment->at.end - address;
	return pages_read(address, word,
			  bytes < sizeof(*word) ? (uint32_t)bytes : sizeof(*word));
}
