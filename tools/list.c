/* sockleak list: the sockets of running processes that keep a ledger.
 *
 * A ledger is mapped by its writer, so /proc/PID/maps tells where it is, also one whose
 * directory nobody remembers.  A forked child has its parent's mapped too: the pid in the
 * ledger decides whose it is.  The file is opened through the process's own root, for
 * those in containers; where it is gone from there, through /proc/PID/map_files, which
 * needs privileges. */
#include "list.h"

#include "commands.h"
#include "frames.h"
#include "ledger.h"
#include "say.h"
#include "symbols.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DELETED " (deleted)"

struct mapped {         /* one ledger in a process's memory */
	char range[64]; /* as /proc/PID/map_files calls it */
	char *path;     /* owned; as the process sees it */
	bool is_deleted;
};

/* --- finding ledgers --- */

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

/* The pid by which the process knows itself: the innermost of its pid namespaces. */
static uint32_t own_pid_of(uint32_t pid)
{
	char path[64], *line = NULL;
	size_t room = 0;
	uint32_t own = pid;
	snprintf(path, sizeof path, "/proc/%" PRIu32 "/status", pid);
	FILE *status = fopen(path, "re");
	while (status && getline(&line, &room, status) > 0) {
		const char *last = strrchr(line, '\t');
		if (!strncmp(line, "NSpid:", 6) && last)
			own = (uint32_t)strtoul(last, NULL, 10);
	}
	free(line);
	if (status)
		fclose(status);
	return own;
}

/* 1 = it is this process's ledger, 0 = another's, -1 = it cannot be read: `why`. */
static int read_ledger(uint32_t pid, const char *path, struct reader_ledger *ledger,
		       char why[READER_WHY_BYTES])
{
	if (reader_read(path, ledger, why) != 0)
		return -1;
	if (ledger->head->pid == own_pid_of(pid))
		return 1;
	reader_free(ledger);
	return 0;
}

static int read_mapped(uint32_t pid, const struct mapped *mapped,
		       struct reader_ledger *ledger)
{
	char why[READER_WHY_BYTES] = "it was deleted", why_not[READER_WHY_BYTES];
	char *path = say_printf("/proc/%" PRIu32 "/root%s", pid, mapped->path);
	int result = mapped->is_deleted ? -1 : read_ledger(pid, path, ledger, why);
	free(path);
	if (result >= 0)
		return result;
	path = say_printf("/proc/%" PRIu32 "/map_files/%s", pid, mapped->range);
	result = read_ledger(pid, path, ledger, why_not);
	free(path);
	if (result < 0)
		say_warn("cannot read %s of process %" PRIu32 ": %s", mapped->path, pid,
			 why);
	return result;
}

/* 1 = it keeps a ledger, 0 = none, -1 with errno = it may not be looked at, -2 = it keeps
 * one that cannot be read, which was said. */
static int find_ledger(uint32_t pid, struct reader_ledger *ledger)
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

/* --- what is in them --- */

/* One frame is shown: the innermost of the first that is the program's own. */
static struct text_frame find_origin(struct symbols *symbols,
				     const struct reader_ledger *ledger, uint32_t origin)
{
	struct text_frame frames[SL_MAX_FRAMES] = {0};
	const struct reader_backtrace *backtrace = reader_backtrace(ledger, origin);
	const struct symbol_frame *found;
	unsigned n = backtrace ? backtrace->n_frames : 0;
	for (unsigned i = 0; i < n; i++) {
		uint64_t frame = backtrace->frames[i];
		const struct reader_module *module =
			reader_module(ledger, SL_FRAME_MODULE(frame));
		frames[i].offset = SL_FRAME_OFFSET(frame);
		if (!module)
			continue;
		frames[i].module = module->path;
		frames[i].build_id = module->build_id;
		frames[i].build_id_bytes = module->build_id_bytes;
	}
	const struct text_frame *first = frames_first_of_user(frames, n);
	if (!first || !first->module)
		return (struct text_frame){0};
	struct text_frame shown = *first;
	size_t n_found = symbols_find(symbols, shown.module, shown.build_id,
				      shown.build_id_bytes, shown.offset, &found);
	shown.function = found[0].function;
	shown.function_offset = found[n_found - 1].distance;
	shown.file = found[0].file;
	shown.line = found[0].line;
	shown.inlined = found[0].inlined;
	return shown;
}

static void add_process(struct list *list, uint32_t pid,
			const struct reader_ledger *ledger)
{
	list->processes = say_realloc(list->processes, list->n_processes + 1,
				      sizeof *list->processes);
	struct list_process *process = &list->processes[list->n_processes++];
	*process = (struct list_process){.pid = pid, .ledger = *ledger};
	process->sockets = say_calloc(ledger->n_rows + 1, sizeof *process->sockets);
	struct judge_process judged = judge_process(ledger->head);
	for (size_t i = 0; i < ledger->n_rows; i++) {
		const struct reader_row *row = &ledger->rows[i];
		if (!row->row.held)
			continue;
		process->sockets[process->n_sockets++] = (struct list_socket){
			.row = row,
			.judged = judge_row(&judged, &row->row, row->fd),
			.origin = find_origin(list->symbols, ledger, row->row.origin)};
	}
}

/* All that may be looked at; -1 if a ledger could not be read. */
static int add_all(struct list *list)
{
	DIR *proc = opendir("/proc");
	int status = 0;
	/* Where nothing is mounted there is an empty directory. */
	if (!proc || access("/proc/self", F_OK) < 0)
		say_die(SAY_USAGE, "cannot look into /proc:");
	for (const struct dirent *one; (one = readdir(proc));) {
		struct reader_ledger ledger;
		if (!isdigit((unsigned char)one->d_name[0]))
			continue;
		uint32_t pid = (uint32_t)strtoul(one->d_name, NULL, 10);
		int found = find_ledger(pid, &ledger);
		if (found == 1)
			add_process(list, pid, &ledger);
		else if (found == -1 && (errno == EACCES || errno == EPERM))
			list->n_unseen++;
		else if (found == -2)
			status = -1;
	}
	closedir(proc);
	return status;
}

