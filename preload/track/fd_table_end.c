/* The end of an entry: its descriptor was closed, or found to be another's; and reading an
 * entry, which may end meanwhile. */
#include "track/fd_table.h"

#include "base/clock.h"
#include "base/probe.h"
#include "base/sections.h"
#include "ledger/ledger_writer.h"
#include "track/fd_table_internal.h"
#include "track/socket.h"

static void (*on_release)(int fd, const struct fd_entry *was, bool was_sent);
static void (*on_told_close)(int fd, const struct fd_entry *was);
static _Atomic uint64_t forked_ns;

AT_START void fd_table_on_release(void (*note)(int fd, const struct fd_entry *was,
					       bool was_sent))
{
	on_release = note;
}

AT_START void fd_table_on_told_close(void (*note)(int fd, const struct fd_entry *was))
{
	on_told_close = note;
}

static bool was_open_at_fork(const struct fd_entry *was)
{
	return was->opened_ns < forked_ns;
}

bool fd_table_may_be_shared(const struct fd_entry *entry)
{
	return was_open_at_fork(entry) || entry->fork_depth != fork_depth ||
	       entry->origin_kind == SL_ORIGIN_INHERITED ||
	       entry->origin_kind == SL_ORIGIN_RECEIVED ||
	       (atomic_load(&entry->word) & ENTRY_PASSED);
}

/* A connection that was opened here, and that another process may hold when the last
 * descriptor of this one is closed.  A socket that a child inherited is noted by its
 * parent. */
static bool may_be_released(const struct fd_entry *was)
{
	const uint64_t other = ENTRY_NOT_TCP | ENTRY_MPTCP | ENTRY_EXPECTED;
	uint64_t word = atomic_load(&was->word);

	return (word & ENTRY_CONNECTED) && !(word & other) &&
	       was->fork_depth == fork_depth && was->origin_kind != SL_ORIGIN_INHERITED &&
	       (was_open_at_fork(was) || (word & ENTRY_PASSED));
}

static bool was_told(const struct fd_entry *was)
{
	return socket_facts(socket_of(was), was->socket_id) &
	       (SOCKET_EOF | SOCKET_REFUSED);
}

/* A child, or the program that it executes, may still hold the socket that this process
 * closes; its origin is then in our ledger alone.  And a socket that came over an exec
 * may be a leak in the ledger of the former program: the row says that it was closed. */
static void publish_released(int fd, const struct fd_entry *was)
{
	uint64_t word = atomic_load(&was->word);
	bool is_childs = was_open_at_fork(was) && was->call != SL_CALL_NONE;
	/* What was opened before the fork that made this process is reported by the
	 * parent, unless this process has a ledger already. */
	bool is_wanted =
		was->fork_depth == fork_depth ? ledger_is_wanted() : ledger_is_kept();

	if (!is_wanted || !(is_childs || was->origin_kind == SL_ORIGIN_INHERITED))
		return;
	ledger_note_passed(&(struct ledger_passed){
		.cookie = was->scanned_gen == ENTRY_GENERATION(word)
				  ? was->cookie
				  : probe_cookie(fd, word & ENTRY_MPTCP),
		.opened_ns = was->opened_ns,
		.origin = atomic_load(&was->origin),
		.fd = fd,
		.call = was->call,
		.origin_kind = was->origin_kind,
	});
}

bool fd_table_drop_hold(uint64_t word)
{
	uint32_t record = ENTRY_RECORD(word);

	if (!record)
		return true;
	uint32_t socket_id = socket_id_of(socket_at(record));
	if (socket_drop_hold(record, 0))
		return false;
	socket_free(record, socket_id);
	return true;
}

/* Returns whether it was the last of this process to hold the socket. */
static bool count_end(const struct fd_entry *was, uint64_t ended_ns)
{
	uint64_t word = atomic_load(&was->word);

	if (ENTRY_RECORD(word) && socket_drop_hold(ENTRY_RECORD(word), ended_ns))
		return false;
	if (word & ENTRY_NOT_TCP)
		return true;
	/* What was inherited over fork was never counted as opened here. */
	if (was->fork_depth == fork_depth)
		atomic_fetch_add_explicit(&fd_table_counts.closed, 1,
					  memory_order_release);
	return true;
}

void fd_table_count_sockets(uint64_t *opened, uint64_t *closed)
{
	/* `closed` is read first: a socket that is closed later may have been opened
	 * later, too. */
	*closed = atomic_load(&fd_table_counts.closed);
	*opened = atomic_load(&fd_table_counts.opened);
	/* A close that failed, or that a duplicate has overtaken, may be taken back
	 * before it is counted: then `closed` is below 0, or the larger one, for a
	 * moment. */
	if (*closed > *opened)
		*closed = (int64_t)*closed < 0 ? 0 : *opened;
}

/* With the scanning thread's part, for a copy that it reads. */
static UNCHECKED void copy_entry(struct fd_entry *to, const struct fd_entry *from)
{
	fd_table_copy_birth(to, from);
	to->scanned_gen = from->scanned_gen;
	to->cookie = from->cookie;
}

/* Where the word refers to a record the socket id is that one's, whatever stands in the
 * entry: fd_table_join() changes the word first. */
static void take_word(struct fd_entry *copy, uint64_t word)
{
	atomic_store_explicit(&copy->word, word, memory_order_relaxed);
	if (ENTRY_RECORD(word))
		copy->socket_id = socket_id_of(socket_at(ENTRY_RECORD(word)));
}

