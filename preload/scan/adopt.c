/* Descriptors that were opened unseen: before the library was loaded, by a call that it
 * does not stand in for, or in a program that became this one by exec. */
#include "scan/scan.h"

#include "base/activation.h"
#include "base/arena.h"
#include "base/guard.h"
#include "base/proc_numbers.h"
#include "base/sections.h"
#include "common/text.h"
#include "scan/scan_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define SCAN_NUMBERS 64  /* asked for in one poll, on the stack */
#define SCAN_CLOSED  192 /* closed ones in a row that end a scan */

static unsigned n_activated; /* descriptors from 3 on that came by socket activation */

/* By descriptor: the last search that found it open and unrecorded; 0 = none.  While hooks
 * run only what the previous search found, too, is adopted; else a socket that a hook has
 * just opened, and is about to record, would be adopted. */
#define N_NUMBERS  (FD_TABLE_ENTRIES * FD_TABLE_CHUNKS)
#define N_SEARCHES 255      /* they are numbered from 1, and again */
static uint8_t *unknown_in; /* 1 MiB, mapped when it is needed, touched where it is */
static uint8_t this_search; /* 0 = there was none */

/* A server that runs a program for a client passes it the connection as more than one
 * standard stream.  Only asked at the start, when no other thread can close one of them
 * meanwhile. */
static bool is_inherited_twice(int fd, uint64_t cookie)
{
	ARENA_TABLE static struct {
		uint64_t cookie;
		int fd;
	} known[64];
	static unsigned n_known;

	for (unsigned i = 0; cookie && i < n_known; i++)
		if (known[i].cookie == cookie) {
			fd_table_copy(known[i].fd, fd);
			return fd_table_knows(fd);
		}
	if (cookie && n_known < sizeof(known) / sizeof(known[0])) {
		known[n_known].cookie = cookie;
		known[n_known++].fd = fd;
	}
	return false;
}

AT_START bool adopt_identify(const struct fd_access *access, int imported,
			     struct adopted *what)
{
	int protocol = imported < 0 ? 0 : probe_protocol(imported);
	struct probe probe = {0};

	if (protocol)
		probe_socket(imported, protocol == IPPROTO_MPTCP, 0, &probe);
	if (imported >= 0)
		probe_release_fd(access, imported);
	what->cookie = probe.cookie;
	what->bits = (protocol == IPPROTO_MPTCP ? ENTRY_MPTCP : 0) |
		     (probe.was_connected ? ENTRY_CONNECTED | ENTRY_ESTABLISHED : 0);
	return protocol != 0;
}

AT_START static void adopt(const struct fd_access *access, int fd,
			   enum sl_origin_kind origin_kind)
{
	struct adopted what;
	bool is_tcp = adopt_identify(access, probe_import_fd(access, fd, NULL, 0), &what);

	if (origin_kind == SL_ORIGIN_INHERITED && is_inherited_twice(fd, what.cookie))
		return;
	if (is_tcp && origin_kind == SL_ORIGIN_UNKNOWN)
		fd_table_note_missed_call();
	if (is_tcp)
		fd_table_adopt(fd, origin_kind, what.bits);
}

/* Whether `fd` stood unrecorded in the search before, too. */
static bool is_still_unknown(int fd)
{
	uint8_t former_search = this_search == 1 ? N_SEARCHES : this_search - 1;

	if (!unknown_in && !(unknown_in = arena_map(N_NUMBERS)))
		return false;
	bool is_still = unknown_in[fd] == former_search;

	/* What it is is not asked in each search, where it is no TCP socket. */
	unknown_in[fd] = is_still ? 0 : this_search;
	return is_still;
}

AT_START static void consider(const struct fd_access *access, int fd,
			      enum sl_origin_kind origin_kind, bool at_once)
{
	if (!fd_table_knows(fd) && (unsigned)fd < N_NUMBERS &&
	    (at_once || is_still_unknown(fd)))
		adopt(access, fd, origin_kind);
}

