/* How a process ended, as its ledger and this system tell, and the verdict on its rows
 * where the library could not give the last one. */
#ifndef SOCKLEAK_JUDGE_H
#define SOCKLEAK_JUDGE_H

#include "findings.h"
#include "ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether the process that wrote the ledger runs on this system now. */
bool judge_is_alive(const struct sl_header *head);

/* Of sl_header.boot_id; false also where this system does not tell. */
bool judge_is_this_boot(const uint8_t boot_id[16]);

/* Whether a process of that pid and start (field 22 of /proc/PID/stat) runs here. */
bool judge_runs(uint32_t pid, uint64_t start_ticks);

/* What judging needs to know of a process. */
struct judge_process {
	enum findings_ended ended;
	bool told_counts; /* at_exit=told: 3.2 holds */
	uint64_t grace_ns;
	uint64_t last_ns; /* when it was last seen; CLOCK_MONOTONIC of its boot */
};

/* As the ledger alone tells: FINDINGS_EXIT, FINDINGS_RUNNING or FINDINGS_UNKNOWN. */
struct judge_process judge_process(const struct sl_header *head);

struct judge_row {
	enum sl_verdict verdict; /* SL_NO_VERDICT = nothing to report */
	enum sl_kind kind;
	unsigned why;
	uint8_t state; /* one of CLOSE_WAIT, LAST_ACK, CLOSING, CLOSE with a verdict */
};

/* The verdict on the held row of descriptor `fd` of such a process. */
struct judge_row judge_row(const struct judge_process *process,
			   const struct sl_descriptor *row, uint32_t fd);

#endif
