/* The loader's list is read inside dl_iterate_phdr, which keeps the loader from unloading
 * anything meanwhile.  Its first callback tells the counters of loads and unloads: as
 * long as they stand still the table is right, and the work is done in that very
 * callback. Else the whole list is read, and asked for again. */
#include "modules.h"

#include "arena.h"
#include "guard.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#define IDS_PER_CHUNK 256
#define MAX_IDS       UINT16_MAX /* a frame keeps 16 bits of it; 0 = outside */
#define N_BUCKETS     256
#define MAX_READINGS  8 /* the list may change between reading it and the work */

struct segment {
	uint64_t start, end;
	struct module *module;
	bool is_readable, is_writable;
};

ARENA_TABLE static struct module *chunks[MAX_IDS / IDS_PER_CHUNK + 1]; /* by id - 1 */
static uint32_t n_modules;                            /* atomic, stored last */
static uint32_t n_readings;                           /* atomic */
ARENA_TABLE static struct module *buckets[N_BUCKETS]; /* by base */
static struct module *ours;

/* Which ranges the last change took away; past MAX_LEFT: any. */
#define MAX_LEFT 32
ARENA_TABLE static struct {
	uint64_t start, end;
} left[MAX_LEFT];
static unsigned n_left;
ARENA_TABLE static char program_path[4096];
static bool has_program; /* atomic */

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
	if (__atomic_load_n(&has_program, __ATOMIC_ACQUIRE))
		return;
	guard_program(program_path, sizeof(program_path));
	__atomic_store_n(&has_program, true, __ATOMIC_RELEASE);
}

static struct module *module_of(uint32_t id)
{
	return &chunks[(id - 1) / IDS_PER_CHUNK][(id - 1) % IDS_PER_CHUNK];
}

const struct module *modules_by_id(uint32_t id)
{
	if (id == 0 || id > __atomic_load_n(&n_modules, __ATOMIC_ACQUIRE))
		return NULL;
	return module_of(id);
}

uint32_t modules_count(void)
{
	return __atomic_load_n(&n_modules, __ATOMIC_ACQUIRE);
}

uint32_t modules_reading(void)
{
	return __atomic_load_n(&n_readings, __ATOMIC_RELAXED);
}

const struct module *modules_ours(void)
{
	return ours;
}

/* The place of the next id, zeroed; it counts from `n_modules` being raised. */
static struct module *new_module(void)
{
	uint32_t at = n_modules;
	struct module **chunk = &chunks[at / IDS_PER_CHUNK];

	if (at == MAX_IDS)
		return NULL;
	if (!*chunk)
		*chunk = arena_take(IDS_PER_CHUNK * sizeof(**chunk));
	if (!*chunk)
		return NULL;
	struct module *module = &(*chunk)[at % IDS_PER_CHUNK];
	module->shown.id = at + 1;
	return module;
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
	char *path = arena_take(head + strlen(name) + 1);
	if (!path)
		return "";
	if (head) {
		memcpy(path, directory, head - 1);
		path[head - 1] = '/';
	}
	strcpy(path + head, name);
	return path;
}

/* Notes are read in place: they lie in a segment that is not written. */
static void take_build_id(struct origin_module *shown, uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes;

	while (end - at >= sizeof(ElfW(Nhdr))) {
		const ElfW(Nhdr) *note = (const void *)at;
		uint64_t name = at + sizeof(*note);
		uint64_t content = name + ((note->n_namesz + UINT64_C(3)) & ~UINT64_C(3));
		uint64_t next = content + ((note->n_descsz + UINT64_C(3)) & ~UINT64_C(3));
		if (next > end)
			return;
		if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 &&
		    memcmp((const void *)name, "GNU", 4) == 0 &&
		    note->n_descsz <= sizeof(shown->build_id)) {
			shown->build_id_bytes = note->n_descsz;
			memcpy(shown->build_id, (const void *)content, note->n_descsz);
			return;
		}
		at = next;
	}
}

/* The header of .eh_frame_hdr, when it is in the one form linkers write: pointers of four
 * bytes, relative, and a sorted table. */
static void take_search_table(struct module *module, uint64_t at, uint64_t bytes)
{
	static const uint8_t form[4] = {1, 0x1b, 0x03, 0x3b};
	uint32_t n_entries;

	if (bytes < 12 || memcmp((const void *)at, form, sizeof(form)) != 0)
		return;
	memcpy(&n_entries, (const char *)at + 8, sizeof(n_entries));
	if (n_entries > (bytes - 12) / 8)
		return;
	module->eh_frame_hdr = at;
	module->search_table = at + 12;
	module->search_table_bytes = (uint64_t)n_entries * 8;
}

static void take_headers(struct module *module, const struct dl_phdr_info *from)
{
	uint64_t base = from->dlpi_addr;

	module->headers = from->dlpi_phdr;
	module->shown.base = base;
	module->start = UINT64_MAX;
	for (unsigned i = 0; i < from->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &from->dlpi_phdr[i];
		uint64_t at = base + header->p_vaddr;
		if (header->p_type == PT_LOAD) {
			if (at < module->start)
				module->start = at;
			if (at + header->p_memsz > module->end)
				module->end = at + header->p_memsz;
		} else if (header->p_type == PT_NOTE) {
			if (module->shown.build_id_bytes == 0)
				take_build_id(&module->shown, at, header->p_memsz);
		} else if (header->p_type == PT_GNU_EH_FRAME) {
			take_search_table(module, at, header->p_memsz);
		}
	}
	module->shown.size = module->end - base;
}

