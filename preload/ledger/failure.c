/* A process that cannot keep its ledger leaves a file PID.failed in the directory, so
 * that a report over the directory says that something is missing.  The file is made with
 * the first connection: a process that makes none would have left no ledger either.  It
 * holds the path of the program, as far as there is room.
 *
 * A forked child may not reach the directory: its parent had changed its root, or given
 * up the right to write there.  Such a child is counted in the ledger of its nearest
 * ancestor that has one. */
#include "ledger/ledger_internal.h"
#include "ledger/ledger_writer.h"

#include "base/guard.h"
#include "base/sections.h"
#include "common/text.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Where a ledger could not be kept; NULL = nowhere, or the file is made. */
static const char *_Atomic failed_in;
ARENA_TABLE static char program[512];

static long make_file(long directory, struct stat *is)
{
	char name[32];
	struct text text = {name, sizeof(name) - 1, 0, false};

	text_unsigned(&text, (uint64_t)guard_pid);
	text_string(&text, SL_FAILED_SUFFIX);
	name[text.used] = '\0';
	return guard_open(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW,
			  0600, is);
}

/* false = it could not be made. */
static bool leave_file(const char *directory_name)
{
	struct stat is_directory, is;
	const char *problem;
	long directory = ledger_open_directory(directory_name, &is_directory, &problem);

	if (directory < 0)
		return false;
	long fd = make_file(directory, &is);
	if (fd >= 0) {
		guard_program(program, sizeof(program));
		if (ledger_may_grow_to(strlen(program)))
			guard_sys(SYS_write, fd, program, strlen(program));
		guard_close(fd, &is);
	}
	guard_close(directory, &is_directory);
	return fd >= 0;
}

static void count_in(struct sl_header *ancestors)
{
	uint32_t nobody = 0;

	atomic_compare_exchange_strong((_Atomic uint32_t *)&ancestors->failed_child,
				       &nobody, (uint32_t)guard_pid);
	atomic_fetch_add((_Atomic uint64_t *)&ancestors->children_failed, 1);
}

void ledger_note_failure(void)
{
	if (!atomic_load_explicit(&failed_in, memory_order_relaxed))
		return;
	const char *name = atomic_exchange(&failed_in, NULL);
	struct sl_header *ancestors = atomic_load(&ledger_of_ancestor);
	if (name && !leave_file(name) && ancestors)
		count_in(ancestors);
}

void ledger_failed(const char *directory, bool has_connection)
{
	atomic_store(&failed_in, directory);
	if (has_connection)
		ledger_note_failure();
}

void ledger_forget_failure(void)
{
	atomic_store(&failed_in, NULL);
}
