/* The verdict on what a process held.  Of a process that ended by exit(), or still runs,
 * the library's last verdict stands.  A process that was killed, crashed or became
 * another program made no scan at its end: here its rows are judged by the rules of
 * common/verdict.h, as of the last scan that it made. */
#include "judge/judge.h"

#include "common/verdict.h"

/* The program was told after the last scan, which found its peer still there: what the
 * kernel would say now is known from the call. */
static enum sl_kind kind_by_call(const struct sl_descriptor *row)
{
	if ((row->why & SL_WHY_RESET) || (row->flags & SL_ROW_FORGOTTEN_PEER))
		return SL_KIND_DEAD;
	switch ((enum sl_call)row->eof_call) {
	case SL_CALL_send:
	case SL_CALL___send:
	case SL_CALL_sendto:
	case SL_CALL_sendmsg:
	case SL_CALL_sendmmsg:
	case SL_CALL_write:
	case SL_CALL___write:
	case SL_CALL_writev:
		return SL_KIND_DEAD;
	default:
		return SL_KIND_CLOSE_WAIT;
	}
}

static uint8_t state_of(enum sl_kind kind, uint8_t scanned)
{
	if (kind == SL_KIND_DEAD)
		return STATE_CLOSE;
	return scanned == STATE_LAST_ACK || scanned == STATE_CLOSING ? scanned
								     : STATE_CLOSE_WAIT;
}

/* A standard stream that came over exec, or a connection that came by socket activation,
 * is not the program's to close. */
static bool ends_with_the_program(const struct sl_descriptor *row, uint32_t fd)
{
	return (fd <= 2 && row->origin_kind == SL_ORIGIN_INHERITED) ||
	       (row->flags & SL_ROW_ENDS_WITH_PROGRAM);
}

/* By the rules that the library would have applied at its end, with what it knew at the
 * row's last scan. */
static enum sl_verdict verdict_of_killed(const struct process_facts *process,
					 const struct sl_descriptor *row, uint32_t fd)
{
	const struct verdict_rules rules = {process->grace_ns, process->at_exit,
					    process->ended != FINDINGS_EXEC};
	/* A program's own shutdown does not tell it of the peer; then the kernel must
	 * have seen the peer go. */
	bool is_told = row->kind != SL_KIND_NONE || row->eof_call != SL_CALL_shutdown;
	const struct verdict_facts facts = {
		.kind = row->kind,
		.idle_since_ns = row->idle_since_ns,
		.told_ns = is_told ? row->told_ns : 0,
		.sent_ns = row->sent_ns,
		.now_ns = row->scanned_ns,
		.is_sending = row->is_sending,
		.was_leak = row->flags & SL_ROW_WAS_LEAK,
		.was_found_by_check = row->was_found_by_check,
		.is_inherited = row->flags & SL_ROW_INHERITED,
		.ends_with_program = ends_with_the_program(row, fd),
	};

	if (row->verdict == SL_LEAK_GRACE ||
	    (row->verdict == SL_LEAK_EXIT && rules.is_the_end &&
	     !facts.ends_with_program))
		return row->verdict;
	return verdict_of(&facts, &rules);
}

/* The last scan may have been before the program was told. */
static unsigned why_of_killed(const struct sl_descriptor *row)
{
	unsigned why = row->why;

	if (row->told_ns <= row->scanned_ns)
		return why;
	if (row->eof_call == SL_CALL_shutdown)
		return why | SL_WHY_SHUT_NOT_CLOSED;
	return (why & ~(unsigned)SL_WHY_NEVER_READ) | SL_WHY_EOF_READ;
}

struct judged_row judge_row(const struct process_facts *process,
			    const struct sl_descriptor *row, uint32_t fd)
{
	struct judged_row judged = {row->verdict, row->kind, row->why, row->state};
	bool by_library = process->ended == FINDINGS_EXIT ||
			  process->ended == FINDINGS_RUNNING ||
			  (process->ended == FINDINGS_UNKNOWN && process->may_run);

	if (row->flags & SL_ROW_EXPECTED)
		return (struct judged_row){.verdict = SL_NO_VERDICT};
	if (!by_library)
		judged.verdict = verdict_of_killed(process, row, fd);
	if (judged.verdict == SL_NO_VERDICT)
		return judged;
	if (judged.kind == SL_KIND_NONE)
		judged.kind = kind_by_call(row);
	if (!by_library)
		judged.why = why_of_killed(row);
	judged.state = state_of(judged.kind, row->state);
	return judged;
}

bool judge_was_closed_late(const struct sl_descriptor *row)
{
	return !row->held && row->ended_ns && row->kind != SL_KIND_NONE &&
	       !(row->flags & SL_ROW_EXPECTED) &&
	       (row->verdict == SL_LEAK_GRACE || (row->flags & SL_ROW_WAS_LEAK));
}

/* An exec is no end, and with at_exit=none nothing is judged there.  When a process was
 * killed is not known: after its last scan. */
bool judge_was_closed_by_end(const struct process_facts *process,
			     const struct sl_descriptor *row)
{
	return process->ended != FINDINGS_RUNNING && process->ended != FINDINGS_EXEC &&
	       process->at_exit != SL_AT_EXIT_NONE &&
	       verdict_closed_by_end(row->ended_ns, process->scanned_ns);
}
