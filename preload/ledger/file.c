/* Making the ledger, and its end: see ledger.h for the format.
 *
 * The whole file is mapped at its largest size from the start, but only what fallocate
 * has reserved is touched: a store into a hole would end the host by SIGBUS on a full
 * disk.  What cannot be reserved is dropped and counted. */
#include "ledger/ledger_internal.h"

#include "base/clock.h"
#include "base/sections.h"
#include "common/text.h"
#include "ledger/ledger_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#define FIRST_BLOCKS 4 /* reserved at start: 80 KiB */
#define PATH_BYTES   1200
#define CHILDREN_AT  offsetof(struct sl_header, children_failed)

struct sl_header *_Atomic ledger_file, *_Atomic ledger_of_ancestor;
_Atomic uint32_t ledger_n_reserved;
ARENA_TABLE struct stat ledger_made;
ARENA_TABLE static char ledger_path[PATH_BYTES];
static _Atomic bool is_worth_keeping;
static const char *named; /* the directory; NULL = none */
static _Atomic bool is_wanted;

bool ledger_is_kept(void)
{
	return ledger_file != NULL;
}

AT_START void ledger_expect(const char *directory)
{
	named = directory;
	atomic_store(&is_wanted, true);
}

const char *ledger_directory(void)
{
	return named;
}

bool ledger_is_wanted(void)
{
	return atomic_load(&is_wanted);
}

/* From the third field on: the second may hold anything of 64 bytes but ends with the
 * last parenthesis. */
static uint64_t field_of(const char *stat_file, int wanted)
{
	char stat[384];
	uint64_t value = 0;

	if (!guard_read_file(stat_file, stat, sizeof(stat)))
		return 0;
	const char *at = strrchr(stat, ')');
	for (int field = 2; at && field < wanted; field++)
		at = strchr(at + 1, ' ');
	if (at)
		for (at++; *at >= '0' && *at <= '9'; at++)
			value = value * 10 + (uint64_t)(*at - '0');
	return value;
}

uint64_t ledger_start_ticks(const char *stat_file)
{
	return field_of(stat_file, 22);
}

uint64_t ledger_process_threads(void)
{
	return field_of("/proc/self/stat", 20);
}

uint64_t ledger_process_began_ns(void)
{
	const uint64_t tick_ns = 10000000; /* USER_HZ is 100 everywhere */
	uint64_t since_boot_ns = ledger_start_ticks("/proc/self/stat") * tick_ns;
	uint64_t now_ns = clock_ns(CLOCK_BOOTTIME);

	return since_boot_ns && since_boot_ns < now_ns
		       ? clock_ns(CLOCK_MONOTONIC) - (now_ns - since_boot_ns)
		       : clock_ns(CLOCK_MONOTONIC);
}

static void read_boot_id(uint8_t id[16])
{
	char text[64];
	unsigned n = 0;

	guard_read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
	for (const char *c = text; *c && n < 32; c++) {
		unsigned digit = *c >= '0' && *c <= '9'   ? (unsigned)(*c - '0')
				 : *c >= 'a' && *c <= 'f' ? (unsigned)(*c - 'a' + 10)
							  : 16;
		if (digit < 16) {
			id[n / 2] = (uint8_t)(id[n / 2] << 4 | digit);
			n++;
		}
	}
}

/* The number in "net:[4026531840]", where the link `name` leads. */
uint64_t ledger_namespace(const char *name)
{
	char link[64];
	uint64_t number = 0;
	long n = guard_sys(SYS_readlinkat, AT_FDCWD, name, link, sizeof(link));

	for (long i = 0; i < n; i++)
		if (link[i] >= '0' && link[i] <= '9')
			number = number * 10 + (uint64_t)(link[i] - '0');
	return number;
}

/* Other users could put a file or a link with our name into a directory that they may
 * write. */
static const char *refuse_directory(const struct stat *is)
{
	if (is->st_uid != 0 && is->st_uid != (uid_t)guard_sys(SYS_geteuid))
		return "the ledger directory belongs to another user";
	if ((is->st_mode & 022) && !(is->st_mode & S_ISVTX))
		return "the ledger directory can be written by others";
	return NULL;
}

const char ledger_has_no_directory[] = "the ledger directory cannot be opened";

