/* See notices.h. */
#include "track/notices.h"

#include "base/clock.h"
#include "ledger/ledger_writer.h"
#include "track/fd_table_internal.h"
#include "track/socket.h"
#include "unwind/origin.h"

#include <string.h>

/* Since this tracking state began: of a TCP socket, and of what is not known to be one.
 */
static _Atomic bool was_told_here, was_told_of_unseen;

static uint8_t shut_how(uint32_t facts)
{
	return (facts & SOCKET_SHUT_HOW) / SOCKET_SHUT_HOW_UNIT;
}

static uint32_t facts_of(const struct fd_entry *entry)
{
	return socket_facts(socket_of(entry), entry->socket_id);
}

/* Told of an end in this process, not in the one that it was forked from. */
UNCHECKED bool notice_was_eof(const struct fd_entry *entry)
{
	const struct socket *one = socket_of(entry);

	return (facts_of(entry) & SOCKET_EOF) && one->eof_fork_depth == fork_depth;
}

bool notice_was_eof_of(int fd)
{
	struct fd_entry entry;

	return fd_table_read(fd, &entry) && notice_was_eof(&entry);
}

uint8_t notice_shut_how(const struct fd_entry *entry)
{
	return shut_how(facts_of(entry));
}

/* A notice that a hook writes meanwhile may be lost, but only where the former one was
 * wrong, too. */
UNCHECKED bool notice_withdraw(const struct fd_entry *entry, uint64_t before_ns)
{
	struct socket *one = socket_of(entry);

	if (!(socket_facts(one, entry->socket_id) & SOCKET_EOF) ||
	    one->eof_ns >= before_ns)
		return false;
	socket_change_facts(one, entry->socket_id, 0, SOCKET_EOF);
	return true;
}

UNCHECKED bool notice_before_fork(const struct fd_entry *entry)
{
	const struct socket *one = socket_of(entry);
	uint32_t facts = socket_facts(one, entry->socket_id);

	return ((facts & SOCKET_EOF) && one->eof_fork_depth != fork_depth) ||
	       ((facts & SOCKET_SHUT) && one->shut_fork_depth != fork_depth);
}

/* A hook may write another origin at the same time: then that one stays. */
static void resolve_origin(_Atomic uint32_t *word)
{
	uint32_t was = atomic_load(word), now = origin_resolve(was);

	if (now != was)
		atomic_compare_exchange_strong(word, &was, now);
}

void notice_resolve(const struct fd_entry *entry)
{
	struct socket *one = socket_of(entry);

	if (!one)
		return;
	resolve_origin(&one->eof_origin);
	resolve_origin(&one->shut_origin);
}

UNCHECKED void notice_read(const struct fd_entry *entry, struct eof_notice *notice)
{
	const struct socket *one = socket_of(entry);
	uint32_t facts = socket_facts(one, entry->socket_id);

	memset(notice, 0, sizeof(*notice));
	if ((facts & SOCKET_EOF) && one->eof_fork_depth == fork_depth) {
		notice->eof_ns = one->eof_ns;
		notice->eof_origin = atomic_load(&one->eof_origin);
		notice->eof_call = one->eof_call;
		notice->error = one->eof_error;
	}
	if ((facts & SOCKET_SHUT) && one->shut_fork_depth == fork_depth) {
		notice->shut_ns = one->shut_ns;
		notice->shut_how = shut_how(facts);
		notice->shut_origin = atomic_load(&one->shut_origin);
	}
	if (facts & SOCKET_REFUSED)
		notice->refused_ns = one->refused_ns;
}

static UNCHECKED void write_eof(struct socket *one, enum sl_call call, uint32_t origin,
				enum verdict_error error, uint64_t now_ns)
{
	one->eof_ns = now_ns;
	atomic_store_explicit(&one->eof_origin, origin, memory_order_release);
	one->eof_call = (uint8_t)call;
	one->eof_fork_depth = fork_depth;
	one->eof_error = (uint8_t)error;
}

/* Each store would lock the line, and only the first one changes it. */
static void note_that_told(_Atomic bool *was_told)
{
	if (!atomic_load_explicit(was_told, memory_order_relaxed))
		atomic_store(was_told, true);
}

