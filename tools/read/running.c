/* A ledger is mapped by its writer, so /proc/PID/maps tells where it is, also one in an
 * unknown directory.  A forked child has its parent's mapped too: the pid in the ledger
 * says which process it belongs to.  The file is opened through the process's own root,
 * for those in containers; where it is gone from there, through /proc/PID/map_files,
 * which needs privileges. */
#include "read/running.h"

#include "kernel/process.h"
#include "support/clock.h"
#include "support/say.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DELETED " (deleted)"

struct mapped {         /* one ledger in a process's memory */
	char range[64]; /* as /proc/PID/map_files calls it */
	char *path;     /* owned; as the process sees it */
	bool is_deleted;
};

static bool ends_with(const char *text, const char *end)
{
	size_t n = strlen(text), n_end = strlen(end);
	return n >= n_end && !strcmp(text + n - n_end, end);
}

/* A line of /proc/PID/maps: "7f66-7f67 rw-s 0 fe:00 11011676   /tmp/1.2.0.sockleak" */
static bool parse_mapping(char *line, struct mapped *mapped)
{
	char *path = strchr(line, '/');
	line[strcspn(line, "\n")] = 0;
	if (!path || sscanf(line, "%63s", mapped->range) != 1)
		return false;
	mapped->is_deleted = ends_with(path, DELETED);
	if (mapped->is_deleted)
		path[strlen(path) - strlen(DELETED)] = 0;
	if (!ends_with(path, SL_LEDGER_SUFFIX))
		return false;
	mapped->path = say_strdup(path);
	return true;
}

/* 1 = it is this process's ledger, 0 = another's, -1 = it cannot be read: `why`. */
static int read_ledger(uint32_t pid, const char *path, struct reader_ledger *ledger,
		       char why[READER_WHY_BYTES])
{
	if (reader_read(path, ledger, why) != 0)
		return -1;
	if (ledger->head->pid == process_own_pid(pid))
		return 1;
	reader_free(ledger);
	return 0;
}

/* Whether the process has it mapped at the same place still. */
static bool is_mapped_still(uint32_t pid, const struct mapped *mapped)
{
	char path[64], *line = NULL;
	size_t room = 0, bytes = strlen(mapped->range);
	bool found = false;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/maps", pid);
	FILE *maps = fopen(path, "re");
	while (!found && maps && getline(&line, &room, maps) > 0)
		found = !strncmp(line, mapped->range, bytes) &&
			strstr(line, mapped->path);
	free(line);
	if (maps)
		fclose(maps);
	return found;
}

/* A process that ends removes its ledger first if nothing stands in it. */
static bool is_ending(uint32_t pid, const struct mapped *mapped)
{
	for (int i = 0; i < 20; i++) {
		if (!is_mapped_still(pid, mapped))
			return true;
		clock_sleep_ms(5);
	}
	return false;
}

/* As read_ledger(); 0 also where it keeps none yet, or none any more. */
static int read_mapped(uint32_t pid, const struct mapped *mapped,
		       struct reader_ledger *ledger)
{
	char why[READER_WHY_BYTES] = "it was deleted", why_not[READER_WHY_BYTES] = "";
	char *path = say_printf("/proc/%" PRIu32 "/root%s", pid, mapped->path);
	int result = mapped->is_deleted ? -1 : read_ledger(pid, path, ledger, why);
	free(path);
	if (result >= 0)
		return result;
	path = say_printf("/proc/%" PRIu32 "/map_files/%s", pid, mapped->range);
	result = read_ledger(pid, path, ledger, why_not);
	free(path);
	if (result < 0 && (!strcmp(why, reader_unborn) ||
			   !strcmp(why_not, reader_unborn) || is_ending(pid, mapped)))
		return 0;
	if (result < 0)
		say_warn("cannot read %s of process %" PRIu32 ": %s", mapped->path, pid,
			 why);
	return result;
}

int running_ledger(uint32_t pid, struct reader_ledger *ledger)
{
	char path[64], *line = NULL;
	size_t room = 0;
	int result = 0;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return -1;
	while (result == 0 && getline(&line, &room, maps) > 0) {
		struct mapped mapped;
		if (!parse_mapping(line, &mapped))
			continue;
		result = read_mapped(pid, &mapped, ledger);
		if (result < 0)
			result = -2;
		free(mapped.path);
	}
	free(line);
	fclose(maps);
	return result;
}

struct running_unread
running_each(void (*take)(void *of, uint32_t pid, struct reader_ledger *ledger), void *of)
{
	struct running_unread unread = {0};
	DIR *proc = opendir("/proc");

	/* Where nothing is mounted there is an empty directory. */
	if (!proc || access("/proc/self", F_OK) < 0)
		say_die(SAY_USAGE, "cannot look into /proc:");
	for (const struct dirent *one; (one = readdir(proc));) {
		struct reader_ledger ledger;

		if (!isdigit((unsigned char)one->d_name[0]))
			continue;
		uint32_t pid = (uint32_t)strtoul(one->d_name, NULL, 10);
		int found = running_ledger(pid, &ledger);
		if (found == 1)
			take(of, pid, &ledger);
		else if (found == -1 && (errno == EACCES || errno == EPERM))
			unread.n_unseen++;
		else if (found == -2)
			unread.has_refused = true;
	}
	closedir(proc);
	return unread;
}
