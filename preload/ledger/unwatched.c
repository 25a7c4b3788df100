/* After exec of a program without the library the process cannot be observed from inside,
 * and a short one ends before `sockleak run` looks at it.  So the process that executes
 * such a program makes a file PID.START.TIME.unwatched (ledger.h) in the directory.  It
 * does so before the call, because exec does not return; if the call fails the file is
 * removed.  One file a process: a child of vfork(), which may not write its parent's
 * memory, makes its own, and users that may not write each other's files need not.
 *
 * This is rare: for a program that will be watched nothing is written. */
#include "ledger/ledger_internal.h"

#include "base/clock.h"
#include "common/text.h"
#include "ledger/ledger_writer.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LINE_BYTES 448

static __attribute__((noinline)) uint64_t start_of(pid_t pid)
{
	char name[32];
	struct text text = {name, sizeof(name) - 1, 0, false};

	text_string(&text, "/proc/");
	if (pid)
		text_unsigned(&text, (uint64_t)pid);
	else
		text_string(&text, "self");
	text_string(&text, "/stat");
	name[text.used] = '\0';
	return ledger_start_ticks(name);
}

#define NAME_BYTES 72

static void name_file(const struct ledger_unwatched *made, char name[NAME_BYTES])
{
	struct text text = {name, NAME_BYTES - 1, 0, false};

	text_unsigned(&text, (uint64_t)made->pid);
	text_string(&text, ".");
	text_unsigned(&text, made->start_ticks);
	text_string(&text, ".");
	text_unsigned(&text, made->time_ns);
	text_string(&text, SL_UNWATCHED_SUFFIX);
	name[text.used] = '\0';
}

/* As /proc/PID/exe will name it. */
static void write_program(struct text *text, int program)
{
	char link[32];
	struct text name = {link, sizeof(link) - 1, 0, false};

	text_string(&name, "/proc/self/fd/");
	text_unsigned(&name, (uint64_t)program);
	link[name.used] = '\0';
	long n = guard_sys(SYS_readlinkat, AT_FDCWD, link, text->at + text->used,
			   text->size - text->used);
	if (n > 0)
		text->used += (size_t)n;
}

/* The frames of what follows stand beside each other, and not upon each other. */
#define APART __attribute__((noinline))

APART static void write_line(long fd, const char *reason, int program)
{
	char line[LINE_BYTES];
	struct text text = {line, sizeof(line), 0, false};

	text_string(&text, reason);
	text_string(&text, " ");
	text_unsigned(&text, ledger_namespace("/proc/self/ns/pid"));
	text_string(&text, " ");
	write_program(&text, program);
	if (ledger_may_grow_to(text.used))
		guard_sys(SYS_write, fd, line, text.used);
}

struct file {
	long fd;
	dev_t device;
	ino_t inode;
};

APART static struct file make_file(const struct ledger_unwatched *made)
{
	struct stat is_directory, is;
	const char *problem;
	char name[NAME_BYTES];
	long directory =
		ledger_open_directory(ledger_directory(), &is_directory, &problem);

	if (directory < 0)
		return (struct file){-1, 0, 0};
	name_file(made, name);
	long fd = guard_open(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW,
			     0600, &is);
	guard_close(directory, &is_directory);
	return (struct file){fd, is.st_dev, is.st_ino};
}

APART static void close_file(const struct file *file)
{
	struct stat is = {.st_dev = file->device, .st_ino = file->inode};

	guard_close(file->fd, &is);
}

bool ledger_note_unwatched(struct ledger_unwatched *made, const char *reason, int program,
			   enum ledger_whose whose, pid_t child)
{
	made->pid = child ? child : (pid_t)guard_sys(SYS_getpid);
	made->start_ticks = whose == LEDGER_A_CHILDS ? 0 : start_of(child);
	made->time_ns = clock_ns(CLOCK_MONOTONIC);
	struct file file = make_file(made);
	if (file.fd < 0)
		return false;
	write_line(file.fd, reason, program);
	close_file(&file);
	return true;
}

void ledger_withdraw_unwatched(const struct ledger_unwatched *made)
{
	struct stat is;
	const char *problem;
	char name[NAME_BYTES];
	long directory = ledger_open_directory(ledger_directory(), &is, &problem);

	if (directory < 0)
		return;
	name_file(made, name);
	guard_sys(SYS_unlinkat, directory, name, 0);
	guard_close(directory, &is);
}

bool ledger_begin_executing(void)
{
	struct sl_header *file = ledger_ours();

	if (!file || guard_sys(SYS_getpid) != (long)file->pid)
		return false;
	atomic_fetch_add((_Atomic uint64_t *)&file->executing, 1);
	return true;
}

void ledger_end_executing(void)
{
	atomic_fetch_sub((_Atomic uint64_t *)&ledger_ours()->executing, 1);
}
