/* The other side of sockleak.h: what a program or a test suite may ask. */
#include "base/clock.h"
#include "base/guard.h"
#include "languages/notes.h"
#include "report/log.h"
#include "report/test_names.h"
#include "scan/helper.h"
#include "scan/scan.h"
#include "start.h"
#include "track/fd_table.h"
#include "unwind/origin.h"
#include "unwind/room.h"

#include <errno.h>

#define EXPORT       __attribute__((visibility("default")))
#define PATIENCE_MS  1000 /* for the scan that may be under way */
#define MAX_PAUSE_MS 50   /* between scans of a drain */

int sockleak_check(void);
uint64_t sockleak_mark(void);
int sockleak_check_since(uint64_t mark, unsigned drain_ms);
void sockleak_name(const char *text);
int sockleak_expect(int fd);
int sockleak_note(int fd, const char *text);
size_t sockleak_text(char *buffer, size_t size);

struct check {
	uint32_t since;
	bool all_gone, is_printed;
	uint64_t n, n_connected;
};

static void check_locked(void *argument)
{
	struct check *check = argument;

	if (!scan_lock_timed(PATIENCE_MS))
		return;
	log_keep();
	check->n = scan_check(clock_now_ns(), check->since, check->all_gone,
			      check->is_printed, &check->n_connected);
	log_keep_no_more();
	scan_unlock();
}

/* One scan, by the calling thread.  A handler of the host's that jumped out of it would
 * leave the scan lock taken for ever. */
static uint64_t check(uint32_t since, bool all_gone, bool print, uint64_t *n_connected)
{
	struct check check = {.since = since, .all_gone = all_gone, .is_printed = print};
	int saved_errno = errno; /* libunwind changes it */
	uint64_t before;

	if (!start_hooks_are_on || guard_ask_process() != PROCESS_OURS ||
	    !guard_block_signals(GUARD_ALL_SIGNALS, &before))
		return 0;
	room_run(check_locked, &check);
	errno = saved_errno;
	guard_restore_signals(before);
	*n_connected = check.n_connected;
	return check.n;
}

EXPORT int sockleak_check(void)
{
	uint64_t n_connected;

	return (int)check(0, false, true, &n_connected);
}

/* The generation of the last entry, with a bit that keeps it from being 0. */
EXPORT uint64_t sockleak_mark(void)
{
	return UINT64_C(1) << 32 | fd_table_last_generation();
}

EXPORT int sockleak_check_since(uint64_t mark, unsigned drain_ms)
{
	uint64_t end_ns = clock_now_ns() + drain_ms * UINT64_C(1000000);
	uint64_t n_gone, n_connected = 0;
	unsigned pause_ms = 1;

	/* A close that is about to happen is no leak: scan again after short pauses, and
	 * judge at the end.  The end of stream of a peer may still be on its way as well:
	 * scan once more where that is possible. */
	while ((n_gone = check((uint32_t)mark, true, false, &n_connected)) ||
	       (n_connected && pause_ms == 1)) {
		if (clock_now_ns() >= end_ns)
			return n_gone ? (int)check((uint32_t)mark, true, true,
						   &n_connected)
				      : 0;
		clock_pause(pause_ms * MS);
		pause_ms = 2 * pause_ms < MAX_PAUSE_MS ? 2 * pause_ms : MAX_PAUSE_MS;
	}
	return 0;
}

struct copy {
	char *buffer;
	size_t size, n;
};

static void copy_locked(void *argument)
{
	struct copy *copy = argument;

	if (!scan_lock_timed(PATIENCE_MS))
		return;
	copy->n = log_copy_kept(copy->buffer, copy->size);
	scan_unlock();
}

EXPORT size_t sockleak_text(char *buffer, size_t size)
{
	struct copy copy = {buffer, size, 0};
	uint64_t before;

	if (size)
		buffer[0] = '\0';
	if (!start_hooks_are_on || guard_ask_process() != PROCESS_OURS ||
	    !guard_block_signals(GUARD_ALL_SIGNALS, &before))
		return 0;
	room_run(copy_locked, &copy);
	guard_restore_signals(before);
	return copy.n;
}

EXPORT void sockleak_name(const char *text)
{
	if (start_hooks_are_on)
		atomic_store(&fd_table_name, text && *text ? test_names_id(text) : 0);
}

/* 0, or -1 with errno: `fd` is no socket that is tracked. */
static int find_socket(int fd)
{
	struct fd_entry entry;

	if (fd_table_read(fd, &entry) && !(atomic_load(&entry.word) & ENTRY_NOT_TCP))
		return 0;
	errno = ENOENT;
	return -1;
}

static uint32_t with_note(uint32_t origin, const char *text)
{
	struct language_frame frames[NOTES_MAX_LINES];

	return origin_with_note(origin, frames, notes_read(text, frames));
}

EXPORT int sockleak_note(int fd, const char *text)
{
	if (find_socket(fd) < 0)
		return -1;
	fd_table_note_origin(fd, with_note, text ? text : "");
	if (origin_has_work())
		helper_wake();
	return 0;
}

EXPORT int sockleak_expect(int fd)
{
	if (find_socket(fd) < 0)
		return -1;
	fd_table_set_bits(fd, ENTRY_EXPECTED);
	return 0;
}
