/* One look is a walk over /proc/PID/task/TID/children.  A process is examined when it is
 * new or has executed another program; then its executable file, its mappings and its
 * environment are read.  Only distinct programs are kept of those that have ended. */
#include "run/descendants.h"

#include "kernel/process.h"
#include "run/asked.h"
#include "run/target.h"
#include "support/clock.h"
#include "support/say.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

/* A loader that was given our library has mapped it long before this; a process that was
 * stopped at its first instruction has not. */
#define LOAD_PATIENCE_MS 2000

/* One program in one process: exec changes it. */
struct image {
	uint64_t start_ticks; /* of the process */
	uint64_t stack;       /* where its stack starts: another one after each exec */
	uint64_t environ_end; /* of its memory; 0 = exec has not given it one yet */
	dev_t device;         /* of its executable file */
	ino_t inode;
};

enum state { UNDECIDED, WATCHED, UNWATCHED };

struct process {
	uint32_t pid;
	struct image image;
	char *exe; /* owned */
	enum state state;
	enum unwatched_reason reason;
	uint64_t first_ms; /* when this image was first seen */
	unsigned pass;     /* the last walk that found it */
	UT_hash_handle hh;
};

/* Each program and reason once; `exe` is owned. */
struct list {
	struct unwatched *at;
	size_t n;
};

/* A process that was unwatched as one of its images. */
struct unwatched_pid {
	uint32_t pid;
	uint64_t start_ticks;
	UT_hash_handle hh;
};

struct descendants {
	struct process *processes; /* by pid */
	struct unwatched_pid *unwatched_pids;
	struct list ended; /* unwatched, and not there any more */
	struct list noted; /* by others */
	struct list hosts; /* look unwatched, and had the library loaded */
	struct asked_run of;
	unsigned pass;
	size_t n_running;
	pid_t except;
};

struct descendants *descendants_open(const char *ledgers, const char *around)
{
	struct descendants *descendants = say_calloc(1, sizeof(*descendants));

	descendants->of = (struct asked_run){ledgers, around};
	return descendants;
}

/* NULL = not in the list */
static struct unwatched *find(const struct list *list, const char *exe,
			      enum unwatched_reason reason)
{
	for (size_t i = 0; i < list->n; i++)
		if (list->at[i].reason == reason && strcmp(list->at[i].exe, exe) == 0)
			return &list->at[i];
	return NULL;
}

static void add(struct list *list, uint32_t pid, const char *exe,
		enum unwatched_reason reason)
{
	struct unwatched *known = find(list, exe, reason);

	if (known) {
		known->n++;
		return;
	}
	list->at = say_one_more(list->at, list->n, sizeof(*list->at));
	list->at[list->n++] = (struct unwatched){
		.pid = pid, .exe = say_strdup(exe), .reason = reason, .n = 1};
}

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		free((char *)list->at[i].exe);
	free(list->at);
}

/* -- what one process is ---------------------------------------------------------- */

/* A file of /proc/PID into `buffer`, terminated; its length, -1 = not to be read. */
static ssize_t read_proc(uint32_t pid, const char *name, char *buffer, size_t size)
{
	char path[64];
	size_t used = 0;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/%s", pid, name);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (used < size - 1 && (n = read(fd, buffer + used, size - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	buffer[used] = 0;
	return (ssize_t)used;
}

/* false = it has ended, or cannot be examined. */
static bool find_image(uint32_t pid, struct image *image)
{
	char stat_line[1024], path[64], state;
	struct stat exe;

	if (read_proc(pid, "stat", stat_line, sizeof(stat_line)) <= 0)
		return false;
	const char *fields = strrchr(stat_line, ')'); /* fields 3, 22, 28 and 51 follow */
	if (!fields ||
	    sscanf(fields,
		   ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %" SCNu64 " %*s %*s %*s %*s %*s %" SCNu64
		   " %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %*s %*s %*s %*s %" SCNu64,
		   &state, &image->start_ticks, &image->stack,
		   &image->environ_end) != 4 ||
	    state == 'Z' || state == 'X')
		return false;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	if (stat(path, &exe) < 0) {
		image->device = image->inode = 0;
		return errno == EACCES || errno == EPERM;
	}
	image->device = exe.st_dev;
	image->inode = exe.st_ino;
	return true;
}

static char *find_program(uint32_t pid)
{
	char path[64], exe[PATH_MAX];

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", pid);
	ssize_t n = readlink(path, exe, sizeof(exe) - 1);
	if (n < 0) /* of another user; the name alone is for everybody */
		n = read_proc(pid, "comm", exe, sizeof(exe)) - 1;
	exe[n > 0 ? n : 0] = 0;
	return say_strdup(exe);
}

static bool is_same(const struct image *a, const struct image *b)
{
	return a->start_ticks == b->start_ticks && a->stack == b->stack &&
	       a->device == b->device && a->inode == b->inode;
}

