/* Leaks of one place that the program closed after all: how many, and which of them in
 * the last second before the program ended, when it was its end that closed them.
 *
 * When the program ends is not known while it runs.  So the closes of the last second are
 * counted by steps (VERDICT_STEP_NS), and older ones together.  Pure; one thread at a
 * time. */
#ifndef SOCKLEAK_LATE_H
#define SOCKLEAK_LATE_H

#include "common/verdict.h"

#include <stdint.h>

#define LATE_SLOTS 18 /* the last second, and the steps that it begins and ends in */

struct late_count {
	uint64_t n;
	uint64_t max_ms; /* how long after its peer had gone one was closed, at most */
};

struct late {
	struct late_count before; /* what no slot holds any more */
	struct {
		uint64_t number; /* closed_ns / VERDICT_STEP_NS */
		struct late_count count;
	} slots[LATE_SLOTS];
};

/* A leak was closed at `closed_ns`, `after_ms` after its peer had gone. */
void late_add(struct late *late, uint64_t closed_ns, uint64_t after_ms);
/* The program ended at `end_ns`: what its end closed, and what it closed before. */
void late_split(const struct late *late, uint64_t end_ns, struct late_count *by_end,
		struct late_count *earlier);

#endif
