/* A loaded file, and what its headers say, read without a fault. */
#ifndef SOCKLEAK_MODULE_HEADERS_H
#define SOCKLEAK_MODULE_HEADERS_H

#include "unwind/backtrace.h"

struct module_segment {
	uint64_t start, end;
	bool is_readable, is_writable;
};

struct module {
	struct origin_module shown;
	uint64_t start, end; /* of its segments, as mapped */
	const struct module_segment *segments;
	unsigned n_segments;
	uint64_t eh_frame_hdr; /* 0 = none, or not in the form that can be searched */
	uint64_t search_table; /* of eh_frame_hdr: sorted pairs of offsets */
	uint64_t search_table_bytes; /* 0 = none */
	const void *headers; /* where they are, and how many: part of its identity */
	unsigned n_headers;
	struct module *next;         /* of those with a base and a name like it */
	struct module *next_present; /* of those that the last reading found */
	struct module *next_alone;   /* module_ranges.c */
	/* Numbers of readings: since when it may be here without a break; the last. */
	uint32_t found_at, seen_at;
	bool is_present;   /* it is in that list */
	bool shares_range; /* others were loaded there at other times */
};

struct dl_phdr_info;

/* As the loader has it; "" of the program itself.  NULL = it cannot be read: the loader's
 * own name is a string in the program's first page, which the program may hide. */
const char *module_headers_name(const struct dl_phdr_info *from);
/* Where it is, and its build-id.  false: they cannot be read (any more). */
bool module_headers_read(const struct dl_phdr_info *from, struct module *module);
/* The rest, once it is known to be a new one: its segments, and where its unwind table
 * is.  false: no memory. */
bool module_headers_keep(const struct dl_phdr_info *from, struct module *module);

#endif
