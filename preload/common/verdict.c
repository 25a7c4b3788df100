/* See verdict.h. */
#include "common/verdict.h"

#include <errno.h>

#define TOLD_SLACK_NS UINT64_C(10000000) /* the kernel's clock of sends is no finer */
#define SHUT_SENDING  2
#define SHUT_BOTH     3

enum sl_kind verdict_kind(unsigned tcp_state)
{
	return tcp_state == STATE_CLOSE ? SL_KIND_DEAD : SL_KIND_CLOSE_WAIT;
}

bool verdict_error_of(int error_number, enum verdict_error *error)
{
	switch (error_number) {
	case ECONNRESET:
		*error = VERDICT_RESET;
		return true;
	/* When retransmission gives up, tcp_write_err() in the kernel's tcp_timer.c
	 * reports what an ICMP message had said, or else ETIMEDOUT. */
	case ETIMEDOUT:
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ECONNREFUSED:
		*error = VERDICT_TIMED_OUT;
		return true;
	case ECONNABORTED: /* tcp_abort(), as by `ss --kill` */
		*error = VERDICT_ABORTED;
		return true;
	/* Nothing can be sent: after an RST, but also after any other end, and after a
	 * shutdown of this side. */
	case EPIPE:
	case ENETRESET:
		*error = VERDICT_ERROR;
		return true;
	default:
		return false;
	}
}

bool verdict_sent_since(uint64_t told_ns, uint64_t sent_ns)
{
	return sent_ns > told_ns + TOLD_SLACK_NS;
}

/* A program that shut both directions, or sending on a connection that is over, knows. */
static bool shutdown_tells(const struct verdict_telling *telling, enum sl_kind kind)
{
	return telling->shut_ns &&
	       (telling->shut_how == SHUT_BOTH ||
		((telling->shut_how & SHUT_SENDING) && kind == SL_KIND_DEAD));
}

uint64_t verdict_told_ns(const struct verdict_telling *telling, enum sl_kind kind,
			 uint64_t sent_ns, bool *by_shutdown)
{
	*by_shutdown = shutdown_tells(telling, kind) &&
		       (!telling->eof_ns || verdict_sent_since(telling->eof_ns, sent_ns));
	return *by_shutdown ? telling->shut_ns : telling->eof_ns;
}

static bool is_past_grace(const struct verdict_facts *facts, uint64_t grace_ns)
{
	/* A scan of another thread may have begun later than this one. */
	uint64_t quiet_for_ns = facts->now_ns > facts->idle_since_ns
					? facts->now_ns - facts->idle_since_ns
					: 0;

	return facts->kind != SL_KIND_NONE && facts->idle_since_ns &&
	       quiet_for_ns >= grace_ns;
}

static bool was_told_and_kept(const struct verdict_facts *facts)
{
	return facts->told_ns && !facts->is_sending &&
	       !verdict_sent_since(facts->told_ns, facts->sent_ns);
}

static enum sl_verdict verdict_at_end(const struct verdict_facts *facts,
				      enum sl_at_exit at_exit)
{
	bool is_gone = facts->kind != SL_KIND_NONE;

	if (facts->ends_with_program ||
	    (at_exit != SL_AT_EXIT_TOLD && at_exit != SL_AT_EXIT_ALL))
		return SL_NO_VERDICT;
	if (facts->was_leak)
		return SL_LEAK_GRACE;
	if (facts->was_found_by_check || was_told_and_kept(facts) ||
	    (at_exit == SL_AT_EXIT_ALL && is_gone && !facts->is_inherited))
		return SL_LEAK_EXIT;
	return SL_NO_VERDICT;
}

enum sl_verdict verdict_of(const struct verdict_facts *facts,
			   const struct verdict_rules *rules)
{
	enum sl_verdict at_end = SL_NO_VERDICT;

	if (is_past_grace(facts, rules->grace_ns))
		return SL_LEAK_GRACE;
	if (rules->is_the_end)
		at_end = verdict_at_end(facts, rules->at_exit);
	if (at_end != SL_NO_VERDICT)
		return at_end;
	return facts->kind != SL_KIND_NONE ? SL_PENDING : SL_NO_VERDICT;
}

bool verdict_closed_by_end(uint64_t closed_ns, uint64_t end_ns)
{
	uint64_t since_ns = end_ns > VERDICT_END_NS ? end_ns - VERDICT_END_NS : 0;

	return closed_ns / VERDICT_STEP_NS >= since_ns / VERDICT_STEP_NS;
}

/* Why a connection is over, as far as it is known. */
static unsigned why_dead(const struct verdict_reasons *reasons)
{
	if (reasons->was_told && reasons->error == VERDICT_RESET)
		return SL_WHY_RESET;
	if ((reasons->was_told && reasons->error == VERDICT_TIMED_OUT) ||
	    reasons->timed_out)
		return SL_WHY_TIMED_OUT;
	/* Our own shutdown may have ended it as well; and nothing but an RST ends a
	 * connection of which no probe and no retransmission waits for an answer. */
	if (reasons->kind != SL_KIND_DEAD || reasons->shut_sending ||
	    reasons->parent_knew || reasons->may_time_out ||
	    (reasons->was_told && reasons->error == VERDICT_ABORTED))
		return 0;
	return SL_WHY_RESET;
}

unsigned verdict_why(const struct verdict_reasons *reasons)
{
	unsigned why =
		reasons->connect_failed ? SL_WHY_CONNECT_FAILED : why_dead(reasons);
	unsigned holders = 0;

	if (reasons->was_told && reasons->error == VERDICT_END_OF_STREAM)
		why |= SL_WHY_EOF_READ;
	if (reasons->shut_sending)
		why |= SL_WHY_SHUT_NOT_CLOSED;
	if (reasons->fin_unread)
		why |= SL_WHY_NEVER_READ;
	/* The end of stream was read, but by no call that we see. */
	if (!why && reasons->kind == SL_KIND_CLOSE_WAIT && !reasons->parent_knew)
		why |= SL_WHY_READ_UNSEEN;
	if (reasons->is_stalled)
		why |= SL_WHY_STALLED;
	if (reasons->is_duplicate)
		holders |= SL_WHY_DUPLICATE;
	if (reasons->is_inherited)
		holders |= SL_WHY_HELD_BY_CHILD;
	return why | holders;
}
