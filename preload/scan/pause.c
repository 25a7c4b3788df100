/* The pause follows what the next scan is going to take.
 *
 * Scans of the same sockets differ by some per cent: the pause is computed from the
 * dearer one of the last two, so that their mean stays below the share.
 *
 * The first scan of an entry takes three times as long as a later one.  If the pause
 * followed that, it would be 80 s after 10,000 connections came at once, and a leak among
 * them would be told as much too late.  Only if connections come between all scans is the
 * cost of their first scans one that repeats: the smaller one of the last two counts. */
#include "scan/pause.h"

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t greater(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

uint64_t pause_after(struct pause *pause, const struct scan_cost *cost,
		     uint64_t interval_ns)
{
	uint64_t ns = greater(cost->repeat_ns, pause->former.repeat_ns) +
		      smaller(cost->first_ns, pause->former.first_ns);

	pause->former = *cost;
	return greater(COST_FACTOR * ns, interval_ns);
}