void notice_eof(int fd, enum sl_call call, uint32_t origin, enum verdict_error error)
{
	struct fd_entry entry;
	struct socket *one = fd_table_make_socket(fd, &entry);

	if (!one) {
		atomic_fetch_add(&fd_table_counts.missed, fd_table_knows(fd));
		return;
	}
	uint64_t now_ns = clock_now_ns();
	write_eof(one, call, origin, error, now_ns);
	socket_change_facts(one, entry.socket_id, SOCKET_EOF, 0);
	note_that_told(atomic_load(&entry.word) & ENTRY_NOT_TCP ? &was_told_of_unseen
								: &was_told_here);
	ledger_told(fd, now_ns, call);
}

UNCHECKED void notice_cookie(int fd, uint64_t cookie)
{
	struct fd_entry entry;
	struct socket *one = cookie ? fd_table_make_socket(fd, &entry) : NULL;

	if (!one)
		return;
	one->cookie = cookie;
	socket_change_facts(one, entry.socket_id, SOCKET_IDENTIFIED, 0);
	ledger_identify(fd, cookie);
}

UNCHECKED uint64_t notice_cookie_of(const struct fd_entry *entry)
{
	const struct socket *one = socket_of(entry);

	return socket_facts(one, entry->socket_id) & SOCKET_IDENTIFIED ? one->cookie : 0;
}

void notice_shutting(int fd, bool is_under_way)
{
	struct fd_entry entry;
	struct socket *one = fd_table_make_socket(fd, &entry);

	if (one)
		socket_change_facts(one, entry.socket_id,
				    is_under_way ? SOCKET_SHUTTING : 0,
				    is_under_way ? 0 : SOCKET_SHUTTING);
}

bool notice_is_shutting(const struct fd_entry *entry)
{
	return facts_of(entry) & SOCKET_SHUTTING;
}

UNCHECKED void notice_shutdown(int fd, int how, uint32_t origin)
{
	static const uint32_t directions[] = {1, 2, 3}; /* SHUT_RD, SHUT_WR, SHUT_RDWR */
	struct fd_entry entry;
	struct socket *one = how >= SHUT_RD && how <= SHUT_RDWR
				     ? fd_table_make_socket(fd, &entry)
				     : NULL;

	if (!one)
		return;
	one->shut_ns = clock_now_ns();
	atomic_store(&one->shut_origin, origin);
	one->shut_fork_depth = fork_depth;
	socket_change_facts(one, entry.socket_id,
			    SOCKET_SHUT | directions[how] * SOCKET_SHUT_HOW_UNIT, 0);
	note_that_told(&was_told_here);
}

UNCHECKED void notice_refused(int fd)
{
	struct fd_entry entry;

	fd_table_set_bits(fd, ENTRY_TRIED | ENTRY_REFUSED);
	struct socket *one = fd_table_make_socket(fd, &entry);
	if (!one)
		return;
	one->refused_ns = clock_now_ns();
	socket_change_facts(one, entry.socket_id, SOCKET_REFUSED, 0);
}

UNCHECKED void notice_take_over(const struct fd_entry *from, const struct fd_entry *to)
{
	const uint32_t any = SOCKET_EOF | SOCKET_SHUT | SOCKET_SHUT_HOW;
	struct socket *old = socket_of(from), *one = socket_of(to);
	uint32_t facts = socket_facts(old, from->socket_id) & any;

	if (!one || !facts || (socket_facts(one, to->socket_id) & any))
		return;
	one->eof_ns = old->eof_ns;
	atomic_store(&one->eof_origin, atomic_load(&old->eof_origin));
	one->eof_call = old->eof_call;
	one->eof_fork_depth = old->eof_fork_depth;
	one->eof_error = old->eof_error;
	one->shut_ns = old->shut_ns;
	atomic_store(&one->shut_origin, atomic_load(&old->shut_origin));
	one->shut_fork_depth = old->shut_fork_depth;
	socket_change_facts(one, to->socket_id, facts, 0);
}

/* A call said that it ended, and it is still open: a file, or a socket opened unseen. */
static bool holds_ended_unseen(void)
{
	struct fd_entry entry;

	for (int fd = 0; fd < (int)fd_table_top(); fd++)
		if (fd_table_read(fd, &entry) &&
		    (atomic_load(&entry.word) & ENTRY_UNSEEN) && notice_was_eof(&entry))
			return true;
	return false;
}

bool notices_are_none(void)
{
	return !atomic_load(&was_told_here) &&
	       !(atomic_load(&was_told_of_unseen) && holds_ended_unseen());
}

void notices_fork_child(void)
{
	atomic_store(&was_told_here, false);
	atomic_store(&was_told_of_unseen, false);
}
