/* The verdict on one row of a process's ledger: the library's, or, where the library
 * could not give the last one, the command's. */
#ifndef SOCKLEAK_JUDGE_H
#define SOCKLEAK_JUDGE_H

#include "common/ledger.h"
#include "findings/facts.h"

#include <stdbool.h>
#include <stdint.h>

/* Whether the row is of a leak that was closed after all. */
bool judge_was_closed_late(const struct sl_descriptor *row);
/* ... and was closed only by the end of the process. */
bool judge_was_closed_by_end(const struct process_facts *process,
			     const struct sl_descriptor *row);

/* Of the row of descriptor `fd`, which the process holds, or held at its end. */
struct judged_row judge_row(const struct process_facts *process,
			    const struct sl_descriptor *row, uint32_t fd);

#endif
