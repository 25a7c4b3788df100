/* See log.h. */
#include "report/log.h"

#include "base/guard.h"
#include "base/sections.h"
#include "common/text.h"
#include "report/path_pattern.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 200  /* a pipe may be full for this long before a block is dropped */
#define PIPE_PIECE  4096 /* POLLOUT promises room for PIPE_BUF bytes */

static bool is_stderr;
static bool is_ours;  /* the library has created the file */
static bool has_path; /* `path` is that of the log */
ARENA_TABLE static char path[SETTINGS_PATH_BYTES + 64];
ARENA_TABLE static char directory[512]; /* at the start, for a relative path; or "" */
static struct {
	dev_t device;
	ino_t inode;
	bool is_open;
} at_start, own_file;
static uint64_t n_lost;
ARENA_TABLE static char kept[65536];
static size_t n_kept;
static bool is_keeping;
static bool was_written;

AT_START static bool identify(long fd, struct stat *is)
{
	return guard_sys(SYS_newfstatat, fd, "", is, AT_EMPTY_PATH) == 0;
}

/* A relative path is made absolute, since the host may change its directory. */
static bool expand(const char *pattern)
{
	struct text text = {path, sizeof(path) - 1, 0, false};

	if (*pattern != '/') {
		if (!directory[0])
			return false;
		text_string(&text, directory);
		text_string(&text, "/");
	}
	path_pattern_add(&text, pattern);
	path[text.used] = '\0';
	return !text.cut;
}

/* Opens the log by its path and makes sure that it is a file of this user's: not always
 * the one it was, since logs are rotated. */
static long open_file(int flags, struct stat *is)
{
	long fd = guard_open(AT_FDCWD, path,
			     O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY |
				     flags,
			     0600, is);

	if (fd < 0 ||
	    (S_ISREG(is->st_mode) && is->st_uid == (uid_t)guard_sys(SYS_geteuid)))
		return fd;
	guard_close(fd, is);
	return -EPERM;
}

static const char *start_file(const char *pattern)
{
	struct stat is = {0};

	own_file.is_open = false;
	if (!expand(pattern))
		return "the path of the log is too long";
	long fd = open_file(O_CREAT | O_EXCL, &is);
	is_ours = fd >= 0;
	if (fd == -EEXIST)
		fd = open_file(0, &is);
	if (fd < 0)
		return fd == -EPERM ? "the log is not a regular file of this user"
				    : "the log cannot be opened for writing";
	has_path = true;
	own_file.is_open = true;
	own_file.device = is.st_dev;
	own_file.inode = is.st_ino;
	/* An empty file with our pid in its name was created by this process before an
	 * exec. */
	is_ours |= strstr(pattern, "%p") && is.st_size == 0;
	guard_close(fd, &is);
	return NULL;
}

static bool has_pattern(const struct settings *settings)
{
	return !settings->log_is_stderr && settings->log[0];
}

AT_START const char *log_start(const struct settings *settings, bool opens_now)
{
	struct stat is;

	is_stderr = settings->log_is_stderr;
	has_path = false;
	was_written = false;
	at_start.is_open = identify(2, &is);
	at_start.device = is.st_dev;
	at_start.inode = is.st_ino;
	if (!has_pattern(settings))
		return NULL;
	if (settings->log[0] != '/' &&
	    guard_sys(SYS_getcwd, directory, sizeof(directory)) < 0)
		directory[0] = '\0';
	return opens_now ? start_file(settings->log) : NULL;
}

void log_disown(void)
{
	was_written = is_ours = false;
	n_lost = 0;
}

const char *log_open(const struct settings *settings)
{
	return has_pattern(settings) ? start_file(settings->log) : NULL;
}

/* poll() refuses more entries than the limit of descriptors: one, where that is 0.  Then
 * no file can be opened, and this is standard error. */
static bool is_selected(struct timespec *wait)
{
	uint64_t set = 1 << STDERR_FILENO;

	return guard_sys(SYS_pselect6, STDERR_FILENO + 1, NULL, &set, NULL, wait, NULL) ==
	       1;
}

static bool is_writable(long fd, int patience_ms)
{
	struct pollfd one = {(int)fd, POLLOUT, 0};
	struct timespec wait = {patience_ms / 1000, (patience_ms % 1000) * 1000000L};
	long n = guard_sys(SYS_ppoll, &one, 1, &wait, NULL, 8);

	if (n == -EINVAL && fd == STDERR_FILENO)
		return is_selected(&wait);
	return n == 1 && (one.revents & POLLOUT) && !(one.revents & (POLLERR | POLLHUP));
}

#define SIGNAL_BIT(signal) (UINT64_C(1) << ((signal)-1))

/* The signal that came with the error, 0 = none. */
static uint64_t signal_of(long result)
{
	return result == -EPIPE   ? SIGNAL_BIT(SIGPIPE)
	       : result == -EFBIG ? SIGNAL_BIT(SIGXFSZ)
				  : 0;
}

