/* See module_headers.h.  The loader keeps no copy of them: they lie in the file's first
 * page, as it is mapped. */
#include "unwind/module_headers.h"

#include "base/arena.h"
#include "base/own_memory.h"
#include "base/page.h"
#include "unwind/pages.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>
const char *module_headers_name(const struct dl_phdr_info *from)
{
	uint64_t at = (uint64_t)(uintptr_t)from->dlpi_name;
	bool is_of_program = (at ^ getauxval(AT_PHDR)) < PAGE_BYTES;

	return is_of_program && !own_memory_is_there(at) ? NULL : from->dlpi_name;
}

static bool read_header(const struct dl_phdr_info *from, unsigned i, ElfW(Phdr) * header)
{
	return pages_read((uint64_t)(uintptr_t)&from->dlpi_phdr[i], header,
			  sizeof(*header));
}

static void take_build_id(struct origin_module *shown, uint64_t at, uint64_t bytes)
{
	uint64_t end = at + bytes;
	ElfW(Nhdr) note;
	char name[4];

	while (end - at >= sizeof(note) && pages_read(at, &note, sizeof(note))) {
		uint64_t name_at = at + sizeof(note);
		uint64_t content =
			name_at + ((note.n_namesz + UINT64_C(3)) & ~UINT64_C(3));
		uint64_t next = content + ((note.n_descsz + UINT64_C(3)) & ~UINT64_C(3));
		if (next > end)
			return;
		if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == sizeof(name) &&
		    pages_read(name_at, name, sizeof(name)) &&
		    memcmp(name, "GNU", sizeof(name)) == 0 &&
		    note.n_descsz <= sizeof(shown->build_id) &&
		    pages_read(content, shown->build_id, note.n_descsz)) {
			shown->build_id_bytes = note.n_descsz;
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
	struct {
		uint8_t form[4];
		uint32_t frames, n_entries;
	} head;

	if (bytes < sizeof(head) || !pages_read(at, &head, sizeof(head)) ||
	    memcmp(head.form, form, sizeof(form)) != 0 ||
	    head.n_entries > (bytes - sizeof(head)) / 8)
		return;
	module->eh_frame_hdr = at;
	module->search_table = at + sizeof(head);
	module->search_table_bytes = (uint64_t)head.n_entries * 8;
}

bool module_headers_read(const struct dl_phdr_info *from, struct module *module)
{
	uint64_t base = from->dlpi_addr;
	ElfW(Phdr) header;

	module->start = UINT64_MAX;
	module->end = module->n_segments = 0;
	for (unsigned i = 0; i < from->dlpi_phnum; i++) {
		if (!read_header(from, i, &header))
			return false;
		uint64_t at = base + header.p_vaddr;
		if (header.p_type == PT_LOAD) {
			module->n_segments++;
			if (at < module->start)
				module->start = at;
			if (at + header.p_memsz > module->end)
				module->end = at + header.p_memsz;
		} else if (header.p_type == PT_NOTE && !module->shown.build_id_bytes) {
			take_build_id(&module->shown, at, header.p_memsz);
		}
	}
	module->shown.size = module->end - base;
	return true;
}

bool module_headers_keep(const struct dl_phdr_info *from, struct module *module)
{
	struct module_segment *segments =
		arena_take(module->n_segments * sizeof(*segments));
	unsigned n = 0;
	ElfW(Phdr) header;

	if (!segments)
		return false;
	for (unsigned i = 0; i < from->dlpi_phnum && read_header(from, i, &header); i++) {
		uint64_t at = from->dlpi_addr + header.p_vaddr;
		if (header.p_type == PT_LOAD && n < module->n_segments)
			segments[n++] = (struct module_segment){
				.start = at,
				.end = at + header.p_memsz,
				.is_readable = header.p_flags & PF_R,
				.is_writable = header.p_flags & PF_W,
			};
		else if (header.p_type == PT_GNU_EH_FRAME)
			take_search_table(module, at, header.p_memsz);
	}
	module->segments = segments;
	module->n_segments = n;
	return true;
}