/* Once for all: a look is at the whole system. */
static void look_at_peers(struct list *list)
{
	struct peers *peers = NULL;
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		for (size_t j = 0; j < process->n_sockets; j++) {
			struct list_socket *socket = &process->sockets[j];
			const struct sl_descriptor *row = &socket->row->row;
			if (row->kind == SL_KIND_NONE)
				continue;
			if (row->flags & SL_ROW_FORGOTTEN_PEER)
				socket->peer = TEXT_PEER_FORGOTTEN;
			else if (peers || (peers = peers_look()))
				socket->peer = peers_state_by_cookie(peers, row->cookie,
								     row->local_port);
		}
	}
	peers_free(peers);
}

static int add_one(struct list *list, const char *argument)
{
	struct reader_ledger ledger;
	char *end;
	errno = 0;
	unsigned long pid = strtoul(argument, &end, 10);
	if (!isdigit((unsigned char)argument[0]) || *end || errno || pid > INT32_MAX)
		say_usage("list", "'%s' is no process id", argument);
	int found = find_ledger((uint32_t)pid, &ledger);
	if (found == 1)
		add_process(list, (uint32_t)pid, &ledger);
	else if (found == 0)
		say_warn("process %lu keeps no ledger", pid);
	else if (found == -1) {
		errno = errno == ENOENT ? ESRCH : errno;
		say_warn("cannot look at process %lu:", pid);
	}
	return found == 1 ? 0 : -1;
}

static int by_pid(const void *a, const void *b)
{
	const struct list_process *x = a, *y = b;
	return x->pid < y->pid ? -1 : x->pid > y->pid;
}

size_t list_n_leaks(const struct list *list)
{
	size_t n = 0;
	for (size_t i = 0; i < list->n_processes; i++) {
		const struct list_process *process = &list->processes[i];
		for (size_t j = 0; j < process->n_sockets; j++)
			n += process->sockets[j].judged.verdict >= SL_LEAK_GRACE;
	}
	return n;
}

uint64_t list_ms_since(const struct list *list, uint64_t then_ns)
{
	return then_ns && then_ns < list->now_ns ? (list->now_ns - then_ns) / 1000000 : 0;
}

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->n_processes; i++) {
		reader_free(&list->processes[i].ledger);
		free(list->processes[i].sockets);
	}
	free(list->processes);
	symbols_close(list->symbols);
}

/* --- the command --- */

static const char help[] =
	"Usage: sockleak list [OPTION]... [PID]...\n"
	"List the sockets of running processes that keep a ledger (sockleak run, or\n"
	"SOCKLEAK_OPTIONS=ledger=DIRECTORY): state, verdict, age, and where each was\n"
	"opened, by the first frame that is in no system library.\n"
	"\n"
	"  --json[=FILE]       as JSON\n"
	"  --error-exitcode=N  end with N if there is a leak\n"
	"  --help              this text\n"
	"\n"
	"Exit status: 0, or N of --error-exitcode; 2 on wrong usage, or where a process "
	"or\n"
	"its ledger cannot be read.\n"
	"\n"
	"Examples:\n"
	"  sockleak list\n"
	"  sockleak list --json 4711 | jq '.processes[].sockets[] | select(.age_ms > "
	"60000)'\n";

enum { JSON = 1, ERROR_EXITCODE };

static const struct option options[] = {
	{"json", optional_argument, NULL, JSON},
	{"error-exitcode", required_argument, NULL, ERROR_EXITCODE},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

struct wanted {
	bool is_json;
	const char *json_path; /* NULL = standard output */
	int error_exitcode;
};

static struct wanted take_options(int argc, char **argv)
{
	struct wanted wanted = {0};
	opterr = 0;
	for (int option; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
		if (option == JSON) {
			wanted.is_json = true;
			wanted.json_path =
				optarg && strcmp(optarg, "-") != 0 ? optarg : NULL;
		} else if (option == ERROR_EXITCODE) {
			wanted.error_exitcode = say_parse_exitcode("list", optarg);
		} else if (option == 'h') {
			fputs(help, stdout);
			exit(0);
		} else {
			say_bad_option("list", option, argv);
		}
	}
	return wanted;
}

int command_list(int argc, char **argv)
{
	struct wanted wanted = take_options(argc, argv);
	struct list list = {.symbols = symbols_open()};
	struct timespec now;
	int status = 0;
	if (optind == argc && add_all(&list) != 0)
		status = SAY_USAGE;
	for (int i = optind; i < argc; i++) {
		if (add_one(&list, argv[i]) != 0)
			status = SAY_USAGE;
	}
	if (list.n_processes)
		qsort(list.processes, list.n_processes, sizeof *list.processes, by_pid);
	look_at_peers(&list);
	clock_gettime(CLOCK_MONOTONIC, &now);
	list.now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	if (!wanted.is_json || wanted.json_path)
		list_print(&list, stdout);
	if (fflush(stdout) != 0)
		say_die(SAY_USAGE, "cannot write standard output:");
	if (wanted.is_json && list_write_json(&list, wanted.json_path) != 0)
		status = SAY_USAGE;
	if (status == 0 && list_n_leaks(&list))
		status = wanted.error_exitcode;
	free_list(&list);
	return status;
}
