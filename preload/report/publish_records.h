/* Backtraces, modules and names of tests that are new go into the ledger, where rows name
 * them by id.  By the owner of the scan lock. */
#ifndef SOCKLEAK_PUBLISH_RECORDS_H
#define SOCKLEAK_PUBLISH_RECORDS_H

#include <stdint.h>

void publish_records(void);
/* How many of them found no room yet. */
uint64_t publish_records_waiting(void);
/* In a child, whose ledger has none yet. */
void publish_records_fork_child(void);

#endif