/* Whether a copy that was made at the first word is one at the second. */
static bool is_same(uint64_t word, uint64_t now)
{
	return ENTRY_GENERATION(word) == ENTRY_GENERATION(now) &&
	       (!ENTRY_RECORD(word) || ENTRY_RECORD(word) == ENTRY_RECORD(now));
}

bool fd_table_read(int fd, struct fd_entry *copy)
{
	struct fd_entry *entry = fd_table_entry(fd);
	uint64_t word =
		entry ? atomic_load_explicit(&entry->word, memory_order_acquire) : 0;

	if (!word)
		return false;
	copy_entry(copy, entry);
	take_word(copy, word);
	atomic_thread_fence(memory_order_acquire);
	return is_same(word, atomic_load(&entry->word));
}

/* The time of a close, where the next scan will report that a leak was closed: that scan
 * may come long after. */
static uint64_t time_of_end(const struct fd_entry *was)
{
	const struct socket *one = socket_of(was);

	return socket_is_gone(one, was->socket_id) ||
			       (socket_facts(one, was->socket_id) & SOCKET_CLOSED_LATE)
		       ? clock_now_ns()
		       : 0;
}

/* The rest of the end of an entry whose word was taken away; `kept` is a copy of the
 * entry. */
static void end_entry(int fd, const struct fd_entry *kept, bool may_note)
{
	bool is_tcp = !(atomic_load(&kept->word) & ENTRY_NOT_TCP);
	bool is_released = may_note && may_be_released(kept);

	if (is_tcp && may_note && !is_released && on_told_close && was_told(kept))
		on_told_close(fd, kept);
	uint64_t ended_ns = time_of_end(kept);
	if (count_end(kept, ended_ns) && is_released && on_release)
		on_release(fd, kept, !was_open_at_fork(kept));
	if (is_tcp && may_note)
		publish_released(fd, kept);
	if (is_tcp && may_note)
		ledger_end_row(fd, ended_ns);
	else if (is_tcp) /* its number may be another's by now */
		fd_table_end_row(fd, ended_ns);
}

void fd_table_confirm(const struct fd_entry *was)
{
	uint32_t record = ENTRY_RECORD(atomic_load(&was->word));

	if (record)
		socket_free(record, was->socket_id);
}

bool fd_table_forget(int fd, struct fd_entry *was)
{
	struct fd_entry *entry = fd_table_entry(fd);
	struct fd_entry kept;

	if (!entry || !atomic_load_explicit(&entry->word, memory_order_acquire))
		return false;
	copy_entry(&kept, entry);
	uint64_t word = atomic_exchange(&entry->word, 0);
	if (!word)
		return false;
	/* Later writes into the entry must not be visible before the word is 0. */
	atomic_thread_fence(memory_order_release);
	take_word(&kept, word);
	end_entry(fd, &kept, true);
	if (was)
		*was = kept;
	else
		fd_table_confirm(&kept);
	return true;
}

bool fd_table_forget_stale(int fd, uint64_t word)
{
	struct fd_entry *entry = fd_table_entry(fd);
	struct fd_entry kept;

	if (!entry)
		return false;
	copy_entry(&kept, entry);
	if (!atomic_compare_exchange_strong(&entry->word, &word, 0))
		return false;
	atomic_thread_fence(memory_order_release); /* as in fd_table_forget() */
	if (!(word & ENTRY_NOT_TCP))
		fd_table_note_missed_call();
	take_word(&kept, word);
	end_entry(fd, &kept, false);
	fd_table_confirm(&kept);
	return true;
}

void fd_table_restore(int fd, const struct fd_entry *was)
{
	struct fd_entry *entry = fd_table_entry(fd);
	uint64_t word = atomic_load(&was->word);
	uint32_t n_before = 0;

	if (!entry || atomic_load(&entry->word))
		return fd_table_confirm(was);
	if (ENTRY_RECORD(word) &&
	    !socket_hold(ENTRY_RECORD(word), was->socket_id, &n_before))
		word &= ~ENTRY_RECORD_MASK;
	else if (ENTRY_RECORD(word))
		socket_change_facts(socket_of(was), was->socket_id, 0,
				    SOCKET_CLOSED_LATE);
	fd_table_copy_birth(entry, was);
	atomic_store_explicit(&entry->word, word, memory_order_release);
	if (word & ENTRY_NOT_TCP)
		return;
	if (!n_before && was->fork_depth == fork_depth)
		atomic_fetch_sub(&fd_table_counts.closed, 1);
	fd_table_publish(fd, entry);
}

void fd_table_forget_range(unsigned first, unsigned last)
{
	unsigned top = fd_table_top();

	for (unsigned fd = fd_table_skip(first, top); fd <= last && fd < top;
	     fd = fd_table_skip(fd + 1, top))
		fd_table_forget((int)fd, NULL);
}

bool fd_table_knows_any(unsigned first, unsigned last)
{
	unsigned top = fd_table_top();

	for (unsigned fd = fd_table_skip(first, top); fd <= last && fd < top;
	     fd = fd_table_skip(fd + 1, top))
		if (fd_table_knows((int)fd))
			return true;
	return false;
}

void fd_table_note_fork(uint64_t now_ns)
{
	forked_ns = now_ns;
}
