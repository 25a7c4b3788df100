/* The row of an entry in the ledger.
 *
 * A hook changes the entry and then writes the row.  The scanning thread has read the
 * entry some time before it writes: after it has taken the row it asks whether its copy
 * of the entry is current (ledger_publish_current()), and where it is not writes the
 * entry as it is by then.  So a row says what its entry says as soon as the hook returns,
 * also if the process is killed then. */
#include "track/fd_table.h"

#include "base/clock.h"
#include "ledger/ledger_writer.h"
#include "track/fd_table_internal.h"
#include "track/notices.h"
#include "track/uses.h"

#include <string.h>

#define MAX_TRIES 8 /* a number may be used again meanwhile, and again */

bool fd_table_has_generation(int fd, uint32_t generation)
{
	const struct fd_entry *entry = fd_table_entry(fd);

	return ENTRY_GENERATION(entry ? atomic_load(&entry->word) : 0) == generation;
}

UNCHECKED void fd_table_describe(const struct fd_entry *entry, struct sl_descriptor *d)
{
	uint64_t word = atomic_load(&entry->word);

	*d = (struct sl_descriptor){
		.held = 1,
		.call = entry->call,
		.origin_kind = entry->origin_kind,
		.opened_ns = entry->opened_ns,
		.origin = atomic_load(&entry->origin),
		.name = entry->name,
		.family = entry->family,
		.peer_port = entry->peer_port,
		.socket_id = entry->socket_id,
		.flags = word & ENTRY_DUPLICATED ? SL_ROW_DUPLICATED : 0,
	};
	memcpy(d->peer, entry->peer, sizeof(d->peer));
}

static void describe(int fd, const struct fd_entry *entry, struct sl_descriptor *d)
{
	fd_table_describe(entry, d);
	if (uses_are_noted)
		uses_describe(fd, entry, d);
}

void fd_table_publish(int fd, const struct fd_entry *entry)
{
	struct sl_descriptor d;

	if (!ledger_is_kept())
		return;
	describe(fd, entry, &d);
	ledger_publish(fd, &d);
}

void fd_table_tell_row(int fd)
{
	struct fd_entry entry;
	struct eof_notice notice;

	if (!fd_table_read(fd, &entry))
		return;
	notice_read(&entry, &notice);
	if (notice.eof_ns)
		ledger_told(fd, notice.eof_ns, notice.eof_call);
}

static bool write_row(int fd, const struct fd_entry *entry)
{
	uint32_t generation = ENTRY_GENERATION(atomic_load(&entry->word));
	struct sl_descriptor d;
	bool is_whole;

	describe(fd, entry, &d);
	if (!ledger_publish_current(fd, &d, fd_table_has_generation, generation,
				    &is_whole))
		return false;
	if (notice_cookie_of(entry))
		ledger_identify(fd, notice_cookie_of(entry));
	fd_table_tell_row(fd);
	return true;
}

/* `entry` is what stands there now; NULL = nothing. */
static bool write_present(int fd, const struct fd_entry *entry)
{
	uint64_t word = entry ? atomic_load(&entry->word) : 0;

	if (word && !(word & ENTRY_NOT_TCP))
		return write_row(fd, entry);
	return ledger_end_current(fd, fd_table_has_generation, ENTRY_GENERATION(word),
				  clock_now_ns());
}

void fd_table_correct_row(int fd)
{
	for (unsigned tries = 0; ledger_is_kept() && tries < MAX_TRIES; tries++) {
		struct fd_entry entry;
		bool is_read = fd_table_read(fd, &entry);

		if ((is_read || !fd_table_knows(fd)) &&
		    write_present(fd, is_read ? &entry : NULL))
			return;
	}
}

void fd_table_end_row(int fd, uint64_t ended_ns)
{
	if (!ledger_end_current(fd, fd_table_has_generation, 0, ended_ns))
		fd_table_correct_row(fd);
}