long ledger_open_directory(const char *name, struct stat *is, const char **problem)
{
	long directory =
		guard_open(AT_FDCWD, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0, is);

	*problem = directory == -ENOENT ? ledger_has_no_directory
		   : directory < 0      ? "the ledger directory cannot be opened"
					: refuse_directory(is);
	if (directory >= 0 && *problem) {
		guard_close(directory, is);
		directory = -1;
	}
	return directory;
}

static long create_file(int directory, const char *name_of_directory, uint64_t ticks,
			struct stat *is)
{
	for (unsigned sequence = 0; sequence < 10000; sequence++) {
		struct text text = {ledger_path, sizeof(ledger_path) - 1, 0, false};

		text_string(&text, name_of_directory);
		text_string(&text, "/");
		size_t name_at = text.used;
		text_unsigned(&text, (uint64_t)guard_pid);
		text_string(&text, ".");
		text_unsigned(&text, ticks);
		text_string(&text, ".");
		text_unsigned(&text, sequence);
		text_string(&text, SL_LEDGER_SUFFIX);
		if (text.cut)
			return -1;
		ledger_path[text.used] = '\0';
		long fd = guard_open(directory, ledger_path + name_at,
				     O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW,
				     0600, is);
		if (fd != -EEXIST)
			return fd;
	}
	return -1;
}

bool ledger_may_grow_to(size_t bytes)
{
	struct rlimit limit;

	return guard_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) == 0 &&
	       (limit.rlim_cur == RLIM_INFINITY || bytes <= limit.rlim_cur);
}

/* Behind what is there: the file is open for that. */
static bool write_zeros(int fd, size_t wanted)
{
	ARENA_TABLE static char zeros[4096]; /* never written */
	struct stat is;

	if (guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) < 0)
		return false;
	for (size_t size = (size_t)is.st_size; size < wanted;) {
		size_t rest = wanted - size;
		long n = guard_sys(SYS_write, fd, zeros,
				   rest < sizeof(zeros) ? rest : sizeof(zeros));

		if (n <= 0)
			return false;
		size += (size_t)n;
	}
	return true;
}

/* Some file systems (9p, ramfs, NFS before 4.2) reserve nothing. */
bool ledger_reserve(int fd, uint32_t n)
{
	size_t wanted = BLOCK_OFFSET(n);

	if (!ledger_may_grow_to(wanted))
		return false;
	long error = guard_sys(SYS_fallocate, fd, 0, 0, wanted);
	return error == 0 || (error == -EOPNOTSUPP && write_zeros(fd, wanted));
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t n = strnlen(from, size - 1);

	memcpy(to, from, n);
	to[n] = '\0';
}

static void fill_header(struct sl_header *header, uint64_t ticks)
{
	struct utsname name;

	header->version = SL_LEDGER_VERSION;
	header->byte_order = SL_BYTE_ORDER;
	header->header_bytes = sizeof(*header);
	header->block_bytes = SL_BLOCK_BYTES;
	header->pid = (uint32_t)guard_pid;
	header->parent_pid = (uint32_t)guard_sys(SYS_getppid);
	header->start_ticks = ticks;
	header->started_ns = clock_ns(CLOCK_MONOTONIC);
	header->started_realtime_ns = clock_ns(CLOCK_REALTIME);
	read_boot_id(header->boot_id);
	header->net_namespace = ledger_namespace("/proc/self/ns/net");
	header->pid_namespace = ledger_namespace("/proc/self/ns/pid");
	header->ended = SL_RUNNING;
	copy_text(header->tool_version, sizeof(header->tool_version), SL_VERSION);
	if (guard_sys(SYS_uname, &name) == 0)
		copy_text(header->host, sizeof(header->host), name.nodename);
	guard_program(header->exe, sizeof(header->exe));
}

static void let_ancestor_go(void)
{
	struct sl_header *ancestors = atomic_exchange(&ledger_of_ancestor, NULL);

	if (ancestors)
		guard_sys(SYS_munmap, (char *)ancestors + CHILDREN_AT, SL_CHILDREN_BYTES);
}