static bool is_same(const struct module *a, const struct module *b)
{
	return a->shown.base == b->shown.base && a->start == b->start &&
	       a->end == b->end && a->headers == b->headers &&
	       a->shown.build_id_bytes == b->shown.build_id_bytes &&
	       memcmp(a->shown.build_id, b->shown.build_id, a->shown.build_id_bytes) == 0;
}

/* The loader's own, which its lock keeps as it is; sanitizers do not see that lock. */
__attribute__((no_sanitize_address, no_sanitize_thread)) static const char *
name_of(const struct dl_phdr_info *from, bool is_main)
{
	ARENA_TABLE static char name[sizeof(program_path)];
	const char *given = from->dlpi_name;
	size_t bytes = 0;

	if (is_main && given && !given[0]) {
		modules_find_program();
		return program_path;
	}
	while (given && given[bytes] && bytes < sizeof(name) - 1) {
		name[bytes] = given[bytes];
		bytes++;
	}
	name[bytes] = 0;
	return name;
}

/* Ends with `name`, as kept_path() may have put a directory before it. */
static bool has_name(const struct module *module, const char *name)
{
	size_t kept = strlen(module->shown.path), given = strlen(name);

	return kept >= given && strcmp(module->shown.path + kept - given, name) == 0;
}

static bool overlap(const struct module *a, const struct module *b)
{
	return a->start < b->end && b->start < a->end;
}

/* Those that had a part of its place before say as little for certain.  One seen in this
 * very reading has its place still, and holes in it: on aarch64 the kernel puts the vdso
 * between the loader's segments. */
static void mark_sharers(struct module *module)
{
	for (uint32_t id = 1; id < module->shown.id; id++)
		if (module_of(id)->seen_at != module->found_at &&
		    overlap(module_of(id), module))
			module_of(id)->shares_place = module->shares_place = true;
}

static struct module **bucket_of(const struct module *module)
{
	return &buckets[(module->shown.base >> 12) % N_BUCKETS];
}

static struct module *add(const struct module *seen, const char *name)
{
	struct module *module = new_module();

	if (!module)
		return NULL;
	uint32_t id = module->shown.id;
	*module = *seen;
	module->shown.id = id;
	module->shown.path = kept_path(name);
	mark_sharers(module);
	module->next = *bucket_of(module);
	*bucket_of(module) = module;
	__atomic_store_n(&n_modules, id, __ATOMIC_RELEASE);
	return module;
}

/* The known module at the same place with the same content, or a new one. */
static struct module *recognise(const struct dl_phdr_info *from, const struct walk *walk)
{
	struct module seen = {.found_at = walk->reading};
	const char *name = name_of(from, walk->is_first);

	take_headers(&seen, from);
	for (struct module *known = *bucket_of(&seen); known; known = known->next) {
		if (!is_same(known, &seen) || !has_name(known, name))
			continue;
		if (known->shown.is_gone || walk->n_unloads != n_unloads)
			known->found_at = walk->reading;
		return known;
	}
	return add(&seen, name);
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

static bool add_segments(struct module *module, const struct dl_phdr_info *from)
{
	for (unsigned i = 0; i < from->dlpi_phnum; i++) {
		const ElfW(Phdr) *header = &from->dlpi_phdr[i];
		if (header->p_type != PT_LOAD)
			continue;
		if (n_segments == segments_capacity && !make_room())
			return false;
		uint64_t at = from->dlpi_addr + header->p_vaddr;
		segments[n_segments++] = (struct segment){
			.start = at,
			.end = at + header->p_memsz,
			.module = module,
			.is_readable = header->p_flags & PF_R,
			.is_writable = header->p_flags & PF_W,
		};
	}
	return true;
}

static int read_one(struct dl_phdr_info *from, struct walk *walk)
{
	struct module *module = recognise(from, walk);

	if (!module || !add_segments(module, from)) {
		walk->has_failed = true;
		return 1;
	}
	module->seen_at = walk->reading;
	uint64_t here = (uint64_t)(uintptr_t)&modules_find_program;
	if (!walk->is_first && here >= module->start && here < module->end)
		ours = module;
	walk->is_first = false;
	return 0;
}

static void begin_reading(struct walk *walk, const struct dl_phdr_info *from)
{
	walk->is_changed = is_reading = true;
	walk->n_loads = from->dlpi_adds;
	walk->n_unloads = from->dlpi_subs;
	walk->reading = n_readings + 1;
	n_segments = 0;
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

	return one->start < other->start ? -1 : one->start > other->start;
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

/* Who was not seen in this reading is gone. */
static void find_left(uint32_t reading)
{
	n_left = 0;
	for (uint32_t id = 1; id <= n_modules; id++) {
		struct module *module = module_of(id);
		bool is_gone = module->seen_at != reading;
		if (is_gone && !module->shown.is_gone && n_left++ < MAX_LEFT) {
			left[n_left - 1].start = module->start;
			left[n_left - 1].end = module->end;
		}
		module->shown.is_gone = is_gone;
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
		dl_iterate_phdr(visit, &walk);
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
	if (last >= segments && last < segments + n_segments && address >= last->start &&
	    address < last->end)
		return last;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (segments[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == n_segments || address < segments[low].start)
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

	if (!segment || !segment->is_readable || (segment->is_writable && !or_zero))
		return false;
	*word = 0;
	if (segment->is_writable)
		return true;
	uint64_t bytes = segment->end - address;
	memcpy(word, (const void *)address,
	       bytes < sizeof(*word) ? bytes : sizeof(*word));
	return true;
}