/* Finds open descriptors by the absence of POLLNVAL.  This opens no file, but it sees the
 * calling thread's table alone. */
AT_START static void adopt_by_poll(const struct fd_access *access,
				   enum sl_origin_kind origin_kind, bool at_once)
{
	struct pollfd all[SCAN_NUMBERS];
	struct timespec none = {0, 0};
	struct rlimit limit = {1024, 0};
	unsigned n_closed = 0; /* in a row */

	/* glibc asks for a limit at its own start, so every seccomp filter allows this
	 * call. */
	guard_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	for (unsigned first = 0; first < limit.rlim_cur && first < N_NUMBERS;) {
		unsigned n = limit.rlim_cur - first < SCAN_NUMBERS
				     ? (unsigned)(limit.rlim_cur - first)
				     : SCAN_NUMBERS;

		for (unsigned i = 0; i < n; i++)
			all[i] = (struct pollfd){(int)(first + i), 0, 0};
		if (guard_sys(SYS_ppoll, all, n, &none, NULL, 8) < 0)
			return;
		for (unsigned i = 0; i < n; i++) {
			if (all[i].revents & POLLNVAL) {
				n_closed++;
				continue;
			}
			n_closed = 0;
			consider(access, all[i].fd, origin_kind, at_once);
		}
		first += n;
		/* The kernel gives the lowest free number: behind so many closed
		 * descriptors in a row only those are asked about that have an entry. */
		if (n_closed >= SCAN_CLOSED && first >= fd_table_top())
			return;
	}
}

/* Files that are no sockets are not imported: a duplicate, held for a moment, would delay
 * what happens at the last close. */
static bool links_to_socket(long directory, const char *name)
{
	char link[7];

	return guard_sys(SYS_readlinkat, directory, name, link, 7) == 7 &&
	       memcmp(link, "socket:", 7) == 0;
}

bool adopt_is_socket(int fd)
{
	char path[32];
	struct text text = {path, sizeof(path) - 1, 0, false};

	text_string(&text, "/proc/self/fd/");
	text_unsigned(&text, (uint64_t)fd);
	path[text.used] = '\0';
	return links_to_socket(AT_FDCWD, path);
}

struct adoption {
	const struct fd_access *access;
	enum sl_origin_kind origin_kind;
};

static bool consider_listed(const struct proc_number *entry, void *of)
{
	const struct adoption *adoption = of;

	/* The table is asked first: the link costs a system call. */
	if (!fd_table_knows(entry->number) &&
	    links_to_socket(entry->directory, entry->name))
		consider(adoption->access, entry->number, adoption->origin_kind, false);
	return true;
}

/* For a thread with a table of its own: /proc/self is the process, not the thread. */
static void adopt_by_list(const struct fd_access *access, enum sl_origin_kind origin_kind)
{
	ARENA_TABLE static char entries[32768];
	struct adoption adoption = {access, origin_kind};
	long directory = guard_sys(SYS_openat, AT_FDCWD, "/proc/self/fd",
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (directory < 0)
		return;
	proc_numbers(directory, entries, sizeof(entries), consider_listed, &adoption);
	guard_sys(SYS_close, directory);
}

AT_START void scan_adopt(const struct fd_access *access, enum sl_origin_kind origin_kind,
			 bool at_once)
{
	if (guard_is_sandboxed)
		return;
	this_search = this_search % N_SEARCHES + 1;
	if (access->pidfd >= 0)
		adopt_by_list(access, origin_kind);
	else
		adopt_by_poll(access, origin_kind, at_once);
}

AT_START void scan_adopt_inherited(void)
{
	n_activated = activation_n_fds();
	scan_adopt(&fd_access_directly, SL_ORIGIN_INHERITED, true);
}

AT_START bool adopt_is_activated(int fd)
{
	return (unsigned)fd - 3 < n_activated;
}
