/* "the limit of open descriptors was reached": which origins hold the most sockets. */
#include "report/leak_groups.h"

#include "base/guard.h"
#include "base/sections.h"
#include "report/frame_names.h"
#include "report/groups_internal.h"
#include "report/log.h"
#include "unwind/origin.h"

#define N_TOP_HOLDERS 3

ARENA_TABLE static struct text_frame origin_frames[SL_MAX_FRAMES];

/* The origins that hold the most sockets, in whatever state: the user needs them when the
 * program has run out of descriptors. */
struct holder {
	uint32_t origin;
	uint8_t call;
	uint64_t n;
};

static unsigned rank_holders(struct holder *top)
{
	/* A table of its own: origins repeat, and the busiest are few.  The first 512
	 * origins met are counted. */
	ARENA_TABLE static struct holder all[512];
	unsigned n_all = 0;

	for (unsigned fd = 0; fd < fd_table_top(); fd++) {
		struct fd_entry entry;
		unsigned i = 0;

		if (!fd_table_read((int)fd, &entry) ||
		    (atomic_load(&entry.word) & ENTRY_NOT_TCP))
			continue;
		uint32_t origin =
			origin_place(origin_resolve(atomic_load(&entry.origin)));
		while (i < n_all && all[i].origin != origin)
			i++;
		if (i == n_all && n_all < sizeof(all) / sizeof(all[0]))
			all[n_all++] = (struct holder){origin, entry.call, 0};
		if (i < n_all)
			all[i].n++;
	}
	unsigned n_top = 0;
	for (; n_top < N_TOP_HOLDERS; n_top++) {
		struct holder *best = NULL;

		for (unsigned i = 0; i < n_all; i++)
			if (all[i].n && (!best || all[i].n > best->n))
				best = &all[i];
		if (!best)
			break;
		top[n_top] = *best;
		best->n = 0;
	}
	return n_top;
}

void leak_groups_print_holders(const struct fd_access *access, uint64_t limit)
{
	struct holder top[N_TOP_HOLDERS];
	unsigned n = rank_holders(top);
	struct text text = group_new_report();

	if (groups_are_json)
		return;
	text_string(&text, "==");
	text_unsigned(&text, (uint64_t)guard_pid);
	text_string(&text, "==WARNING: sockleak: the limit of open descriptors (");
	text_unsigned(&text, limit);
	text_string(&text, ") was reached; the places that hold the most sockets:\n");
	for (unsigned i = 0; i < n; i++) {
		const char *call = text_call_name(top[i].call);

		text_string(&text, "  ");
		text_unsigned(&text, top[i].n);
		text_string(&text,
			    top[i].n == 1 ? " socket opened by " : " sockets opened by ");
		text_string(&text, call ? call : "a call nobody saw");
		text_string(&text, "():\n");
		frame_names_begin();
		frame_names_want(top[i].origin);
		frame_names_look_up();
		text_frames(&text, origin_frames,
			    group_frames(top[i].origin, origin_frames));
	}
	log_write(access, text.at, text.used);
}
