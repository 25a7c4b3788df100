/* Which processes run, as /proc tells now. */
#include "kernel/process.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PROC_PID_INIT_INO of the kernel's include/linux/proc_ns.h. */
#define FIRST_PID_NAMESPACE UINT64_C(0xeffffffc)

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	bool got = fgets(line, (int)size, file) != NULL;
	fclose(file);
	return got;
}

bool process_is_of_this_boot(const uint8_t boot_id[16])
{
	char line[64], hex[33] = "";

	if (!read_line("/proc/sys/kernel/random/boot_id", line, sizeof(line)))
		return false;
	for (size_t i = 0, used = 0; line[i] && used < 32; i++)
		if (line[i] != '-' && line[i] != '\n')
			hex[used++] = line[i];
	for (size_t i = 0; i < 16; i++) {
		unsigned byte;

		if (sscanf(hex + 2 * i, "%2x", &byte) != 1 || byte != boot_id[i])
			return false;
	}
	return true;
}

/* Fields 3 (state), 20 (threads) and 22 (start time) of /proc/PID/stat. */
static bool read_stat(uint32_t pid, char *state, long *n_threads, uint64_t *start_ticks)
{
	char path[64], line[1024];
	unsigned long long start;

	snprintf(path, sizeof(path), "/proc/%u/stat", pid);
	if (!read_line(path, line, sizeof(line)))
		return false;
	const char *after_name = strrchr(line, ')');
	if (!after_name ||
	    sscanf(after_name + 1,
		   " %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
		   "%*s %*s %*s %ld %*s %llu",
		   state, n_threads, &start) != 3)
		return false;
	*start_ticks = start;
	return true;
}

/* An exec keeps pid and start time, but not the program. */
static bool is_same_program(const struct sl_header *head)
{
	char path[64], exe[sizeof(head->exe) + 16];

	snprintf(path, sizeof(path), "/proc/%u/exe", head->pid);
	ssize_t bytes = readlink(path, exe, sizeof(exe) - 1);
	if (bytes < 0 || !head->exe[0])
		return true; /* not ours to see: believe the ledger */
	exe[bytes] = 0;
	size_t known = strlen(head->exe), n = strlen(exe);
	if (known == sizeof(head->exe) - 1)
		return strncmp(exe, head->exe, known) == 0;
	const char *deleted = strstr(exe, " (deleted)");
	if (deleted)
		n = (size_t)(deleted - exe);
	/* Before it stands the root of the process, where that is another one than ours.
	 */
	return n >= known && strncmp(exe + n - known, head->exe, known) == 0;
}

bool process_runs(uint32_t pid, uint64_t start_ticks)
{
	char state;
	long n_threads;
	uint64_t started;

	if (!read_stat(pid, &state, &n_threads, &started))
		return false;
	/* A zombie is gone, but for one whose first thread alone has ended. */
	if (state == 'X' || (state == 'Z' && n_threads < 2))
		return false;
	return started == start_ticks;
}

bool process_is_stopped(uint32_t pid)
{
	char state;
	long n_threads;
	uint64_t started;

	return read_stat(pid, &state, &n_threads, &started) &&
	       (state == 'T' || state == 't');
}

bool process_status(uint32_t pid, const char *field, char line[PROCESS_STATUS_BYTES])
{
	char path[64];
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%u/status", pid);
	FILE *status = fopen(path, "re");
	while (!found && status && fgets(line, PROCESS_STATUS_BYTES, status))
		found = strncmp(line, field, strlen(field)) == 0;
	if (status)
		fclose(status);
	return found;
}

uint32_t process_own_pid(uint32_t pid)
{
	char line[PROCESS_STATUS_BYTES];
	const char *last =
		process_status(pid, "NSpid:", line) ? strrchr(line, '\t') : NULL;

	return last ? (uint32_t)strtoul(last, NULL, 10) : pid;
}

uint64_t process_pid_namespace(void)
{
	struct stat namespace;

	return stat("/proc/self/ns/pid", &namespace) == 0 ? namespace.st_ino : 0;
}

/* Pid namespaces below ours have their processes in our /proc, under other pids. */
static bool runs_in_other_namespace(const struct sl_header *head)
{
	DIR *proc = opendir("/proc");
	const struct dirent *one;
	bool found = false;

	while (proc && !found && (one = readdir(proc))) {
		uint32_t pid = (uint32_t)strtoul(one->d_name, NULL, 10);

		found = pid && process_runs(pid, head->start_ticks) &&
			process_own_pid(pid) == head->pid;
	}
	if (proc)
		closedir(proc);
	return found;
}

bool process_is_alive(const struct sl_header *head)
{
	if (head->ended != SL_RUNNING || !process_is_of_this_boot(head->boot_id))
		return false;
	if (head->pid_namespace && head->pid_namespace != process_pid_namespace())
		return runs_in_other_namespace(head);
	return process_runs(head->pid, head->start_ticks) && is_same_program(head);
}

/* The first pid namespace shows all processes of the system.  A process without a /proc
 * cannot tell which it is. */
bool process_may_run_unseen(const struct sl_header *head)
{
	static const uint8_t not_known[sizeof(head->boot_id)];
	uint64_t own = process_pid_namespace();

	if (memcmp(head->boot_id, not_known, sizeof(not_known)) == 0)
		return true;
	return process_is_of_this_boot(head->boot_id) && head->pid_namespace != own &&
	       own != FIRST_PID_NAMESPACE;
}

void process_name(uint32_t pid, char name[PROCESS_NAME_BYTES])
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%u/comm", pid);
	name[0] = 0;
	if (read_line(path, name, PROCESS_NAME_BYTES))
		name[strcspn(name, "\n")] = 0;
}

/* Of "Uid:" or "Gid:", the real and the effective one. */
static bool differs(uint32_t pid, const char *field)
{
	char line[PROCESS_STATUS_BYTES];
	unsigned real, effective;

	return process_status(pid, field, line) &&
	       sscanf(line + strlen(field), " %u %u", &real, &effective) == 2 &&
	       real != effective;
}

bool process_gained_rights(uint32_t pid)
{
	char line[PROCESS_STATUS_BYTES];
	unsigned long long capabilities = 0;

	if (geteuid() != 0 && process_status(pid, "CapEff:", line))
		sscanf(line, "CapEff: %llx", &capabilities);
	return capabilities || differs(pid, "Uid:") || differs(pid, "Gid:");
}
