/* The head of a ledger -> what is known of its process. */
#ifndef SOCKLEAK_PROCESS_FACTS_H
#define SOCKLEAK_PROCESS_FACTS_H

#include "findings/facts.h"

/* As the ledger and this system tell: FINDINGS_EXIT, FINDINGS_RUNNING or
 * FINDINGS_UNKNOWN. */
struct process_facts process_facts(const struct sl_header *head);

#endif
