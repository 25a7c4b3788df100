/* The verdict on what a process held.  One that ended by exit() was judged by the
 * library, which asked the kernel a last time; its word stands, and so does that on a
 * process that runs.  A process that was killed, or crashed, was last judged at the last
 * look: here its rows are judged by the same two rules, as of that look. */
#include "judge.h"

#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A socket that sent this long after the program was told was in use; the kernel's clock
 * is no finer. */
#define TOLD_SLACK_NS UINT64_C(10000000) /* 10 ms */

/* -- is it alive? ----------------------------------------------------------------- */

static bool read_line(const char *path, char *line, size_t size)
{
	FILE *file = fopen(path, "re");

	if (!file)
		return false;
	bool got = fgets(line, (int)size, file) != NULL;
	fclose(file);
	return got;
}

bool judge_is_this_boot(const uint8_t boot_id[16])
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
	size_t known = strlen(head->exe);
	return strncmp(exe, head->exe, known) == 0 &&
	       (exe[known] == 0 || strcmp(exe + known, " (deleted)") == 0 ||
		known == sizeof(head->exe) - 1);
}

bool judge_runs(uint32_t pid, uint64_t start_ticks)
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

bool judge_is_alive(const struct sl_header *head)
{
	return head->ended == SL_RUNNING && judge_is_this_boot(head->boot_id) &&
	       judge_runs(head->pid, head->start_ticks) && is_same_program(head);
}

/* -- verdicts --------------------------------------------------------------------- */

struct judge_process judge_process(const struct sl_header *head)
{
	struct judge_process process = {
		.ended = FINDINGS_UNKNOWN,
		.told_counts = head->at_exit == 0,
		.grace_ns = head->grace_ns,
		.last_ns = head->looked_ns,
	};

	if (head->ended == SL_ENDED_EXIT) {
		process.ended = FINDINGS_EXIT;
		if (head->ended_ns)
			process.last_ns = head->ended_ns;
	} else if (judge_is_alive(head)) {
		process.ended = FINDINGS_RUNNING;
	}
	return process;
}

/* 3.1, as of the row's last look. */
static bool is_past_grace(const struct judge_process *process,
			  const struct sl_descriptor *row)
{
	if (row->verdict == SL_LEAK_GRACE)
		return true;
	return row->kind != SL_KIND_NONE && row->quiet_ns &&
	       row->looked_ns >= row->quiet_ns &&
	       row->looked_ns - row->quiet_ns >= process->grace_ns;
}

/* 3.2: told, and nothing sent since. */
static bool is_told_and_kept(const struct judge_process *process,
			     const struct sl_descriptor *row)
{
	if (row->verdict == SL_LEAK_EXIT)
		return true;
	if (!process->told_counts || !row->told_ns)
		return false;
	/* Its own shutdown tells a program nothing of the peer; the kernel must have. */
	if (row->kind == SL_KIND_NONE && row->eof_call == SL_CALL_shutdown)
		return false;
	return !row->sent_ns || row->sent_ns <= row->told_ns ||
	       row->sent_ns - row->told_ns <= TOLD_SLACK_NS;
}

/* Told after the last look: what the kernel would have said is known from the call. */
static enum sl_kind kind_by_call(const struct sl_descriptor *row)
{
	if ((row->why & SL_WHY_RESET) || (row->flags & SL_ROW_FORGOTTEN_PEER))
		return SL_KIND_DEAD;
	switch ((enum sl_call)row->eof_call) {
	case SL_CALL_send:
	case SL_CALL___send:
	case SL_CALL_sendto:
	case SL_CALL_sendmsg:
	case SL_CALL_sendmmsg:
	case SL_CALL_write:
	case SL_CALL___write:
	case SL_CALL_writev:
		return SL_KIND_DEAD;
	default:
		return SL_KIND_CLOSE_WAIT;
	}
}

static uint8_t state_of(enum sl_kind kind, uint8_t looked)
{
	if (kind == SL_KIND_DEAD)
		return TCP_CLOSE;
	return looked == TCP_LAST_ACK || looked == TCP_CLOSING ? looked : TCP_CLOSE_WAIT;
}

/* A standard stream that came over exec is not the program's to close; as in watch.c. */
static bool ends_with_the_program(const struct sl_descriptor *row, uint32_t fd)
{
	return fd <= 2 && row->note == SL_NOTE_INHERITED;
}

/* 3.2: one already, although the program has sent something since. */
static bool was_leak(const struct judge_process *process, const struct sl_descriptor *row,
		     uint32_t fd)
{
	return process->told_counts && process->ended != FINDINGS_EXEC &&
	       (row->flags & SL_ROW_WAS_LEAK) && !ends_with_the_program(row, fd);
}

static enum sl_verdict verdict_of_killed(const struct judge_process *process,
					 const struct sl_descriptor *row, uint32_t fd)
{
	if (is_past_grace(process, row) || was_leak(process, row, fd))
		return SL_LEAK_GRACE;
	if (process->ended != FINDINGS_EXEC && !ends_with_the_program(row, fd) &&
	    is_told_and_kept(process, row))
		return SL_LEAK_EXIT;
	return row->kind != SL_KIND_NONE ? SL_PENDING : SL_NO_VERDICT;
}

/* The last look may have been before the program was told. */
static unsigned why_of_killed(const struct sl_descriptor *row)
{
	unsigned why = row->why;

	if (row->told_ns <= row->looked_ns)
		return why;
	if (row->eof_call == SL_CALL_shutdown)
		return why | SL_WHY_SHUT_NOT_CLOSED;
	return (why & ~(unsigned)SL_WHY_NEVER_READ) | SL_WHY_EOF_READ;
}

struct judge_row judge_row(const struct judge_process *process,
			   const struct sl_descriptor *row, uint32_t fd)
{
	struct judge_row judged = {row->verdict, row->kind, row->why, row->state};
	bool by_library =
		process->ended == FINDINGS_EXIT || process->ended == FINDINGS_RUNNING;

	if (row->flags & SL_ROW_EXPECTED)
		return (struct judge_row){.verdict = SL_NO_VERDICT};
	if (!by_library)
		judged.verdict = verdict_of_killed(process, row, fd);
	if (judged.verdict == SL_NO_VERDICT)
		return judged;
	if (judged.kind == SL_KIND_NONE)
		judged.kind = kind_by_call(row);
	if (!by_library)
		judged.why = why_of_killed(row);
	judged.state = state_of(judged.kind, row->state);
	return judged;
}
