/* Finds ledgers in the order of their names, so that the same directory gives the same
 * report. */
#include "read/ledgers.h"

#include "common/path.h"
#include "kernel/process.h"
#include "support/say.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int ends_in(const char *name, const char *suffix)
{
	size_t bytes = strlen(name);

	return name[0] != '.' && bytes > strlen(suffix) &&
	       strcmp(name + bytes - strlen(suffix), suffix) == 0;
}

static int is_ledger(const struct dirent *entry)
{
	return ends_in(entry->d_name, SL_LEDGER_SUFFIX);
}

static int is_failed(const struct dirent *entry)
{
	return ends_in(entry->d_name, SL_FAILED_SUFFIX);
}

static int is_unwatched(const struct dirent *entry)
{
	return ends_in(entry->d_name, SL_UNWATCHED_SUFFIX);
}

static int each_of(const char *directory, int (*is_one)(const struct dirent *entry),
		   void (*each)(const char *path, void *of), void *of)
{
	struct dirent **names;
	int n = scandir(directory, &names, is_one, versionsort);

	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		char *path = say_printf("%s/%s", directory, names[i]->d_name);

		each(path, of);
		free(path);
		free(names[i]);
	}
	free(names);
	return 0;
}

int ledgers_each(const char *directory, void (*each)(const char *path, void *of),
		 void *of)
{
	return each_of(directory, is_ledger, each, of);
}

struct failures {
	ledgers_failed *each;
	void *of;
};

static void read_failed(const char *path, void *of)
{
	const struct failures *failures = of;
	char exe[512];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, exe, sizeof(exe) - 1);

	if (fd >= 0)
		close(fd);
	exe[n > 0 ? n : 0] = 0;
	failures->each((uint32_t)strtoul(path_base(path), NULL, 10), *exe ? exe : NULL,
		       path, failures->of);
}

void ledgers_each_failed(const char *directory, ledgers_failed *each, void *of)
{
	each_of(directory, is_failed, read_failed, &(struct failures){each, of});
}

static void add_failed(uint32_t pid, const char *exe, const char *path, void *of)
{
	(void)path;
	findings_add_unwatched(of, pid, exe, UNWATCHED_NO_LEDGER);
}

void ledgers_add_failed(struct findings *findings, const char *directory)
{
	ledgers_each_failed(directory, add_failed, findings);
}

struct executions {
	ledgers_unwatched *each;
	void *of;
};

static size_t read_line(const char *path, char *line, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	ssize_t n = fd < 0 ? 0 : read(fd, line, size - 1);

	if (fd >= 0)
		close(fd);
	line[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

/* The directory may be one that others can write: any line, or none, may stand there. */
static void read_unwatched(const char *path, void *of)
{
	const struct executions *executions = of;
	struct ledgers_executed executed = {.path = path};
	char line[1024], reason[32], suffix[32];
	int exe_at = 0;

	if (sscanf(path_base(path), "%" SCNu32 ".%" SCNu64 ".%*u%31s", &executed.pid,
		   &executed.start_ticks, suffix) != 3 ||
	    strcmp(suffix, SL_UNWATCHED_SUFFIX) != 0)
		return;
	if (!executed.start_ticks)
		executed.pid = 0;
	executed.reason = UNWATCHED_NOT_LOADED;
	if (read_line(path, line, sizeof(line)) &&
	    sscanf(line, "%31s %" SCNu64 " %n", reason, &executed.namespace, &exe_at) ==
		    2 &&
	    !unwatched_find(reason, &executed.reason))
		return;
	executed.exe = exe_at && line[exe_at] ? line + exe_at : NULL;
	executions->each(&executed, executions->of);
}

void ledgers_each_unwatched(const char *directory, ledgers_unwatched *each, void *of)
{
	each_of(directory, is_unwatched, read_unwatched, &(struct executions){each, of});
}

static void add_unwatched(const struct ledgers_executed *executed, void *of)
{
	findings_add_unwatched(of, executed->pid, executed->exe, executed->reason);
}

void ledgers_add_unwatched(struct findings *findings, const char *directory)
{
	ledgers_each_unwatched(directory, add_unwatched, findings);
}

int ledgers_read(const char *path, struct reader_ledger *ledger,
		 char why[READER_WHY_BYTES])
{
	uint32_t pid, sequence;
	uint64_t start_ticks;

	if (reader_read(path, ledger, why) == 0)
		return 0;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 1;
	bool is_unborn = strcmp(why, reader_unborn) == 0 &&
			 reader_parse_name(path, &pid, &start_ticks, &sequence);
	return is_unborn ? 1 : -1;
}

bool ledgers_has_next(const char *path)
{
	uint32_t pid, sequence;
	uint64_t start_ticks;

	if (!reader_parse_name(path, &pid, &start_ticks, &sequence))
		return false;
	char *next = say_printf("%.*s%" PRIu32 ".%" PRIu64 ".%" PRIu32 "%s",
				(int)(path_base(path) - path), path, pid, start_ticks,
				sequence + 1, SL_LEDGER_SUFFIX);
	bool is_there = access(next, F_OK) == 0;

	free(next);
	return is_there;
}

bool ledgers_is_unborn(const char *path, uint32_t *pid)
{
	uint64_t start_ticks, magic = 0;
	uint32_t sequence;

	if (!reader_parse_name(path, pid, &start_ticks, &sequence) ||
	    process_runs(*pid, start_ticks))
		return false;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, &magic, sizeof(magic));
	close(fd);
	return (n == 0 || n == sizeof(magic)) && !magic && !ledgers_has_next(path);
}

static void add_unborn(const char *path, void *of)
{
	uint32_t pid;

	if (ledgers_is_unborn(path, &pid))
		findings_add_unwatched(of, pid, NULL, UNWATCHED_ENDED_FIRST);
}

void ledgers_add_unborn(struct findings *findings, const char *directory)
{
	ledgers_each(directory, add_unborn, findings);
}
