/* Places: leaks with the same origin and kind.  Counts them from look to look, prints
 * each new one in full and later only when its count has doubled.
 *
 * The ticker's alone, but for one: one thread at a time (watch.h). */
#ifndef SOCKLEAK_PLACES_H
#define SOCKLEAK_PLACES_H

#include "probe.h"
#include "registry.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

struct place;

/* Reads the suppressions; complains of each malformed line. */
void places_start(const struct settings *settings);

/* A look begins: all counts are zero. */
void places_begin(void);
/* A socket that is a leak (or, pending, only listed at exit): NULL if there is no memory,
 * or if the same socket was counted before in this look through another descriptor. */
struct place *places_count(int fd, const struct row *row, const struct side *side,
			   bool is_pending, uint64_t now_ns);
/* The socket that `side` speaks of, of the place that it was counted in. */
void places_closed_late(int fd, const struct side *side, uint64_t after_ms, bool json,
			const struct probe_way *way);
/* The look is over: prints what is new.  `in_full`: every place whatever was printed
 * before (sockleak_check).  Returns how many sockets leak after suppression. */
uint64_t places_print(const struct probe_way *way, bool at_exit, bool in_full);
/* At exit: what is pending, then the summary; only if anything leaked. */
void places_summary(const struct probe_way *way);
/* By a thread that may not touch the places: so many sockets leaked.  Returns that, or 0
 * where there are suppressions, which may have been meant for them. */
uint64_t places_summary_without(uint64_t n_leaked);
/* "the limit of descriptors was reached", with the places that hold the most sockets. */
void places_print_holders(const struct probe_way *way, uint64_t limit);

uint64_t places_late(uint64_t *max_ms); /* how many leaks were closed after all */
/* Names of tests, kept for ever. */
uint16_t places_name(const char *text); /* id, from 1; 0 = no room */

/* New backtraces, modules and names go into the ledger. */
void places_publish(void);
uint64_t places_unpublished(void); /* of them, what found no room yet */
/* In a child: nothing was printed or counted yet. */
void places_fork_child(void);

#endif
