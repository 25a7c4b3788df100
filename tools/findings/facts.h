/* What judge/ knows of a process, and its verdict on one row; in this folder, since read/
 * and link/ fill in the former. */
#ifndef SOCKLEAK_FACTS_H
#define SOCKLEAK_FACTS_H

#include "common/ledger.h"
#include "findings/findings.h"

#include <stdbool.h>
#include <stdint.h>

struct process_facts {
	enum findings_ended ended;
	enum sl_at_exit at_exit; /* what counts at its end */
	uint64_t grace_ns;
	uint64_t scanned_ns; /* its last completed scan */
	/* With FINDINGS_UNKNOWN: it may run where this system does not show it, as in
	 * another pid namespace.  The library's last verdict stands. */
	bool may_run;
	uint64_t last_ns; /* when it was last seen; CLOCK_MONOTONIC of its boot */
};

struct judged_row {
	enum sl_verdict verdict; /* SL_NO_VERDICT = nothing to report */
	enum sl_kind kind;
	unsigned why;
	uint8_t state; /* one of CLOSE_WAIT, LAST_ACK, CLOSING, CLOSE with a verdict */
};

#endif
