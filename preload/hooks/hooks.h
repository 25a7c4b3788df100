/* What the files of this folder share.  Each hook carries the name and the parameters of
 * its manual page.  A hook that makes a descriptor calls first and remembers second; one
 * that ends a descriptor forgets first and calls second: the kernel gives the lowest free
 * number to the next call of any thread, and forgetting afterwards could erase that
 * newcomer's entry.  Nothing is held across the next definition's call, and a thread that
 * is cancelled inside it leaves no trace but, at worst, a lost entry that the next scan
 * finds again.
 *
 *     open.c        socket, accept, connect
 *     pass.c        recvmsg, sendmsg and their like: descriptors over Unix sockets
 *     copy.c        dup, dup2, dup3, fcntl
 *     close.c       close, close_range, closefrom, fclose, freopen, shutdown
 *     read_write.c  read, recv, write, send and their like, getsockopt
 *     exit.c        _exit, quick_exit
 *     children.c    vfork, clone, posix_spawn, popen, system
 *     execute.c     execve and its like
 *     rights.c      credentials, namespaces, sandboxes
 *     cancel.c      pthread_cancel
 *     libunwind_calls.c   what libunwind itself asks for
 *     syscall.c     any of these by number
 *     record.c      what all of them record
 *
 * A new call:
 *  - common/calls.h: a line at the end (OPTIONAL where an older C library lacks it);
 *  - base/next.c: a fallback in EARLY_TABLE; base/next.h (and tests/lib/undeclared.h):
 *    its prototype, if the C library's headers have none;
 *  - a hook in a file of this folder; syscall.c, if programs make it by syscall(2): before
 *    the call, after it, and in the list of numbers;
 *  - preload/order.ld, if every connection makes it;
 *  - base/imports.c: is_of_sockets(), if only programs with connections call it;
 *  - common/calls.h: sl_call_accepts() and its like, if it is one of that kind, and
 *    common/text_parts.c: how the report words a call that opens;
 *  - record.c: reads_files() and has_two_ends(), and kind_by_call() of
 *    tools/judge/judge.c, if it can tell the program of an end; receives(), if it moves
 *    data, and tests/fixtures/uses.c;
 *  - libsockleak.7: the list of calls, and that of numbers;
 *  - tests/fixtures/calls/, in the file that says what it does, and guest_small_stacks.c
 *    (tests/e2e/calls.bats and small_stacks.bats ask for each line), guest_signals.c if
 *    it is a cancellation point, tests/unit/ledger_layout_test.c: its number.
 *
 * A hook takes at most 1,536 bytes of the stack it is called on, but for the capture of a
 * language's frames (tests/e2e/small_stacks.bats counts them); what takes more goes by
 * room_run().
 *
 * All functions here: any thread, any signal handler; none touches errno, for they make
 * raw system calls only. */
#ifndef SOCKLEAK_HOOKS_H
#define SOCKLEAK_HOOKS_H

#include "base/guard.h"
#include "base/next.h"
#include "base/probe.h"
#include "base/single_thread.h"
#include "base/unchecked.h"
#include "common/ledger.h"
#include "common/verdict.h"
#include "start.h"
#include "track/notices.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#define EXPORT __attribute__((visibility("default")))

#define PROTOCOL_TCP 6
#define MAX_PASSED   253 /* SCM_MAX_FD: descriptors in one message */

/* record.c */

/* The host's buffer lies on the stack of this thread, above the caller's frame: another
 * thread cannot take it away, and it may be read in place. */
bool is_on_own_stack(const void *buffer, size_t size);
/* Whether this thread may write into the tracking state; a child that was forked without
 * fork's handlers begins its own first. */
bool may_record(void);
/* False in a vfork child, which runs in our memory under another pid, and on top of our
 * own work. */
bool is_our_process(void);
/* Asked before anything is taken from the tracking state.  Also false in a thread that
 * has a descriptor table of its own; true in a process that shares ours. */
bool may_drop(void);
/* `fd` was opened by `call`; `bits` as in fd_table.h; `peer` may be NULL.  Returns
 * whether it was recorded.  What a vfork child opens is not: it runs in its parent's
 * memory, where the entry would be taken for the parent's, and a helper that it started
 * would end with it. */
bool opened(int fd, enum sl_call call, enum sl_origin_kind origin_kind, uint64_t bits,
	    const struct sockaddr *peer);
/* `fd`, or some descriptor of `first` to `last`, is about to be closed. */
void ending_known(int fd);
void ending_range(unsigned first, unsigned last);
/* It is recorded, or the helper holds a duplicate of it at this moment. */
static inline bool is_of_concern(int fd)
{
	return __builtin_expect(fd_table_knows(fd) || fd == probe_imported_fd, 0);
}
static inline void ending(int fd)
{
	if (is_of_concern(fd))
		ending_known(fd);
}
/* Without the helper thread no scan may have seen for long that what is about to be
 * closed is a leak: the kernel is asked, as often as `interval` allows. */
