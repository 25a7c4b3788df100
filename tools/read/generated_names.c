/* See generated_names.h.  A PID is used again, here and in other containers and on other
 * systems: only what the process of this very ledger has written is believed. */
#include "read/generated_names.h"

#include "kernel/process.h"
#include "read/process_facts.h"
#include "symbols/perf_map.h"

#include <stdio.h>
#include <sys/stat.h>

/* What a process writes while it ends, behind what the library has seen last. */
#define SLACK_NS INT64_C(5000000000)

static int64_t end_ns(const struct sl_header *head)
{
	const struct process_facts facts = process_facts(head);

	if (facts.ended == FINDINGS_RUNNING)
		return INT64_MAX;
	return (int64_t)(head->started_realtime_ns + (facts.last_ns - head->started_ns)) +
	       SLACK_NS;
}

static struct perf_map *open_map(const struct reader_ledger *ledger)
{
	const struct sl_header *head = ledger->head;
	char path[64];
	struct stat is;

	if (!process_is_of_this_boot(head->boot_id) || !head->pid_namespace ||
	    head->pid_namespace != process_pid_namespace() || stat(ledger->path, &is) < 0)
		return NULL;
	const struct perf_map_writer writer = {
		.user = is.st_uid,
		.from_ns = (int64_t)head->started_realtime_ns,
		.to_ns = end_ns(head),
	};
	snprintf(path, sizeof(path), "/tmp/perf-%u.map", head->pid);
	return perf_map_open(path, &writer);
}

void generated_names_give(struct generated_names *names, struct text_frame *frame)
{
	if (frame->language || frame->module)
		return;
	if (!names->is_asked)
		names->map = open_map(names->ledger);
	names->is_asked = true;
	if (names->map)
		frame->function = perf_map_find(names->map, frame->offset);
}

void generated_names_free(struct generated_names *names)
{
	perf_map_close(names->map);
}
