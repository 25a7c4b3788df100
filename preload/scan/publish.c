/* The rows of the ledger, as a scan writes them. */
#include "scan/scan_internal.h"

#include "base/clock.h"
#include "ledger/ledger_writer.h"
#include "report/publish_records.h"
#include "unwind/origin.h"

#include <string.h>

void publish_describe_end(const struct socket_end *end, struct sl_descriptor *row)
{
	row->verdict = end->verdict;
	row->kind = end->kind;
	row->why = end->why;
	row->scanned_ns = end->scanned_ns;
	row->inode = end->inode;
	row->peer_gone_since_ns = end->peer_gone_since_ns;
	row->idle_since_ns = end->idle_since_ns;
	row->sent_ns = end->sent_ns;
	row->unread_bytes = end->unread_bytes;
	row->kernel_bytes = end->kernel_bytes;
	row->is_sending = end->is_sending;
	row->local_port = end->local_port;
	if (end->family)
		row->family = end->family;
	memcpy(row->local, end->local, sizeof(row->local));
}

static void describe_end(struct sl_descriptor *d, const struct fd_scan *scanned)
{
	const struct socket_end *end = scanned->end;

	publish_describe_end(end, d);
	if (scanned->runs_on && end->verdict == SL_LEAK_EXIT)
		d->verdict = SL_PENDING;
	d->was_found_by_check = end->was_found_by_check;
	d->flags |= (end->peer_forgot ? SL_ROW_FORGOTTEN_PEER : 0) |
		    (end->was_leak ? SL_ROW_WAS_LEAK : 0);
}

static void describe_told(struct sl_descriptor *d, const struct fd_scan *scanned,
			  const struct eof_notice *notice)
{
	bool by_shutdown;

	d->told_ns = age_when_told(scanned->end, notice, &by_shutdown);
	if (by_shutdown) {
		d->eof_call = SL_CALL_shutdown;
		d->eof_origin = origin_resolve(notice->shut_origin);
	} else if (notice->eof_ns) {
		d->eof_call = notice->eof_call;
		d->eof_origin = origin_resolve(notice->eof_origin);
	}
}

/* Its row in the ledger.  `notice`: what the program was told of it; NULL where its peer is
 * there. */
static struct sl_descriptor describe(const struct fd_scan *scanned,
				     const struct eof_notice *notice)
{
	const struct fd_entry *entry = &scanned->entry;
	uint64_t word = atomic_load(&entry->word);
	struct sl_descriptor d;

	fd_table_describe(entry, &d);
	d.state = scanned->probe.state;
	d.cookie = entry->cookie;
	d.origin = origin_resolve(d.origin);
	d.flags |= (is_inherited(entry) ? SL_ROW_INHERITED : 0) |
		   (word & ENTRY_EXPECTED ? SL_ROW_EXPECTED : 0) |
		   (word & ENTRY_PASSED ? SL_ROW_PASSED : 0) |
		   (word & ENTRY_MPTCP ? SL_ROW_MPTCP : 0) |
		   (ends_with_the_program(scanned) ? SL_ROW_ENDS_WITH_PROGRAM : 0);
	if (scanned->is_gone)
		describe_end(&d, scanned);
	if (notice)
		describe_told(&d, scanned, notice);
	uses_describe(scanned->fd, entry, &d);
	return d;
}

bool publish(const struct fd_scan *scanned, const struct eof_notice *notice)
{
	struct sl_descriptor row = describe(scanned, notice);
	bool is_whole;

	if (!ledger_publish_current(scanned->fd, &row, fd_table_has_generation,
				    scanned->generation, &is_whole)) {
		fd_table_correct_row(scanned->fd);
		return false;
	}
	/* The program was told after `notice` was read: the hook has written that into
	 * the row already. */
	if (!(notice && notice->eof_ns) && notice_was_eof_of(scanned->fd))
		fd_table_tell_row(scanned->fd);
	return is_whole;
}

void publish_closed(const struct fd_scan *was, uint64_t ended_ns)
{
	struct eof_notice notice;

	notice_read(&was->entry, &notice);
	struct sl_descriptor entry = describe(was, &notice);
	entry.held = 0;
	entry.ended_ns = ended_ns;
	ledger_closed(was->fd, &entry);
}

bool is_unwritten(int fd)
{
	return ledger_is_kept() && !ledger_has(fd);
}

/* A stamp of what the ledger has of an entry whose peer is there: the generation of the
 * entry, which of the marks that come later, and its last use. */
static uint32_t stamp_of(const struct fd_scan *scanned)
{
	struct use use;

	uses_read(scanned->fd, &scanned->entry, &use);
	uint64_t marks = atomic_load(&scanned->entry.word) &
			 (ENTRY_DUPLICATED | ENTRY_PASSED | ENTRY_EXPECTED | ENTRY_MPTCP);

	return scanned->generation ^ (uint32_t)marks << 24 ^
	       atomic_load(&scanned->entry.origin) * UINT32_C(0x9e3779b1) ^
	       (uint32_t)(use.ns * UINT64_C(0x9e3779b97f4a7c15) >> 32) ^
	       use.origin * UINT32_C(0x85ebca6b);
}

void publish_connected(const struct fd_scan *scanned, struct fd_entry *entry)
{
	uint32_t stamp = stamp_of(scanned);

	if (entry->published != stamp || is_unwritten(scanned->fd))
		entry->published = publish(scanned, NULL) ? stamp : 0;
}

/* Of a descriptor whose backtrace, or that of its end of stream, waited to be unwound. */
static void resolve_row(int fd, struct fd_entry *entry)
{
	struct fd_entry copy;
	struct eof_notice notice;
	struct use use;
	uint32_t was = atomic_load(&entry->origin), now = origin_resolve(was);

	if (now != was)
		atomic_compare_exchange_strong(&entry->origin, &was, now);
	if (!fd_table_read(fd, &copy))
		return;
	notice_resolve(&copy);
	notice_read(&copy, &notice);
	uses_resolve(fd, &copy);
	uses_read(fd, &copy, &use);
	if (now == was && !notice.eof_origin && !use.ns)
		return;
	ledger_resolve(fd, copy.socket_id, atomic_load(&copy.origin), notice.eof_origin,
		       use.origin);
}

void publish_resolved(void)
{
	if (!ledger_is_kept())
		return;
	publish_records();
	unsigned top = fd_table_top();
	for (unsigned fd = fd_table_skip(0, top); fd < top;
	     fd = fd_table_skip(fd + 1, top))
		if (fd_table_knows((int)fd))
			resolve_row((int)fd, fd_table_entry((int)fd));
}

void publish_missing(void)
{
	unsigned top = fd_table_top();

	for (unsigned fd = fd_table_skip(0, top); fd < top;
	     fd = fd_table_skip(fd + 1, top))
		if (fd_table_knows((int)fd) && is_unwritten((int)fd))
			fd_table_correct_row((int)fd);
}