void scan_before_end(void);
/* `to` is now a duplicate of `from`, whatever it was before. */
void copied(int from, int to);
/* The helper may hold a duplicate of this descriptor: waits until it is released, so that
 * the host's close() is the last. */
void await_release(int fd);
/* A read returned 0 for a non-zero length, or `call` returned an error that may end a
 * connection. */
void note_end(int fd, enum sl_call call, enum verdict_error error);
/* `call` failed with errno, or gave an error number: note_end(), if that error ends a
 * connection. */
void note_errno(int fd, enum sl_call call);
void note_error(int fd, enum sl_call call, int error_number);
/* Records what was opened unseen, if there were sockets at all; `is_socket`: a call said
 * so that is for sockets alone. */
void adopt_if_unknown(int fd, bool is_socket);
/* Notes the peer's address: once a reset comes the kernel no longer tells it. */
void keep_peer(int fd);
/* A call has moved data, or may have, and start_on_use is set: starts the helper, notes
 * the use.  `fd` may be a file; `result` is that of the call: bytes, an error or 0.
 * Returns it.  sent(): of a call that most often reads, and has written into `fd`. */
ssize_t used(int fd, ssize_t result, enum sl_call call);
void sent(int fd, ssize_t result, enum sl_call call);
/* A call failed because the process, or the system, has no descriptor left. */
bool is_refused_for_want_of_numbers(int fd);
/* Something waits to be unwound, or (without a helper) to be scanned. */
void wake_scanner(void);
/* A plain load: an atomic one, however relaxed, costs every read an instruction more. */
static inline UNCHECKED bool acts_on_use(void)
{
	return start_on_use;
}
static inline UNCHECKED bool awaits_connection(void)
{
	return start_on_use & START_HELPER;
}
static inline UNCHECKED bool notes_uses(void)
{
	return start_on_use & START_NOTES_USES;
}

/* open.c */

/* What one accept needs: the kind of its listener, and room for the peer's address where
 * the host wants none.  The kernel does not tell it any more once the connection is dead.
 */
struct accepting {
	uint64_t bits;
	struct sockaddr *address;
	socklen_t *length;
	socklen_t room; /* at `address`; 0 = it may not be read in place */
	struct sockaddr_storage own;
	socklen_t own_length;
};

int after_socket(int fd, int domain, int type, int protocol);
void begin_accept(struct accepting *one, int listener, struct sockaddr *address,
		  socklen_t *length);
int end_accept(const struct accepting *one, int fd, enum sl_call call);
int after_connect(int fd, int result, const struct sockaddr *address, socklen_t length);

/* pass.c */

void received(int fd, enum sl_call call);

/* copy.c */

/* dup2 and dup3 close their target, but only if they succeed.  begin_replacing() returns
 * whether `was` was filled and is to be given to end_replacing(). */
bool begin_replacing(int old_fd, int new_fd, struct fd_entry *was);
void end_replacing(int old_fd, int new_fd, int result, bool had,
		   const struct fd_entry *was);
int after_fcntl(int fd, int command, int result);

/* close.c */

bool begin_close_range(unsigned first, unsigned last, unsigned flags);
void before_shutdown(int fd, int how);
int after_shutdown(int fd, int how, int result);
int after_getsockopt(int fd, int result, int level, int name, const void *value,
		     const socklen_t *length);

/* children.c */

/* Before syscall(2) makes a child. */
void before_child_by_number(long number, unsigned long flags);

/* execute.c */

/* SYS_execve and SYS_execveat. */
long execute_by_number(long number, long a, long b, long c, long d, long e, long f);
/* `child` has executed `file`, which posix_spawnp() `searches`. */
void after_spawning(const char *file, bool searches, char *const environment[],
		    pid_t child);
/* A child of system() or popen() has executed the shell. */
void after_shell(void);

/* exit.c */

int report_before_exit(int status);

/* rights.c */

#ifndef SYS_landlock_restrict_self
#define SYS_landlock_restrict_self 446
#endif

void stop_helper_for_credentials(void);
bool changes_rights(long number, long a);
void make_ledger_while_it_can(void);
bool entering_sandbox(void);
long after_entering(bool has_entered, long result);
bool installs_filter(unsigned long mode, unsigned long filter);
bool leaving_files(void);
long after_leaving_files(bool leaves, long result);

/* The host's own call: made as glibc makes it in a process of one thread, where there is
 * but one (single_thread.h), else by the next definition. */
static inline long direct_result(long result)
{
	if (__builtin_expect(result >= 0, 1))
		return result;
	guard_set_error((int)-result);
	return -1;
}
#define DIRECT_CALL_7(n, a, b, c, d, e, f, ...)                                          \
	guard_call((long)(n), (long)(a), (long)(b), (long)(c), (long)(d), (long)(e),     \
		   (long)(f))
#define DIRECT_CALL(...) direct_result(DIRECT_CALL_7(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0))
#define HOST_CALL(name, ...)                                                             \
	(host_is_single_threaded() ? DIRECT_CALL(SYS_##name, __VA_ARGS__)                \
				   : next.name(__VA_ARGS__))

#endif
