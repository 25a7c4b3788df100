/* What all hooks record: a descriptor that was opened, copied or closed, and the end of a
 * connection. */
#include "hooks/hooks.h"

#include "base/imports.h"
#include "ledger/ledger_writer.h"
#include "scan/helper.h"
#include "scan/scan.h"
#include "track/uses.h"
#include "unwind/origin.h"
#include "unwind/stack.h"

#include <errno.h>
#include <sys/syscall.h>

bool is_on_own_stack(const void *buffer, size_t size)
{
	uint64_t here = (uint64_t)(uintptr_t)__builtin_frame_address(0);
	uint64_t certain = stack_certain_bytes(here, here);
	uint64_t distance = (uint64_t)(uintptr_t)buffer - here;

	return distance < certain && certain - distance >= size;
}

bool is_refused_for_want_of_numbers(int fd)
{
	return fd < 0 && (errno == EMFILE || errno == ENFILE);
}

void wake_scanner(void)
{
	if (origin_has_work() || ledger_is_low)
		helper_wake();
	if (helper_hooks_scan())
		scan_poll();
}

/* Whether our tracking state is open to this thread; a real child begins its own first.
 */
bool may_record(void)
{
	if (!start_hooks_are_on || reentrancy_depth)
		return false;
	if (in_forked_copy()) {
		if (guard_is_sandboxed)
			return false;
		start_child();
	}
	return true;
}

bool opened(int fd, enum sl_call call, enum sl_origin_kind origin_kind, uint64_t bits,
	    const struct sockaddr *peer)
{
	if (!may_record() || !may_drop())
		return false;
	if (__builtin_expect(!start_has_socket, 0)) {
		start_first_socket();
		if (!start_has_socket)
			return false;
	}
	fd_table_remember(fd, call, origin_kind, origin_capture(), bits, peer);
	/* No hook sees what io_uring accepts and connects. */
	if ((bits & ENTRY_CONNECTED) || awaits_connection() || imports_has_rings()) {
		start_await_connection(false);
		start_connection();
	}
	wake_scanner();
	return true;
}

bool is_our_process(void)
{
	if (reentrancy_depth)
		return false;
	switch (guard_process()) {
	case PROCESS_FORKED_CHILD:
		start_child();
		return true;
	case PROCESS_OURS:
		return true;
	default:
		return false;
	}
}

/* Before anything in our tracking state is made or taken away: a vfork child runs in our
 * memory under another pid, and closes descriptors on its way to exec; a thread with a
 * table of its own closes copies of what other threads hold.  If these closes counted as
 * ours, real leaks would be lost.  A process that shares memory and table with us does as
 * a thread does. */
bool may_drop(void)
{
	return (is_our_process() || (!reentrancy_depth && guard_shares_all())) &&
	       !guard_has_own_files;
}

/* The helper may hold a duplicate of this descriptor; then the host's close() would not
 * be the last, and the FIN would be late.  Waits until the duplicate is closed. */
void await_release(int fd)
{
	probe_await_release((unsigned)fd, (unsigned)fd);
}

void scan_before_end(void)
{
	if (helper_hooks_scan())
		scan_poll();
}

__attribute__((noinline)) void ending_known(int fd)
{
	if (fd_table_knows(fd) && may_drop()) {
		scan_before_end();
		fd_table_forget(fd, NULL);
	}
	await_release(fd);
}

/* close_range() that a seccomp filter refuses closes nothing: a call for an empty range
 * shows that.  Filters that were in force at the start cannot be removed, so their answer
 * is kept. */
static bool is_close_range_refused(void)
{
	enum { NOT_ASKED, ALLOWED, REFUSED };
	static _Atomic uint8_t answer;

	if (!guard_has_filter || guard_is_sandboxed)
		return false;
	if (atomic_load(&answer) == NOT_ASKED) {
		bool is_refused = guard_sys(SYS_close_range, ~0U, ~0U, 0) == -EPERM;

		atomic_store(&answer, is_refused ? REFUSED : ALLOWED);
	}
	return atomic_load(&answer) == REFUSED;
}

