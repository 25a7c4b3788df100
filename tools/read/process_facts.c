/* How a process ended is in its ledger only where it ended by exit() or became another
 * program: else this system tells whether it runs. */
#include "read/process_facts.h"

#include "kernel/process.h"

struct process_facts process_facts(const struct sl_header *head)
{
	struct process_facts process = {
		.ended = FINDINGS_UNKNOWN,
		.at_exit = head->at_exit,
		.grace_ns = head->grace_ns,
		.scanned_ns = head->scanned_ns,
		.last_ns = head->scanned_ns,
	};

	if (head->ended == SL_ENDED_EXIT) {
		process.ended = FINDINGS_EXIT;
		if (head->ended_ns)
			process.last_ns = head->ended_ns;
	} else if (head->executing) {
		process.ended = FINDINGS_EXEC;
	} else if (process_is_alive(head)) {
		process.ended = FINDINGS_RUNNING;
	} else {
		process.may_run = process_may_run_unseen(head);
	}
	return process;
}
