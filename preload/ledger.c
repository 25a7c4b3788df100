/* Writing the ledger: see ledger.h for the format, ledger_writer.h for who may call what.
 *
 * The whole file is mapped at its largest size from the start, but only what fallocate
 * has reserved is touched: a store into a hole would end the host by SIGBUS on a full
 * disk. What cannot be reserved is dropped and counted. */
#include "ledger_writer.h"

#include "arena.h"
#include "guard.h"
#include "text.h"

#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#define FIRST_BLOCKS    4  /* reserved at start: 80 KiB */
#define GROW_BLOCKS     16 /* reserved at a time afterwards: 320 KiB */
#define LOW_BLOCKS      4  /* grow when fewer are left */
#define PATH_BYTES      1200
#define N_GIFTS         2048  /* given between two looks: 64 KiB, touched as needed */
#define MAX_GIVEN       16384 /* in one file: 900 KiB */
#define ROW_RANGES      (1048576 / SL_ROWS_PER_BLOCK)
#define FILE_BYTES      (sizeof(struct sl_header) + (size_t)SL_MAX_BLOCKS * SL_BLOCK_BYTES)
#define BLOCK_OFFSET(k) (sizeof(struct sl_header) + (size_t)(k)*SL_BLOCK_BYTES)

static struct sl_header *_Atomic file; /* the mapping; NULL = no ledger is kept */
ARENA_TABLE static char path[PATH_BYTES];
static dev_t file_device;
static ino_t file_inode;
static _Atomic uint32_t n_reserved; /* blocks the file has room for */
ARENA_TABLE static _Atomic uint16_t
	blocks_of_rows[ROW_RANGES];            /* block + 1 of each range; 0 = none */
static _Atomic uint32_t n_row_blocks;          /* how many of them hold rows */
static _Atomic uint64_t n_lost_records;        /* found no room, for good */
static uint64_t n_unwritten;                   /* what had none at the last look */
static _Atomic uint32_t n_backtraces, n_names; /* in the file */
static uint32_t records_block, records_used;   /* block + 1 and bytes; the ticker's */

static _Atomic uint64_t *counter(uint64_t *field)
{
	return (_Atomic uint64_t *)field;
}

bool ledger_is_kept(void)
{
	return file != NULL;
}

/* The file, or nothing: a real child must not write into its parent's. */
static struct sl_header *ours(void)
{
	return file && !guard_is_copy() ? file : NULL;
}

/* ---- making the file ---- */

