/* How long to pause after a scan, so that scans take at most a thousandth of the time. */
#ifndef SOCKLEAK_PAUSE_H
#define SOCKLEAK_PAUSE_H

#include <stdint.h>

/* What took a time comes again after so many times that: 0.1 % of one core. */
#define COST_FACTOR 1000

/* Processor time of a scan in ns. */
struct scan_cost {
	uint64_t repeat_ns; /* of what every scan does */
	uint64_t first_ns;  /* of what is done once for each entry, at its first scan */
};

/* The costs of the scan before, of one thread that scans; zero at first. */
struct pause {
	struct scan_cost former;
};

/* How long to pause after a scan of this cost; `interval_ns` at least. */
uint64_t pause_after(struct pause *pause, const struct scan_cost *cost,
		     uint64_t interval_ns);

#endif