void ending_range(unsigned first, unsigned last)
{
	if (first <= last && fd_table_knows_any(first, last) && may_drop() &&
	    !is_close_range_refused()) {
		scan_before_end();
		fd_table_forget_range(first, last);
	}
	probe_await_release(first, last);
}

/* If `to` still has an entry, its descriptor was closed unseen. */
void copied(int from, int to)
{
	bool is_known = fd_table_knows(from);

	if (to < 0 || from == to || !(is_known || fd_table_knows(to)) || !may_drop())
		return;
	if (is_known)
		fd_table_copy(from, to);
	else
		fd_table_forget_stale(to, atomic_load(&fd_table_entry(to)->word));
}

void keep_peer(int fd)
{
	struct sockaddr_storage peer;
	socklen_t length = sizeof(peer);

	if (!guard_is_sandboxed && guard_sys(SYS_getpeername, fd, &peer, &length) == 0)
		fd_table_set_peer(fd, (struct sockaddr *)&peer, length);
}

/* The descriptor was opened unseen, and a call told of its end, or shut it.  It may be a
 * file, which has an end, too: the next scan asks what it is. */
void adopt_if_unknown(int fd, bool is_socket)
{
	if (!fd_table_knows(fd) && fd_table_top())
		fd_table_adopt_unseen(fd, is_socket);
}

/* An attempt to connect has failed by now, and notice_refused() was not called for it. */
static bool is_refused_connection(uint64_t word, const struct probe *probe)
{
	return probe->state == STATE_CLOSE && !(word & ENTRY_MPTCP) &&
	       (word & (ENTRY_TRIED | ENTRY_REFUSED)) == ENTRY_TRIED;
}

/* The error, or the 0, of such a call may belong to its other descriptor. */
static bool has_two_ends(enum sl_call call)
{
	return call == SL_CALL_splice || call == SL_CALL_sendfile ||
	       call == SL_CALL_sendfile64;
}

/* Whether what a call returned is certain without asking the kernel: an end of stream
 * where this side was not shut for receiving, a reset, and EPIPE where there was a
 * connection and it was not shut for sending.  Another process that may hold the socket
 * may shut it.
 *
 * What is given up: a thread that was held up between the 0 it read and this, while
 * another one closed the descriptor and a third got its number, notes the end of the
 * third one's socket.  The next scan withdraws that. */
static bool is_certain(const struct fd_entry *entry, enum verdict_error error)
{
	uint64_t word = atomic_load(&entry->word);

	if (notice_is_shutting(entry) || fd_table_may_be_shared(entry))
		return false;
	switch (error) {
	case VERDICT_END_OF_STREAM:
	case VERDICT_RESET:
		return true;
	case VERDICT_ERROR:
		return (word & ENTRY_ESTABLISHED) && !(notice_shut_how(entry) & 2);
	default:
		return false;
	}
}

/* Notes an end that a call told of if the kernel says that the peer has gone, or that the
 * attempt to connect failed.  `again`: the program was told before. */
static void ask_and_tell(int fd, enum sl_call call, enum verdict_error error, bool again)
{
	struct fd_entry entry;
	struct probe probe;

	if (!fd_table_read(fd, &entry))
		return;
	uint64_t word = atomic_load(&entry.word);
	if (probe_socket(fd, word & ENTRY_MPTCP, 0, &probe) != PROBE_TCP)
		return;
	if (!scan_peer_is_gone(word, &probe)) {
		if (error != VERDICT_END_OF_STREAM && is_refused_connection(word, &probe))
			notice_refused(fd);
		return;
	}
	/* After an error nothing can be sent: a program that went on sending after it was
	 * told the first time is told once more, for the last time. */
	if (again && !scan_sent_since_told(&entry, &probe))
		return;
	if (!entry.family)
		keep_peer(fd);
	if (!(word & ENTRY_MPTCP))
		notice_cookie(fd, probe.cookie);
	notice_eof(fd, call, origin_capture(), error);
}