static size_t read_file(const char *name, char *buffer, size_t size)
{
	long fd = guard_open(AT_FDCWD, name, O_RDONLY, 0);
	long n = fd < 0 ? 0 : guard_sys(SYS_read, fd, buffer, size - 1);

	if (fd >= 0)
		guard_sys(SYS_close, fd);
	buffer[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

/* Field 22 of /proc/self/stat; the second field may hold anything but ends with the last
 * parenthesis. */
static uint64_t start_ticks(void)
{
	char stat[1024];
	uint64_t ticks = 0;

	if (!read_file("/proc/self/stat", stat, sizeof(stat)))
		return 0;
	const char *at = strrchr(stat, ')');
	for (int field = 2; at && field < 22; field++)
		at = strchr(at + 1, ' ');
	if (at)
		for (at++; *at >= '0' && *at <= '9'; at++)
			ticks = ticks * 10 + (uint64_t)(*at - '0');
	return ticks;
}

static void read_boot_id(uint8_t id[16])
{
	char text[64];
	unsigned n = 0;

	read_file("/proc/sys/kernel/random/boot_id", text, sizeof(text));
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

/* The number in "net:[4026531840]". */
static uint64_t net_namespace(void)
{
	char link[64];
	uint64_t number = 0;
	long n = guard_sys(SYS_readlinkat, AT_FDCWD, "/proc/self/ns/net", link,
			   sizeof(link));

	for (long i = 0; i < n; i++)
		if (link[i] >= '0' && link[i] <= '9')
			number = number * 10 + (uint64_t)(link[i] - '0');
	return number;
}

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Somebody else could put a file or link in our way in a directory that others may write.
 */
static const char *refuse_directory(int directory)
{
	struct stat is;

	if (guard_sys(SYS_newfstatat, directory, "", &is, AT_EMPTY_PATH) < 0)
		return "the ledger directory cannot be examined";
	if (is.st_uid != 0 && is.st_uid != (uid_t)guard_sys(SYS_geteuid))
		return "the ledger directory belongs to another user";
	if ((is.st_mode & 022) && !(is.st_mode & S_ISVTX))
		return "the ledger directory can be written by others";
	return NULL;
}

static long create_file(int directory, const char *name_of_directory, uint64_t ticks)
{
	for (unsigned sequence = 0; sequence < 10000; sequence++) {
		struct text text = {path, sizeof(path) - 1, 0, false};

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
		path[text.used] = '\0';
		long fd = guard_open(directory, path + name_at,
				     O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		if (fd != -17 /* EEXIST */)
			return fd;
	}
	return -1;
}

/* Makes room for `n` blocks in all.  Beyond RLIMIT_FSIZE the kernel would send SIGXFSZ.
 */
static bool reserve(int fd, uint32_t n)
{
	struct rlimit limit;
	size_t wanted = BLOCK_OFFSET(n);

	if (guard_sys(SYS_prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0 ||
	    (limit.rlim_cur != RLIM_INFINITY && wanted > limit.rlim_cur))
		return false;
	return guard_sys(SYS_fallocate, fd, 0, 0, wanted) == 0;
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
	header->net_namespace = net_namespace();
	header->ended = SL_RUNNING;
	copy_text(header->tool_version, sizeof(header->tool_version), SL_VERSION);
	if (guard_sys(SYS_uname, &name) == 0)
		copy_text(header->host, sizeof(header->host), name.nodename);
	guard_program(header->exe, sizeof(header->exe));
}

static const char *map_file(int fd, uint64_t ticks, uint64_t grace_ns, unsigned at_exit,
			    unsigned frames, bool forked)
{
	struct stat is;

	if (!reserve(fd, FIRST_BLOCKS))
		return "the ledger cannot be reserved: no room, or beyond the limit of "
		       "file sizes";
	if (guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) < 0)
		return "the ledger cannot be examined";
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
	file_device = is.st_dev;
	file_inode = is.st_ino;
	atomic_store(&n_reserved, FIRST_BLOCKS);
	file = header;
	return NULL;
}

const char *ledger_start(const char *directory_name, uint64_t grace_ns, unsigned at_exit,
			 unsigned frames, bool forked)
{
	uint64_t ticks = start_ticks();
	long directory = guard_open(AT_FDCWD, directory_name,
				    O_RDONLY | O_DIRECTORY | O_NOFOLLOW, 0);

	if (directory < 0)
		return "the ledger directory cannot be opened";
	const char *problem = refuse_directory((int)directory);
	if (!problem) {
		long fd = create_file((int)directory, directory_name, ticks);

		problem = fd < 0 ? "the ledger cannot be created"
				 : map_file((int)fd, ticks, grace_ns, at_exit, frames,
					    forked);
		if (fd >= 0)
			guard_sys(SYS_close, fd);
		if (fd >= 0 && problem)
			guard_sys(SYS_unlinkat, AT_FDCWD, path, 0);
	}
	guard_sys(SYS_close, directory);
	return problem;
}

/* ---- blocks ---- */

/* A fresh block, or 0; else its number + 1. */
static uint32_t take_block(void)
{
	_Atomic uint32_t *n_blocks = (_Atomic uint32_t *)&file->n_blocks;
	uint32_t n = atomic_load(n_blocks);

	do {
		if (n >= atomic_load(&n_reserved))
			return 0;
	} while (!atomic_compare_exchange_weak(n_blocks, &n, n + 1));
	return n + 1;
}

static void name_block(uint32_t block, enum sl_block_kind kind, uint32_t first)
{
	file->blocks[block - 1].first = first;
	atomic_store_explicit((_Atomic uint32_t *)&file->blocks[block - 1].kind, kind,
			      memory_order_release);
}

static struct sl_descriptor *row_of(int fd, bool make)
{
	unsigned range = (unsigned)fd / SL_ROWS_PER_BLOCK;

	if (range >= ROW_RANGES)
		return NULL;
	uint16_t block =
		atomic_load_explicit(&blocks_of_rows[range], memory_order_acquire);
	if (!block && make) {
		uint32_t fresh = take_block();

		/* A loser's block stays free for ever: it happens once a race. */
		if (fresh && atomic_compare_exchange_strong(&blocks_of_rows[range],
							    &block, (uint16_t)fresh)) {
			name_block(fresh, SL_BLOCK_ROWS, range * SL_ROWS_PER_BLOCK);
			atomic_fetch_add(&n_row_blocks, 1);
			block = (uint16_t)fresh;
		}
	}
	if (!block)
		return NULL;
	return (struct sl_descriptor *)((char *)file + BLOCK_OFFSET(block - 1)) +
	       (unsigned)fd % SL_ROWS_PER_BLOCK;
}

/* A row's sequence is odd while it is written.  Nobody waits for it: a writer that finds
 * it odd was interrupted by us or races with us, and leaves the row to the ticker. */
static bool begin_row(struct sl_descriptor *row, uint32_t *sequence)
{
	*sequence = atomic_load((_Atomic uint32_t *)&row->sequence);
	if ((*sequence & 1) ||
	    !atomic_compare_exchange_strong((_Atomic uint32_t *)&row->sequence, sequence,
					    *sequence + 1))
		return false;
	atomic_thread_fence(memory_order_release);
	return true;
}

static void end_row(struct sl_descriptor *row, uint32_t sequence)
{
	atomic_store_explicit((_Atomic uint32_t *)&row->sequence, sequence + 2,
			      memory_order_release);
}

uint32_t ledger_origin(uint32_t origin)
{
	return origin <= atomic_load(&n_backtraces) ? origin : SL_ORIGIN_PENDING;
}

bool ledger_publish(int fd, const struct sl_descriptor *from)
{
	struct sl_descriptor *row = ours() ? row_of(fd, true) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return true;
	memcpy(&row->sequence + 1, &from->sequence + 1,
	       sizeof(*row) - sizeof(row->sequence));
	row->origin = ledger_origin(from->origin);
	row->eof_origin = ledger_origin(from->eof_origin);
	row->name = from->name <= atomic_load(&n_names) ? from->name : 0;
	bool is_whole = row->origin == from->origin && row->name == from->name &&
			row->eof_origin == from->eof_origin;
	end_row(row, sequence);
	return is_whole;
}

void ledger_told(int fd, uint64_t told_ns, enum sl_call call)
{
	struct sl_descriptor *row = ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	if (row->held) {
		row->told_ns = told_ns;
		row->eof_call = (uint16_t)call;
		row->eof_origin = SL_ORIGIN_PENDING;
	}
	end_row(row, sequence);
}

void ledger_end_row(int fd)
{
	struct sl_descriptor *row = ours() ? row_of(fd, false) : NULL;
	uint32_t sequence;

	if (!row || !begin_row(row, &sequence))
		return;
	row->held = 0;
	end_row(row, sequence);
}

/* A glance without the sequence: who looks again finds out. */
__attribute__((no_sanitize("thread"))) bool ledger_has(int fd)
{
	const struct sl_descriptor *row = ours() ? row_of(fd, false) : NULL;

	return row && row->held;
}

/* ---- records ---- */

bool ledger_append(struct sl_record *record, const void *tail, uint32_t tail_bytes)
{
	if (!ours())
		return true;
	uint32_t head_bytes = record->bytes;
	uint32_t bytes = (head_bytes + tail_bytes + 7) & ~7U;
	uint32_t kind = record->kind;

	if (bytes > SL_BLOCK_BYTES)
		return false;
	if (!records_block || records_used + bytes > SL_BLOCK_BYTES) {
		uint32_t fresh = take_block();

		if (!fresh) {
			if (kind == SL_RECORD_EVENT) /* the others are tried again */
				atomic_fetch_add(&n_lost_records, 1);
			return false;
		}
		name_block(fresh, SL_BLOCK_RECORDS, 0);
		records_block = fresh;
		records_used = 0;
	}
	char *at = (char *)file + BLOCK_OFFSET(records_block - 1) + records_used;
	memcpy(at + sizeof(*record), record + 1, head_bytes - sizeof(*record));
	if (tail_bytes)
		memcpy(at + head_bytes, tail, tail_bytes);
	((struct sl_record *)at)->bytes = bytes;
	atomic_store_explicit((_Atomic uint32_t *)&((struct sl_record *)at)->kind, kind,
			      memory_order_release);
	records_used += bytes;
	if (kind == SL_RECORD_BACKTRACE)
		atomic_fetch_add(&n_backtraces, 1);
	if (kind == SL_RECORD_NAME)
		atomic_fetch_add(&n_names, 1);
	return true;
}

void ledger_count(const struct ledger_counts *counts)
{
	if (!ours())
		return;
	n_unwritten = counts->unwritten;
	atomic_store(counter(&file->opened), counts->opened);
	atomic_store(counter(&file->closed), counts->closed);
	atomic_store(counter(&file->missed), counts->missed);
	atomic_store(counter(&file->dropped), ledger_dropped());
	atomic_store(counter(&file->closed_late), counts->closed_late);
	atomic_store(counter(&file->closed_late_max_ms), counts->closed_late_max_ms);
	atomic_store(counter(&file->looked_ns), counts->looked_ns);
}

uint64_t ledger_dropped(void)
{
	return atomic_load(&n_lost_records) + n_unwritten;
}

/* The file as it was made: its name may have come to mean another one. */
static long reopen(void)
{
	struct stat is;
	long fd = guard_open(AT_FDCWD, path, O_RDWR | O_NOFOLLOW, 0);

	if (fd < 0)
		return -1;
	if (guard_sys(SYS_newfstatat, fd, "", &is, AT_EMPTY_PATH) == 0 &&
	    is.st_dev == file_device && is.st_ino == file_inode)
		return fd;
	guard_sys(SYS_close, fd);
	return -1;
}

void ledger_grow(unsigned row_blocks_in_use)
{
	if (!ours() || guard_is_sandboxed)
		return;
	uint32_t reserved = atomic_load(&n_reserved);
	uint32_t used = atomic_load((_Atomic uint32_t *)&file->n_blocks);
	/* Each range of rows in use has its block already, or will want one. */
	uint32_t needed = used + LOW_BLOCKS;
	uint32_t have = atomic_load(&n_row_blocks);
	if (row_blocks_in_use > have)
		needed += row_blocks_in_use - have;
	if (needed <= reserved)
		return;
	uint32_t wanted = needed + GROW_BLOCKS;
	if (wanted > SL_MAX_BLOCKS)
		wanted = SL_MAX_BLOCKS;
	long fd = wanted > reserved ? reopen() : -1;
	if (fd < 0)
		return;
	if (reserve((int)fd, wanted))
		atomic_store(&n_reserved, wanted);
	guard_sys(SYS_close, fd);
}

/* ---- what was given away ---- */

/* Filled by any thread, emptied by the ticker; what does not fit is dropped and counted.
 */
ARENA_TABLE static struct gift {
	_Atomic uint32_t state; /* enum gift_state */
	uint32_t origin;
	uint64_t cookie;
	int fd;
	enum sl_call call;
} gifts[N_GIFTS];
enum gift_state { GIFT_FREE, GIFT_FILLING, GIFT_READY };
static _Atomic uint32_t next_gift;
static unsigned n_given;

void ledger_give(uint64_t cookie, uint32_t origin, enum sl_call call, int fd)
{
	if (!ours() || !cookie)
		return;
	struct gift *gift = &gifts[atomic_fetch_add(&next_gift, 1) % N_GIFTS];
	uint32_t state = GIFT_FREE;
	if (!atomic_compare_exchange_strong(&gift->state, &state, GIFT_FILLING)) {
		atomic_fetch_add(&n_lost_records, 1);
		return;
	}
	gift->cookie = cookie;
	gift->origin = origin;
	gift->call = call;
	gift->fd = fd;
	atomic_store_explicit(&gift->state, GIFT_READY, memory_order_release);
}

static void write_gift(const struct gift *gift, uint32_t origin, uint64_t now_ns)
{
	struct sl_event record = {
		.head = {SL_RECORD_EVENT, sizeof(record)},
		.kind = SL_EVENT_GIVEN,
		.call = (uint16_t)gift->call,
		.note = gift->call == SL_CALL_NONE ? SL_NOTE_INHERITED : SL_NOTE_NONE,
		.time_ns = now_ns,
		.cookie = gift->cookie,
		.origin = origin,
		.fd = (uint32_t)gift->fd,
	};

	if (n_given++ < MAX_GIVEN)
		ledger_append(&record.head, NULL, 0);
	else
		atomic_fetch_add(&n_lost_records, 1);
}

void ledger_write_given(uint32_t (*settle)(uint32_t origin), uint64_t now_ns)
{
	uint32_t n_gifts = atomic_load(&next_gift);
	unsigned n_waiting = 0;

	/* Slots that were never filled are pages that were never touched. */
	for (unsigned i = 0; ours() && i < n_gifts && i < N_GIFTS; i++) {
		struct gift *gift = &gifts[i];

		if (atomic_load_explicit(&gift->state, memory_order_acquire) !=
		    GIFT_READY)
			continue;
		uint32_t origin = ledger_origin(settle(gift->origin));
		/* Where nobody unwinds before the exit, many may wait for it. */
		if (origin == SL_ORIGIN_PENDING && ++n_waiting < N_GIFTS / 2)
			continue;
		write_gift(gift, origin, now_ns);
		atomic_store_explicit(&gift->state, GIFT_FREE, memory_order_release);
	}
}

/* ---- the end ---- */

static _Atomic bool is_worth_keeping;

void ledger_keep(void)
{
	is_worth_keeping = true;
}

void ledger_end(int exit_status)
{
	if (!ours())
		return;
	file->exit_status = exit_status;
	file->ended_ns = clock_ns(CLOCK_MONOTONIC);
	atomic_store_explicit((_Atomic uint32_t *)&file->ended, SL_ENDED_EXIT,
			      memory_order_release);
	if (!is_worth_keeping && !guard_is_sandboxed) {
		long fd = reopen();

		if (fd >= 0) {
			guard_sys(SYS_close, fd);
			guard_sys(SYS_unlinkat, AT_FDCWD, path, 0);
		}
	}
}

void ledger_fork_child(void)
{
	struct sl_header *parents =
		atomic_exchange_explicit(&file, NULL, memory_order_acq_rel);

	if (parents)
		guard_sys(SYS_munmap, parents, FILE_BYTES);
	is_worth_keeping = false;
	n_given = 0;
	n_unwritten = 0;
	atomic_store(&n_lost_records, 0);
	atomic_store(&n_backtraces, 0);
	atomic_store(&n_names, 0);
	atomic_store(&n_row_blocks, 0);
	records_block = 0;
	memset((void *)blocks_of_rows, 0, sizeof(blocks_of_rows));
}