static void decide(struct process *process, enum state state,
		   enum unwatched_reason reason)
{
	process->state = state;
	process->reason = reason;
}

static void note_pid(struct descendants *descendants, uint32_t pid, uint64_t start_ticks)
{
	struct unwatched_pid *noted;

	HASH_FIND(hh, descendants->unwatched_pids, &pid, sizeof(pid), noted);
	if (noted) {
		noted->start_ticks = start_ticks;
		return;
	}
	noted = say_calloc(1, sizeof(*noted));
	noted->pid = pid;
	noted->start_ticks = start_ticks;
	HASH_ADD(hh, descendants->unwatched_pids, pid, sizeof(noted->pid), noted);
}

/* Between exec and the loader's work the library is not there yet. */
static void decide_by_library(struct process *process, bool is_loaded, enum asked asked)
{
	if (is_loaded && asked == ASKED_ELSEWHERE)
		decide(process, UNWATCHED, UNWATCHED_ELSEWHERE);
	else if (is_loaded)
		decide(process, WATCHED, 0);
	else if (asked == NOT_ASKED)
		decide(process, UNWATCHED, UNWATCHED_ENVIRONMENT);
	else if (asked == ASKED_OUT_OF_REACH ||
		 clock_now_ms() - process->first_ms > LOAD_PATIENCE_MS)
		decide(process, UNWATCHED, UNWATCHED_NOT_LOADED);
}

/* Whether its image is watched, as far as that can be seen now. */
static void examine(struct descendants *descendants, struct process *process)
{
	char path[64];
	struct image now;

	if (!process->image.inode) {
		if (process_gained_rights(process->pid))
			decide(process, UNWATCHED, UNWATCHED_RIGHTS);
		return;
	}
	/* In the middle of an exec its environment reads as if it was cleared. */
	if (!process->image.environ_end)
		return;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/exe", process->pid);
	struct target target = target_inspect(path);
	bool is_refused = target.refusal != NULL;
	enum unwatched_reason reason = target.reason;
	int loaded = asked_is_loaded(process->pid);
	enum asked asked = asked_of(process->pid, &descendants->of);
	/* Under no_new_privs, or from a file system mounted nosuid, it gains none. */
	if (reason == UNWATCHED_RIGHTS && !process_gained_rights(process->pid))
		is_refused = false;
	target_free(&target);
	/* All of that was of one image, and is true only if it is still there. */
	if (loaded < 0 || !find_image(process->pid, &now) ||
	    !is_same(&process->image, &now))
		return;
	if (is_refused && (!loaded || reason != UNWATCHED_STATIC))
		decide(process, UNWATCHED, reason);
	else
		decide_by_library(process, loaded, asked);
	if (process->state == UNWATCHED)
		note_pid(descendants, process->pid, process->image.start_ticks);
	/* Valgrind is static, and runs a program with our library in itself.  Musl's
	 * loader does load it, but there it switches itself off. */
	if (is_refused && process->state == WATCHED)
		add(&descendants->hosts, process->pid, process->exe, reason);
}

/* -- all of them ------------------------------------------------------------------ */

static void end_image(struct descendants *descendants, struct process *process)
{
	if (process->state == UNWATCHED)
		add(&descendants->ended, process->pid, process->exe, process->reason);
	free(process->exe);
	process->exe = NULL;
}

static void see(struct descendants *descendants, uint32_t pid)
{
	struct process *process;
	struct image image;

	if (!find_image(pid, &image))
		return;
	HASH_FIND(hh, descendants->processes, &pid, sizeof(pid), process);
	if (process && !is_same(&process->image, &image))
		end_image(descendants, process);
	if (!process) {
		process = say_calloc(1, sizeof(*process));
		process->pid = pid;
		HASH_ADD(hh, descendants->processes, pid, sizeof(process->pid), process);
	}
	if (!process->exe) {
		process->exe = find_program(pid);
		process->state = UNDECIDED;
		process->first_ms = clock_now_ms();
	}
	process->image = image;
	process->pass = descendants->pass;
	descendants->n_running++;
	/* What runs other programs in itself (valgrind) loads the library later. */
	if (process->state == UNDECIDED ||
	    (process->state == UNWATCHED && process->reason == UNWATCHED_STATIC &&
	     clock_now_ms() - process->first_ms < LOAD_PATIENCE_MS))
		examine(descendants, process);
}

static void walk(struct descendants *descendants, uint32_t pid);

/* The file lists children in one line, "4711 4712 ". */
static void walk_children(struct descendants *descendants, uint32_t pid, const char *tid)
{
	char path[320];
	unsigned child;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task/%s/children", pid, tid);
	FILE *children = fopen(path, "re");
	while (children && fscanf(children, "%u", &child) == 1) {
		if ((pid_t)child == descendants->except)
			continue;
		see(descendants, child);
		walk(descendants, child);
	}
	if (children)
		fclose(children);
}

