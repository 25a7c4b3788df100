#pragma once

#include <stdio.h>

/* What no file backs, in kB; -1: not known.  By the page tables: the counters of statm
 * are behind by up to 32 pages a processor and kind of page (percpu_counter, since
 * Linux 6.2). */
static inline long anonymous_kb(void)
{
	FILE *file = fopen("/proc/self/smaps_rollup", "r");
	char line[256];
	long kb = -1;

	if (!file)
		return -1;
	while (kb < 0 && fgets(line, sizeof(line), file))
		sscanf(line, "Anonymous: %ld kB", &kb);
	fclose(file);
	return kb;
}
