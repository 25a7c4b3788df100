/* What has become of connections that this process closed and another one may hold
 * (track/released.h): the helper thread asks the kernel for each, now and then, and where
 * one still stands without its peer for the grace it is this process's leak, and /proc
 * tells who holds it.  The owner of the scan lock's alone. */
#ifndef SOCKLEAK_SCAN_RELEASED_H
#define SOCKLEAK_SCAN_RELEASED_H

#include "base/probe.h"
#include "report/settings.h"

#include <stdbool.h>
#include <stdint.h>

void scan_released_start(const struct settings *settings);

/* In a pass: asks for those that are due; who holds them is looked for by the helper.  At
 * the end for all of them, once, by the helper or the thread that ends the process. */
void scan_released_ask(uint64_t now_ns, const struct fd_access *access, bool is_the_end);
/* The processor time that searches for holders have taken since the last call: once a
 * leak, so it is no part of what every pass costs. */
uint64_t scan_released_search_ns(void);
/* In every pass: counts what was found, the pending ones only if they are to be listed.
 * Returns how many leaks. */
uint64_t scan_released_count(uint64_t now_ns, bool list_pending);

#endif