/* The kernel sends SIGPIPE where the reader is gone, and SIGXFSZ where the file has
 * reached its largest size: both are blocked, and a signal that our write caused is taken
 * before the mask is restored. */
static bool write_all(long fd, const char *bytes, size_t n_bytes)
{
	/* With SIGTTOU blocked a terminal takes the bytes of a background process. */
	const uint64_t blocked =
		SIGNAL_BIT(SIGPIPE) | SIGNAL_BIT(SIGXFSZ) | SIGNAL_BIT(SIGTTOU);
	static bool
		is_stuck; /* no process reads: waiting again would only delay the host */
	struct timespec none = {0, 0};
	uint64_t before = 0, pending = 0;
	bool ok = true;

	bool is_blocked = guard_block_signals(blocked, &before);
	/* A seccomp filter may forbid this call. */
	if (!guard_has_filter)
		guard_sys(SYS_rt_sigpending, &pending, 8);
	while (ok && n_bytes) {
		size_t piece = n_bytes < PIPE_PIECE ? n_bytes : PIPE_PIECE;
		long n = is_writable(fd, is_stuck ? 0 : PATIENCE_MS)
				 ? guard_sys(SYS_write, fd, bytes, piece)
				 : -EAGAIN;
		uint64_t came = signal_of(n) & ~pending;

		if (n == -EINTR)
			continue;
		if (came)
			guard_sys(SYS_rt_sigtimedwait, &came, NULL, &none, 8);
		ok = n > 0;
		if (ok) {
			guard_progressed();
			bytes += n;
			n_bytes -= (size_t)n;
		}
	}
	if (is_blocked)
		guard_restore_signals(before);
	is_stuck = !ok;
	return ok;
}

static bool write_stderr(const struct fd_access *access, const char *bytes,
			 size_t n_bytes)
{
	struct stat is;
	bool ok = false;
	int fd = probe_import_fd(access, 2, NULL, 0);

	if (fd < 0)
		return false;
	if (at_start.is_open && identify(fd, &is) && is.st_dev == at_start.device &&
	    is.st_ino == at_start.inode)
		ok = write_all(fd, bytes, n_bytes);
	probe_release_fd(access, fd);
	return ok;
}

static bool write_file(const char *bytes, size_t n_bytes)
{
	/* The log was rotated, or another process with the same log removed it because it
	 * was empty. */
	struct stat is;
	long fd = open_file(O_CREAT, &is);

	if (fd < 0)
		return false;
	bool ok = write_all(fd, bytes, n_bytes);
	guard_close(fd, &is);
	return ok;
}

bool log_is_kept(void)
{
	return is_stderr || has_path || is_keeping;
}

void log_keep(void)
{
	n_kept = 0;
	is_keeping = true;
}

void log_keep_no_more(void)
{
	is_keeping = false;
}

size_t log_copy_kept(char *buffer, size_t size)
{
	size_t n = n_kept < size ? n_kept : size - 1;

	if (size) {
		memcpy(buffer, kept, n);
		buffer[n] = '\0';
	}
	return n_kept;
}

static void keep(const char *bytes, size_t n_bytes)
{
	if (n_bytes > sizeof(kept) - n_kept)
		return;
	memcpy(kept + n_kept, bytes, n_bytes);
	n_kept += n_bytes;
}

void log_write(const struct fd_access *access, const char *bytes, size_t n_bytes)
{
	bool ok = true;

	if (is_keeping)
		keep(bytes, n_bytes);
	if (guard_is_sandboxed)
		ok = false;
	else if (is_stderr)
		ok = write_stderr(access, bytes, n_bytes);
	else if (has_path)
		ok = write_file(bytes, n_bytes);
	was_written |= ok;
	n_lost += !ok;
}

void log_warn(const char *line)
{
	log_warn_of(line, NULL);
}

void log_warn_of(const char *line, const char *path_of)
{
	char buffer[1024 + SETTINGS_PATH_BYTES];
	struct text text = {buffer, sizeof(buffer) - 1, 0, false};

	text_string(&text, "==");
	text_unsigned(&text, (uint64_t)guard_pid);
	text_string(&text, "==WARNING: sockleak: ");
	text_escaped(&text, line);
	if (path_of) {
		text_string(&text, ": ");
		text_escaped(&text, path_of);
	}
	buffer[text.used++] = '\n';
	write_stderr(&fd_access_directly, buffer, text.used);
}

uint64_t log_lost(void)
{
	return n_lost;
}

AT_START void log_end(void)
{
	struct stat is;

	/* Where the log is standard error the loss cannot be reported anywhere. */
	if (n_lost && has_path)
		log_warn_of("the log could not be written, a part of the report is lost",
			    path);
	if (!is_ours || was_written || !has_path || guard_is_sandboxed)
		return;
	long fd = open_file(0, &is);
	if (fd < 0)
		return;
	bool is_empty = is.st_size == 0 && is.st_dev == own_file.device &&
			is.st_ino == own_file.inode;
	guard_close(fd, &is);
	if (is_empty)
		guard_sys(SYS_unlinkat, AT_FDCWD, path, 0);
}