static void walk(struct descendants *descendants, uint32_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/task", pid);
	DIR *tasks = opendir(path);
	for (const struct dirent *task; tasks && (task = readdir(tasks));)
		if (isdigit((unsigned char)task->d_name[0]))
			walk_children(descendants, pid, task->d_name);
	if (tasks)
		closedir(tasks);
}

size_t descendants_look(struct descendants *descendants, pid_t except)
{
	struct process *process, *next;

	descendants->pass++;
	descendants->n_running = 0;
	descendants->except = except;
	walk(descendants, (uint32_t)getpid());
	HASH_ITER(hh, descendants->processes, process, next)
	{
		if (process->pass == descendants->pass)
			continue;
		HASH_DEL(descendants->processes, process);
		end_image(descendants, process);
		free(process);
	}
	return descendants->n_running;
}

const char *descendants_program(const struct descendants *descendants, uint32_t pid)
{
	struct process *process;

	HASH_FIND(hh, descendants->processes, &pid, sizeof(pid), process);
	return process ? process->exe : NULL;
}

bool descendants_was_unwatched(const struct descendants *descendants, uint32_t pid)
{
	const struct unwatched_pid *noted;

	HASH_FIND(hh, descendants->unwatched_pids, &pid, sizeof(pid), noted);
	return noted != NULL;
}

void descendants_note(struct descendants *descendants, uint32_t pid, const char *exe,
		      enum unwatched_reason reason)
{
	add(&descendants->noted, pid, exe, reason);
}

static bool is_named(const struct descendants *descendants, uint32_t pid,
		     uint64_t start_ticks)
{
	const struct unwatched_pid *noted;

	HASH_FIND(hh, descendants->unwatched_pids, &pid, sizeof(pid), noted);
	return noted && noted->start_ticks == start_ticks;
}

void descendants_note_executed(struct descendants *descendants, uint32_t pid,
			       uint64_t start_ticks, const char *exe,
			       enum unwatched_reason reason)
{
	struct process *running;

	HASH_FIND(hh, descendants->processes, &pid, sizeof(pid), running);
	if (running && running->image.start_ticks == start_ticks) {
		/* The report lists the process as a running one, unless it was found
		 * unwatched. */
		if (running->state == UNDECIDED)
			decide(running, UNWATCHED, reason);
	} else if (!is_named(descendants, pid, start_ticks) &&
		   !find(&descendants->hosts, exe, reason)) {
		add(&descendants->ended, pid, exe, reason);
	}
	note_pid(descendants, pid, start_ticks);
}

static void tell(struct findings *findings, const struct unwatched *one, size_t n)
{
	while (n--)
		findings_add_unwatched(findings, one->pid, one->exe, one->reason);
}

/* How many of the same kind were seen here. */
static size_t n_seen(const struct descendants *descendants, const struct unwatched *noted)
{
	const struct unwatched *ended =
		find(&descendants->ended, noted->exe, noted->reason);
	size_t n = ended ? ended->n : 0;

	for (const struct process *process = descendants->processes; process;
	     process = process->hh.next)
		n += process->state == UNWATCHED && process->reason == noted->reason &&
		     strcmp(process->exe, noted->exe) == 0;
	return n;
}

void descendants_tell(const struct descendants *descendants, struct findings *findings)
{
	for (size_t i = 0; i < descendants->ended.n; i++)
		tell(findings, &descendants->ended.at[i], descendants->ended.at[i].n);
	for (const struct process *process = descendants->processes; process;
	     process = process->hh.next)
		findings_add_unwatched(findings, process->pid, process->exe,
				       process->state == UNWATCHED ? process->reason
								   : UNWATCHED_RUNNING);
	for (size_t i = 0; i < descendants->noted.n; i++) {
		const struct unwatched *noted = &descendants->noted.at[i];
		size_t seen = n_seen(descendants, noted);

		if (noted->n > seen &&
		    !find(&descendants->hosts, noted->exe, noted->reason))
			tell(findings, noted, noted->n - seen);
	}
}

void descendants_free(struct descendants *descendants)
{
	struct process *process, *next;
	struct unwatched_pid *noted, *next_noted;

	HASH_ITER(hh, descendants->unwatched_pids, noted, next_noted)
	{
		HASH_DEL(descendants->unwatched_pids, noted);
		free(noted);
	}
	HASH_ITER(hh, descendants->processes, process, next)
	{
		HASH_DEL(descendants->processes, process);
		free(process->exe);
		free(process);
	}
	free_list(&descendants->ended);
	free_list(&descendants->noted);
	free_list(&descendants->hosts);
	free(descendants);
}