static const char *map_file(int fd, const struct stat *is, uint64_t ticks,
			    uint64_t grace_ns, unsigned at_exit, unsigned frames,
			    bool forked)
{
	if (!ledger_reserve(fd, FIRST_BLOCKS))
		return "the ledger cannot be reserved: no room, or beyond the limit of "
		       "file sizes";
	long at = guard_sys(SYS_mmap, NULL, FILE_BYTES, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_NORESERVE, fd, 0);
	if ((unsigned long)at > -4096UL) /* an error number */
		return "the ledger cannot be mapped";
	struct sl_header *header = (struct sl_header *)at;
	fill_header(header, ticks);
	header->grace_ns = grace_ns;
	header->at_exit = at_exit;
	header->frames = frames;
	header->forked = forked;
	atomic_thread_fence(memory_order_release);
	*(volatile uint64_t *)&header->magic = SL_LEDGER_MAGIC;
	ledger_made = *is;
	atomic_store(&ledger_n_reserved, FIRST_BLOCKS);
	ledger_file = header;
	let_ancestor_go();
	return NULL;
}

static const char *start_in(const char *directory_name, uint64_t grace_ns,
			    unsigned at_exit, unsigned frames, bool forked)
{
	uint64_t ticks = ledger_start_ticks("/proc/self/stat");
	const char *problem;
	struct stat is_directory, is;
	long directory = ledger_open_directory(directory_name, &is_directory, &problem);

	if (directory < 0)
		return problem;
	long fd = create_file((int)directory, directory_name, ticks, &is);
	problem =
		fd < 0 ? "the ledger cannot be created"
		       : map_file((int)fd, &is, ticks, grace_ns, at_exit, frames, forked);
	if (fd >= 0)
		guard_close(fd, &is);
	if (fd >= 0 && problem)
		guard_sys(SYS_unlinkat, AT_FDCWD, ledger_path, 0);
	guard_close(directory, &is_directory);
	return problem;
}

const char *ledger_start(const char *directory_name, uint64_t grace_ns, unsigned at_exit,
			 unsigned frames, bool forked)
{
	const char *problem = start_in(directory_name, grace_ns, at_exit, frames, forked);

	atomic_store(&is_wanted, !problem);
	if (problem)
		ledger_failed(directory_name, is_worth_keeping);
	return problem;
}

long ledger_reopen(void)
{
	struct stat is;
	long fd =
		guard_open(AT_FDCWD, ledger_path, O_RDWR | O_APPEND | O_NOFOLLOW, 0, &is);

	if (fd < 0 ||
	    (is.st_dev == ledger_made.st_dev && is.st_ino == ledger_made.st_ino))
		return fd;
	guard_close(fd, &is);
	return -1;
}

void ledger_keep(void)
{
	if (!is_worth_keeping) /* the store would lock the line, once a socket */
		is_worth_keeping = true;
	ledger_note_failure();
}

static void remove_file(void)
{
	long fd = ledger_reopen();

	if (fd < 0)
		return;
	guard_close(fd, &ledger_made);
	guard_sys(SYS_unlinkat, AT_FDCWD, ledger_path, 0);
}

AT_START void ledger_end(int exit_status)
{
	if (!ledger_ours())
		return;
	ledger_file->exit_status = exit_status;
	ledger_file->ended_ns = clock_now_ns();
	atomic_store_explicit((_Atomic uint32_t *)&ledger_file->ended, SL_ENDED_EXIT,
			      memory_order_release);
	if (!is_worth_keeping && !guard_is_sandboxed)
		remove_file();
}

/* Where pages are larger nothing is kept: what stands beside it is the parent's alone. */
static void keep_page_of(struct sl_header *parents)
{
	size_t behind = CHILDREN_AT + SL_CHILDREN_BYTES;

	if (getauxval(AT_PAGESZ) != SL_CHILDREN_BYTES) {
		guard_sys(SYS_munmap, parents, FILE_BYTES);
		return;
	}
	guard_sys(SYS_munmap, parents, CHILDREN_AT);
	guard_sys(SYS_munmap, (char *)parents + behind, FILE_BYTES - behind);
	atomic_store(&ledger_of_ancestor, parents);
}

void ledger_fork_child(void)
{
	struct sl_header *parents =
		atomic_exchange_explicit(&ledger_file, NULL, memory_order_acq_rel);

	if (parents)
		keep_page_of(parents);
	is_worth_keeping = false;
	atomic_store(&is_wanted, named != NULL);
	ledger_forget_failure();
	ledger_writer_fork_child();
	ledger_handover_fork_child();
}
