/* See age.h. */
#include "scan/age.h"

#include "base/clock.h"
#include "scan/downtime.h"

/* Since when the peer of a socket that is seen so for the first time has been gone. */
static uint64_t first_gone_ns(uint64_t opened_ns, const struct eof_notice *notice,
			      const struct probe *probe, uint64_t now_ns)
{
	uint64_t age_ns = 0;

	/* The last ACK came with the FIN or later.  For a socket in CLOSE nothing says
	 * when the peer went. */
	if (probe->state != STATE_CLOSE && !probe->is_mptcp) {
		age_ns = probe->last_ack_ms * MS;
		if (age_ns > fd_table_since_ns(opened_ns, now_ns))
			age_ns = fd_table_since_ns(opened_ns, now_ns);
	}
	/* When the program read the end of stream the peer had gone already. */
	if (notice->eof_ns && age_ns < fd_table_since_ns(notice->eof_ns, now_ns))
		age_ns = fd_table_since_ns(notice->eof_ns, now_ns);
	if (notice->refused_ns && age_ns < fd_table_since_ns(notice->refused_ns, now_ns))
		age_ns = fd_table_since_ns(notice->refused_ns, now_ns);
	return now_ns - age_ns;
}

/* The last time at which sending may have made progress. */
static uint64_t last_progress_ns(const struct probe *probe, uint64_t now_ns)
{
	uint64_t ago_ns = probe->is_mptcp ? 0 : probe->last_acked_ms * MS;

	return ago_ns < now_ns ? now_ns - ago_ns : 0;
}

static void begin_age(struct socket_end *end, uint32_t socket_id,
		      const struct age_bounds *bounds, const struct eof_notice *notice,
		      const struct probe *probe, uint64_t now_ns)
{
	uint64_t progress_ns = probe->is_sending ? last_progress_ns(probe, now_ns) : 0;

	end->peer_gone_since_ns = first_gone_ns(bounds->opened_ns, notice, probe, now_ns);
	/* A child has held what it inherited since the fork, not longer. */
	if (end->peer_gone_since_ns < bounds->counts_from_ns)
		end->peer_gone_since_ns = bounds->counts_from_ns;
	end->idle_since_ns = end->peer_gone_since_ns;
	if (progress_ns > end->idle_since_ns)
		end->idle_since_ns = progress_ns;
	end->verdict = SL_PENDING;
	end->was_leak = end->was_found_by_check = false;
	end->leak_group = NULL;
	end->written = probe->written;
	end->acked = probe->acked;
	end->sent_ns = 0;
	end->gone_id = socket_id;
}

/* Bytes that wait to be sent are no progress, nor are their retransmissions: only what
 * the peer acknowledges is. */
static void age_sending(struct socket_end *end, const struct probe *probe,
			uint64_t now_ns)
{
	/* For a socket that never sent the kernel counts from a time before the boot. */
	uint64_t since_sent_ns = probe->last_sent_ms * MS;
	bool knows_sent = probe->last_sent_ms != UINT32_MAX && since_sent_ns < now_ns;
	bool has_progressed = probe->acked != end->acked;

	if (probe->is_sending && !has_progressed)
		return;
	if (knows_sent)
		end->sent_ns = now_ns - since_sent_ns;
	else if (end->written != probe->written)
		end->sent_ns = now_ns;
	uint64_t progress_ns =
		probe->is_sending ? last_progress_ns(probe, now_ns) : end->sent_ns;
	if (progress_ns > end->idle_since_ns)
		end->idle_since_ns = progress_ns;
	end->written = probe->written;
	end->acked = probe->acked;
}

void age_update(struct socket_end *end, uint32_t socket_id,
		const struct age_bounds *bounds, const struct eof_notice *notice,
		const struct probe *probe, uint64_t now_ns)
{
	uint64_t last_scanned_ns = end->gone_id == socket_id ? end->scanned_ns : 0;

	if (end->gone_id != socket_id)
		begin_age(end, socket_id, bounds, notice, probe, now_ns);
	end->state = probe->state;
	end->kind = verdict_kind(probe->state);
	end->scanned_ns = now_ns;
	end->is_sending = probe->is_sending;
	age_sending(end, probe, now_ns);
	end->idle_since_ns = downtime_skip(end->idle_since_ns, last_scanned_ns);
}

uint64_t age_when_told(const struct socket_end *end, const struct eof_notice *notice,
		       bool *by_shutdown)
{
	struct verdict_telling telling = {notice->eof_ns, notice->shut_ns,
					  notice->shut_how};

	return verdict_told_ns(&telling, end->kind, end->sent_ns, by_shutdown);
}

struct verdict_facts age_facts(const struct socket_end *end,
			       const struct eof_notice *notice, uint64_t now_ns)
{
	bool by_shutdown;

	return (struct verdict_facts){
		.kind = end->kind,
		.idle_since_ns = end->idle_since_ns,
		.told_ns = age_when_told(end, notice, &by_shutdown),
		.sent_ns = end->sent_ns,
		.now_ns = now_ns,
		.is_sending = end->is_sending,
		.was_leak = end->was_leak,
		.was_found_by_check = end->was_found_by_check,
	};
}
