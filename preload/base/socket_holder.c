/* See socket_holder.h. */
#include "base/socket_holder.h"

#include "base/guard.h"
#include "base/proc_numbers.h"
#include "base/sections.h"
#include "common/text.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define LIST_BYTES  8192
#define IS_EXITING  4   /* PF_EXITING in the kernel's include/linux/sched.h */
#define MAX_THREADS 256 /* of a process whose threads' names are read */

/* "/proc/4711/fd" and the like. */
struct path {
	char text[64];
};

static void end(struct text *text)
{
	text->at[text->used] = '\0';
}

static struct path path_of(int pid, const char *middle, int number, const char *last)
{
	struct path path = {""};
	struct text text = {path.text, sizeof(path.text) - 1, 0, false};

	text_string(&text, "/proc/");
	text_unsigned(&text, (uint64_t)pid);
	text_string(&text, middle);
	if (number >= 0)
		text_unsigned(&text, (uint64_t)number);
	text_string(&text, last);
	end(&text);
	return path;
}

/* `list` is the caller's, LIST_BYTES. */
static void for_each_number(const struct path *path, char *list,
			    bool (*each)(const struct proc_number *entry, void *of),
			    void *of)
{
	struct stat is;
	long directory = guard_open(AT_FDCWD, path->text, O_RDONLY | O_DIRECTORY, 0, &is);

	if (directory < 0)
		return;
	proc_numbers(directory, list, LIST_BYTES, each, of);
	guard_close(directory, &is);
}

/* What follows the name in /proc/PID/stat: "S 4711 ...", state and parent. */
static const char *stat_of(int pid, char text[512])
{
	const struct path path = path_of(pid, "/stat", -1, "");
	const char *end =
		guard_read_file(path.text, text, 512) > 0 ? strrchr(text, ')') : NULL;

	return end && end[1] == ' ' ? end + 2 : NULL;
}

bool socket_holder_runs(int pid)
{
	char text[512];
	const char *state = stat_of(pid, text), *flags = state;
	uint64_t number = 0;

	/* Field 9 (proc_pid_stat(5)): while a process ends, its files are closed first.
	 */
	for (int field = 3; flags && field < 9; field++) {
		flags = strchr(flags, ' ');
		flags += flags != NULL;
	}
	for (; flags && *flags >= '0' && *flags <= '9'; flags++)
		number = number * 10 + (uint64_t)(*flags - '0');
	return state && *state != 'Z' && *state != 'X' && !(number & IS_EXITING);
}

static bool is_child(int pid)
{
	char text[512];
	const char *state = stat_of(pid, text);
	int parent = 0;

	if (!state || !*state || state[1] != ' ')
		return false;
	for (const char *c = state + 2; *c >= '0' && *c <= '9'; c++)
		parent = parent * 10 + (*c - '0');
	return parent == guard_pid;
}

static void name_of_socket(uint32_t inode, char *name, size_t size)
{
	struct text text = {name, size - 1, 0, false};

	text_string(&text, "socket:[");
	text_unsigned(&text, inode);
	text_string(&text, "]");
	end(&text);
}

bool socket_holder_holds(int pid, int fd, uint32_t inode)
{
	const struct path path = path_of(pid, "/fd/", fd, "");
	char wanted[32], link[32];
	long n = guard_sys(SYS_readlinkat, AT_FDCWD, path.text, link, sizeof(link));

	name_of_socket(inode, wanted, sizeof(wanted));
	return n == (long)strlen(wanted) && memcmp(link, wanted, (size_t)n) == 0;
}

struct search {
	char name[32]; /* of the socket */
	size_t name_bytes;
	int fd; /* that was found; -1 = none yet */
	int pid;
	bool is_child;
	unsigned n_threads;
	struct socket_holder *holder;
};

static bool look_at_descriptor(const struct proc_number *entry, void *of)
{
	struct search *search = of;
	char link[32];

	long n = guard_sys(SYS_readlinkat, entry->directory, entry->name, link,
			   sizeof(link));
	if (n == (long)search->name_bytes && memcmp(link, search->name, (size_t)n) == 0)
		search->fd = entry->number;
	return search->fd < 0;
}

ARENA_TABLE static char processes[LIST_BYTES], entries[LIST_BYTES];

static bool look_at_process(const struct proc_number *entry, void *of)
{
	struct search *search = of;
	int pid = entry->number;
	const struct path path = path_of(pid, "/fd", -1, "");

	search->fd = -1;
	for_each_number(&path, entries, look_at_descriptor, search);
	if (search->fd < 0)
		return true;
	if (pid == guard_pid) {
		search->holder->is_ours = true;
		return false;
	}
	if (search->holder->pid && (search->is_child || !is_child(pid)))
		return true;
	search->is_child = is_child(pid);
	search->holder->pid = pid;
	search->holder->fd = search->fd;
	return true;
}

static bool look_at_thread(const struct proc_number *entry, void *of)
{
	struct search *search = of;
	const struct path path =
		path_of(search->holder->pid, "/task/", entry->number, "/comm");
	char name[32];

	if (guard_read_file(path.text, name, sizeof(name)) > 0 &&
	    !strcmp(name, "sockleak\n"))
		search->holder->scans_itself = true;
	return !search->holder->scans_itself && ++search->n_threads < MAX_THREADS;
}

void socket_holder_find(uint32_t inode, struct socket_holder *holder)
{
	struct search search = {.holder = holder};
	const struct path proc = {"/proc"};

	memset(holder, 0, sizeof(*holder));
	name_of_socket(inode, search.name, sizeof(search.name));
	search.name_bytes = strlen(search.name);
	for_each_number(&proc, processes, look_at_process, &search);
	if (!holder->pid || holder->is_ours)
		return;
	const struct path threads = path_of(holder->pid, "/task", -1, "");
	for_each_number(&threads, entries, look_at_thread, &search);
	const struct path comm = path_of(holder->pid, "/comm", -1, "");
	size_t n = guard_read_file(comm.text, holder->program, sizeof(holder->program));
	if (n > 0 && holder->program[n - 1] == '\n')
		holder->program[n - 1] = '\0';
}