/* Whether a call may tell of an end: a 0 after a local SHUT_RD does not. */
static bool may_tell_an_end(const struct fd_entry *entry, bool by_error)
{
	uint64_t word = atomic_load(&entry->word);
	bool is_socket = !(word & ENTRY_NOT_TCP) || (word & ENTRY_UNSEEN);

	return is_socket &&
	       (!(notice_shut_how(entry) & 1) || (by_error && !(word & ENTRY_MPTCP)));
}

static bool reads_files(enum sl_call call)
{
	return call == SL_CALL_read || call == SL_CALL___read || call == SL_CALL_readv ||
	       call == SL_CALL_preadv2 || call == SL_CALL_preadv64v2 ||
	       call == SL_CALL___read_chk || has_two_ends(call);
}

/* Whether the descriptor is most likely a file: backtraces of files would take the room
 * of those of sockets. */
static bool is_file(uint64_t word, enum sl_call call)
{
	return (word & ENTRY_UNSEEN) && reads_files(call);
}

/* A read returned 0 for a non-zero length, or a call an error that may end a connection.
 * Nothing is asked about a connection that is closed soon: what is certain is noted, and
 * the next scan asks the kernel. */
__attribute__((noinline, cold)) void note_end(int fd, enum sl_call call,
					      enum verdict_error error)
{
	bool by_error = error != VERDICT_END_OF_STREAM;
	struct fd_entry entry;

	if (guard_is_sandboxed || !may_record() ||
	    !(fd_table_knows(fd) || fd_table_top()) || !may_drop())
		return;
	adopt_if_unknown(fd, !reads_files(call));
	if (!fd_table_read(fd, &entry))
		return;
	uint64_t word = atomic_load(&entry.word);
	bool again = notice_was_eof(&entry);
	if ((again && !by_error) || !may_tell_an_end(&entry, by_error))
		return;
	if (again || fd_table_misses_calls() || has_two_ends(call) ||
	    !is_certain(&entry, error) || !(word & (ENTRY_CONNECTED | ENTRY_UNSEEN)))
		ask_and_tell(fd, call, error, again);
	else
		notice_eof(fd, call, is_file(word, call) ? 0 : origin_capture(), error);
	wake_scanner();
}

__attribute__((noinline, cold)) void note_errno(int fd, enum sl_call call)
{
	note_error(fd, call, errno);
}

void note_error(int fd, enum sl_call call, int error_number)
{
	enum verdict_error error;

	if (verdict_error_of(error_number, &error))
		note_end(fd, call, error);
}

/* A connection that was open before our tracking state was is in use. */
static void on_first_use(int fd)
{
	struct fd_entry entry;

	if (fd_table_read(fd, &entry) && (atomic_load(&entry.word) & ENTRY_CONNECTED) &&
	    may_record() && may_drop()) {
		start_await_connection(false);
		start_connection();
	}
}

/* Of splice() and its like the descriptor that was read from. */
static bool receives(enum sl_call call)
{
	return sl_call_reads(call) || call == SL_CALL_recvmsg || call == SL_CALL_recvmmsg;
}

/* A backtrace that waits is left to the next scan: most sockets are used again before
 * that, and few leak. */
static void note_use(int fd, ssize_t bytes, enum sl_call call, bool is_sent)
{
	if (!notes_uses() || bytes <= 0 || !fd_table_knows(fd) || !may_record() ||
	    !may_drop())
		return;
	uses_note(fd, (uint64_t)bytes, call, is_sent);
}

__attribute__((noinline, cold)) ssize_t used(int fd, ssize_t result, enum sl_call call)
{
	if (awaits_connection())
		on_first_use(fd);
	note_use(fd, result, call, !receives(call));
	return result;
}

__attribute__((noinline, cold)) void sent(int fd, ssize_t result, enum sl_call call)
{
	note_use(fd, result, call, true);
}
