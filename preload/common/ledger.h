/* The ledger: the file in which a process keeps its records, as written by the library
 * (preload/ledger/) and read by the command (tools/read/reader.c).
 *
 * One file a process, mapped by its writer and readable at every moment, also after the
 * process is gone, however it ended.  Layout: struct sl_header, then blocks of
 * SL_BLOCK_BYTES each.  Block k lies at sizeof(struct sl_header) + k * SL_BLOCK_BYTES and
 * is described by header.blocks[k].  A block of rows holds SL_ROWS_PER_BLOCK descriptors;
 * a block of records holds an append-only run of records that never cross its end.
 *
 * Fixed-width fields in the writer's byte order, no pointers, reserved fields are zero.
 * Times are ns of CLOCK_MONOTONIC of the writer's boot unless a name says otherwise;
 * 0 = not known.  Any change of layout raises SL_LEDGER_VERSION: readers accept one
 * version.
 *
 * The name of the file is PID.START.SEQUENCE.sockleak, START being the start time of the
 * process in clock ticks since boot (field 22 of /proc/PID/stat): exec keeps PID and
 * START, so a ledger still marked running beside one of a higher SEQUENCE ended by exec.
 */
#ifndef SOCKLEAK_LEDGER_H
#define SOCKLEAK_LEDGER_H

#include "common/calls.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SL_VERSION        "0.1.0" /* of the product, not of the layout */
#define SL_LEDGER_MAGIC   UINT64_C(0x6b61656c6b636f73) /* "sockleak", little endian */
#define SL_LEDGER_VERSION 5
#define SL_BYTE_ORDER     UINT32_C(0x01020304)
#define SL_LEDGER_SUFFIX  ".sockleak"
/* How the names of the directories of `sockleak run` begin. */
#define SL_RUN_DIRECTORY "sockleak-"
#define SL_FAILED_SUFFIX ".failed" /* PID.failed: that process could keep no ledger */
/* PID.START.TIME.unwatched: that process became, at TIME (ns of CLOCK_MONOTONIC), a
 * program that the library is not in.  START is as below; 0 = it was a child of process
 * PID, and of the child nothing is known.  The file holds one line, REASON NAMESPACE
 * PROGRAM: a word of `unwatched` in reports, the inode of the PID namespace in which PID
 * counts, a path. */
#define SL_UNWATCHED_SUFFIX ".unwatched"
#define SL_MAX_BLOCKS       3584 /* their table fills the header up to its last page */
#define SL_ROWS_PER_BLOCK   128
#define SL_BLOCK_BYTES      (SL_ROWS_PER_BLOCK * 176)
#define SL_MAX_FRAMES       128
#define SL_CHILDREN_BYTES   4096

/* The slab objects of one TCP socket that SO_MEMINFO does not count: sock, inode, file,
 * dentry, as on a 6.18 kernel for x86_64. */
#define SL_SLAB_BYTES (2368 + 832 + 192 + 192)

/* header.ended */
enum sl_ended {
	SL_RUNNING = 1, /* or killed: the reader looks whether the process is there */
	SL_ENDED_EXIT,  /* exit(), _exit() or return from main: its end counts */
};

/* header.exit_status of a process that ended by a quick_exit() that was not seen. */
#define SL_STATUS_UNKNOWN (-1)

/* What a leak is: the TCP state behind the descriptor. */
enum sl_kind {
	SL_KIND_NONE,       /* the peer is there */
	SL_KIND_CLOSE_WAIT, /* CLOSE_WAIT, LAST_ACK or CLOSING */
	SL_KIND_DEAD,       /* CLOSE after a connection */
};

enum sl_verdict {
	SL_NO_VERDICT, /* the peer is there, or there was no scan yet */
	SL_PENDING,    /* peer gone, not (yet) a leak */
	SL_LEAK_GRACE, /* a leak: past grace */
	SL_LEAK_EXIT, /* a leak: left at exit, or at a check, by the rules of verdict.h */
};

/* Why it counts; a set of bits. */
enum sl_why {
	SL_WHY_EOF_READ = 1,        /* told and kept */
	SL_WHY_NEVER_READ = 2,      /* the FIN stands unread in the receive queue */
	SL_WHY_READ_UNSEEN = 4,     /* consumed by a call we do not see */
	SL_WHY_SHUT_NOT_CLOSED = 8, /* shutdown was called, close was not */
	SL_WHY_RESET = 16,
	SL_WHY_DUPLICATE = 32,       /* one descriptor was closed, another holds it */
	SL_WHY_HELD_BY_CHILD = 64,   /* this process inherited it over fork or exec */
	SL_WHY_TIMED_OUT = 128,      /* keepalive or retransmission gave up */
	SL_WHY_STALLED = 256,        /* its send queue holds data and does not move */
	SL_WHY_CONNECT_FAILED = 512, /* connect() failed, and was not tried again */
	SL_WHY_ALL = 1023,
};

/* What counts as a leak at the end of a process; verdict.h has the rules. */
enum sl_at_exit {
	SL_AT_EXIT_TOLD,
	SL_AT_EXIT_GRACE,
	SL_AT_EXIT_NONE,
	SL_AT_EXIT_ALL,
};

/* Where the origin of a socket comes from, if not from a call that opened it. */
enum sl_origin_kind {
	SL_ORIGIN_KIND_NONE,
	SL_ORIGIN_INHERITED, /* was open when the process started */
	SL_ORIGIN_RECEIVED,  /* came over a Unix socket or by pidfd_getfd */
	SL_ORIGIN_SHORT,     /* the backtrace could not be followed to its end */
	SL_ORIGIN_UNKNOWN,   /* found open: the call that opened it was not seen */
};

/* Whether opened_ns of such a socket says when it was opened, and not when it was found
 * or received. */
static inline bool sl_opening_was_seen(unsigned call, unsigned origin_kind)
{
	return call != 0 && origin_kind != SL_ORIGIN_RECEIVED;
}

/* What a frame is of: native code, a language, or a note of the program. */
enum sl_language {
	SL_LANGUAGE_NONE, /* a native frame: module and offset */
	SL_LANGUAGE_PYTHON,
	SL_LANGUAGE_NOTE, /* the program's own words: sockleak_note() */
	SL_LANGUAGE_JAVA,
	SL_LANGUAGE_JAVASCRIPT, /* as the program itself said it (sockleak_node.js) */
	SL_LANGUAGE_RUBY,
	SL_N_LANGUAGES
};

/* Origins in rows: 0 = none, SL_ORIGIN_PENDING = captured, not unwound before the process
 * was killed, else the id of a backtrace record. */
#define SL_ORIGIN_PENDING UINT32_C(0xffffffff)

/* The kernel was not asked, since a seccomp filter might not allow it, or its answer does
 * not tell. */
#define SL_UNREAD_UNKNOWN UINT32_MAX

/* One descriptor.  The row of descriptor fd is row fd % SL_ROWS_PER_BLOCK of the block
 * whose `first` is fd - fd % SL_ROWS_PER_BLOCK. */
struct sl_descriptor {
	uint32_t sequence; /* odd while being written; a reader copies, then compares */
	uint8_t held;      /* 1 = held; 0 = never used, or closed since */
	uint8_t state; /* TCP state at the last scan, as in tcp(7)'s tcpi_state; 0 = none
			*/
	uint8_t verdict;   /* enum sl_verdict, at the last scan */
	uint8_t kind;      /* enum sl_kind, at the last scan */
	uint16_t call;     /* enum sl_call that opened it */
	uint16_t eof_call; /* enum sl_call that was told; shutdown: the program's own; 0 =
			      not told */
	uint16_t why;      /* enum sl_why bits, at the last scan */
	uint8_t origin_kind; /* enum sl_origin_kind */
	uint8_t flags;       /* enum sl_row_flags */
	uint64_t cookie; /* SO_COOKIE, or of MPTCP 1 << 63 | inode; 0 = not asked yet */
	uint64_t inode;  /* st_ino; 0 = not asked: only known once the peer has gone */
	uint64_t opened_ns;
	uint64_t peer_gone_since_ns; /* since when the peer is gone; 0 = it is there */
	uint64_t idle_since_ns; /* since when the peer is gone and nothing was sent; 0 =
			      it is there */
	uint64_t told_ns; /* when the program was told; 0 = not told in this process */
	uint64_t sent_ns; /* when data was last sent, known only once the peer has gone */
	uint64_t scanned_ns;   /* the last scan */
	uint32_t origin;       /* backtrace of `call` */
	uint32_t eof_origin;   /* backtrace of `eof_call` */
	uint32_t name;         /* name record: the test it was opened in; 0 = none */
	uint32_t unread_bytes; /* once the peer has gone; or SL_UNREAD_UNKNOWN */
	uint32_t kernel_bytes; /* SO_MEMINFO's share of the estimate */
	uint16_t family;       /* AF_INET, AF_INET6; 0 = addresses not known */
	uint16_t local_port;   /* host byte order; 0 = not known */
	uint16_t peer_port;
	uint8_t is_sending;         /* 1 = its send queue held data at the last scan */
	uint8_t was_found_by_check; /* 1 = sockleak_check_since() called it a leak */
	uint8_t local[16];          /* network byte order; IPv4 in the first four */
	uint8_t peer[16];
	uint32_t socket_id; /* the same for all duplicates of a socket in one process */
	/* With uses=yes: the last call of this process, as of the last scan, that moved
	 * data on the socket, by whatever descriptor.  0 = none is known. */
	uint32_t use_thread; /* that made it; 0 = not known */
	uint32_t use_bytes;  /* that it moved; UINT32_MAX = as many, or more */
	uint64_t ended_ns;   /* when it was closed, of one that was a leak; 0 = held */
	uint64_t used_ns;
	uint32_t use_origin; /* backtrace of `use_call` */
	uint16_t use_call;   /* enum sl_call */
	uint8_t use_is_sent; /* 1 = the data was sent, 0 = received */
	uint8_t reserved8;
};

enum sl_row_flags {
	SL_ROW_INHERITED = 1,      /* by fork or exec */
	SL_ROW_EXPECTED = 2,       /* sockleak_expect() was called on it */
	SL_ROW_DUPLICATED = 4,     /* other descriptors of this process hold or held it */
	SL_ROW_FORGOTTEN_PEER = 8, /* the peer's end is known to be gone: an RST came */
	SL_ROW_PASSED = 16,        /* was sent to another process over a Unix socket */
	SL_ROW_MPTCP = 32,
	SL_ROW_WAS_LEAK = 64, /* past grace at some scan, whatever was sent since */
	SL_ROW_ENDS_WITH_PROGRAM = 128, /* came over exec, to be closed by the exit: 0 to
					   2, or by socket activation */
	SL_ROW_ALL_FLAGS = 255,
};

/* What a block holds. */
enum sl_block_kind {
	SL_BLOCK_FREE,
	SL_BLOCK_ROWS,    /* struct sl_descriptor [SL_ROWS_PER_BLOCK] */
	SL_BLOCK_RECORDS, /* struct sl_record, appended by one thread at a time */
};

struct sl_block {
	uint32_t kind;  /* enum sl_block_kind, stored last */
	uint32_t first; /* of rows: the first descriptor */
};

/* A record: this head, then `bytes` - sizeof(head) bytes of the struct of its kind.  A
 * kind of 0 is the end of the run so far; `kind` is stored last, with release order.
 * `bytes` is a multiple of 8. */
struct sl_record {
	uint32_t kind;
	uint32_t bytes;
};

enum sl_record_kind {
	SL_RECORD_END,
	SL_RECORD_MODULE,
	SL_RECORD_BACKTRACE,
	SL_RECORD_NAME,
	SL_RECORD_EVENT,
	SL_RECORD_ELSEWHERE,
	SL_RECORD_CLOSED,
	SL_RECORD_LINE,
};

struct sl_module {
	struct sl_record head;
	uint32_t id; /* from 1 */
	uint16_t path_bytes;
	uint16_t build_id_bytes; /* 0 = the module has none */
	uint64_t base;           /* load bias: address - base = offset in a frame */
	uint64_t size;           /* offsets of this module lie below it */
	uint8_t build_id[32];
	char path[]; /* path_bytes, not terminated */
};

/* A frame: module id in the upper 16 bits, offset from the module's load bias in the
 * lower
 * 48.  Module 0: code outside all modules, the lower bits are its address.  The offset
 * points into the call instruction, not behind it, so that it names the calling line. */
/* Module 0xffff: not native code, but a line of a language; the lower bits are the id of
 * its line record. */
#define SL_FRAME_LANGUAGE      UINT32_C(0xffff)
#define SL_FRAME_MODULE(frame) ((uint32_t)((frame) >> 48))
#define SL_FRAME_OFFSET(frame) ((frame)&UINT64_C(0xffffffffffff))

struct sl_backtrace {
	struct sl_record head;
	uint32_t id; /* from 1 */
	uint16_t n_frames;
	uint16_t is_short; /* 1 = could not be followed to its end */
	uint64_t frames[]; /* innermost first; frames of the library itself are left out;
			     those of an interpreter stand behind those of its language */
};

/* A line of a language, as frames name it. */
#define SL_LINE_TEXT_BYTES 2048 /* function and file, at most half of it each */
struct sl_line {
	struct sl_record head;
	uint32_t id;             /* from 1 */
	uint32_t line;           /* 0 = not known */
	uint16_t language;       /* enum sl_language; not 0 */
	uint16_t function_bytes; /* of a note: its text */
	uint32_t file_bytes;     /* 0 = not known */
	char text[];             /* function, then file; not terminated */
};

struct sl_name {
	struct sl_record head;
	uint32_t id; /* from 1 */
	uint32_t text_bytes;
	char text[]; /* not terminated */
};

enum sl_event_kind {
	/* Sent to another process, or closed while a child may hold it: the report of the
	 * process that holds it takes the origin from here; value = opened_ns, 0 = not
	 * known.  1 and 2 are not used: rows say what is a leak, and when it was closed. */
	SL_EVENT_PASSED = 3,
};

struct sl_event {
	struct sl_record head;
	uint32_t kind;       /* enum sl_event_kind */
	uint16_t call;       /* enum sl_call that opened it */
	uint8_t origin_kind; /* enum sl_origin_kind */
	uint8_t socket_kind; /* enum sl_kind */
	uint64_t time_ns;
	uint64_t cookie;
	uint32_t origin;
	uint32_t fd;
	uint64_t value;
	uint64_t reserved;
};

/* A socket that its process has closed and another one, which makes no such records,
 * still holds past grace.  Of several records of one cookie the last counts. */
struct sl_elsewhere {
	struct sl_record head;
	struct sl_descriptor row; /* as the process would have it; held: by another one, 0
				     = closed at ended_ns */
	uint32_t pid;             /* of the holder; 0 = not known */
	uint32_t fd;              /* there */
	char program[16];         /* its name; terminated unless it has 16 bytes */
};

/* A socket that was a leak, and was closed after all: its row as the last scan and the
 * close left it, `held` 0 and `ended_ns` known.  If a row has `held` 0 and `ended_ns` as
 * well, it was closed after the last scan. */
struct sl_closed {
	struct sl_record head;
	uint32_t fd;
	uint32_t reserved;
	struct sl_descriptor row;
};

/* How many sockets there were at a scan. */
struct sl_point {
	uint64_t time_ns;
	uint32_t open, leaked;
};

/* Points of the whole life of the process, ascending by time; the last one is of the last
 * scan.  preload/ledger/series.c says which are kept. */
#define SL_MAX_POINTS 160
struct sl_series {
	uint32_t sequence; /* odd while being written; a reader copies, then compares */
	uint32_t n_points;
	uint64_t step_ns; /* no two but the last are closer */
	struct sl_point points[SL_MAX_POINTS];
};

struct sl_header {
	uint64_t magic; /* stored last, once everything else stands */
	uint32_t version;
	uint32_t byte_order;
	uint32_t header_bytes; /* sizeof(struct sl_header) */
	uint32_t block_bytes;
	uint32_t pid;
	uint32_t parent_pid;  /* at the start of this ledger */
	uint64_t start_ticks; /* field 22 of /proc/PID/stat */
	uint64_t started_ns;
	uint64_t started_realtime_ns; /* CLOCK_REALTIME at started_ns */
	uint8_t boot_id[16];          /* /proc/sys/kernel/random/boot_id */
	uint64_t net_namespace;       /* inode of /proc/self/ns/net; 0 = not known */
	uint64_t grace_ns;
	uint32_t at_exit; /* enum sl_at_exit */
	uint32_t frames;
	uint32_t ended;      /* enum sl_ended */
	int32_t exit_status; /* with SL_ENDED_EXIT; or SL_STATUS_UNKNOWN */
	uint64_t ended_ns;
	uint64_t scanned_ns; /* the last completed scan */
	uint64_t opened;     /* sockets; 64-bit counters, each written atomically */
	uint64_t closed;
	uint64_t missed;      /* opened or told, but could not be recorded */
	uint64_t dropped;     /* recorded, but not in this file */
	uint64_t closed_late; /* leaks closed after all, those by the end among them */
	uint64_t closed_late_max_ms;
	uint64_t queue_deaths; /* reserved for connections that died in an accept queue */
	uint32_t n_blocks;     /* blocks in use or being set up */
	uint32_t forked;       /* 1 = the process was forked and goes on without exec */
	char tool_version[16];
	char host[64];
	char exe[512];
	uint64_t filter_laid_ns; /* when the program installed a seccomp filter; from then
				  * on the kernel could not be asked; 0 = it did not */
	uint64_t pid_namespace;  /* inode of /proc/self/ns/pid; 0 = not known */
	/* Threads in a call of execve() and its like, which returns only where it fails:
	 * if a call has not returned, the process has become another program, which may
	 * keep no ledger. */
	uint64_t executing;
	struct sl_series series;
	uint8_t reserved[720];
	struct sl_block blocks[SL_MAX_BLOCKS];
	/* Of a page of its own, the last one: forked children have it, too, and may have
	 * given up rights that this process has, which therefore never reads it.  Readers
	 * take whatever stands here. */
	uint64_t children_failed; /* that made a connection and could keep no ledger, nor
				   * leave a file PID.failed */
	uint32_t failed_child;    /* the PID of the first of them */
	uint8_t unused[SL_CHILDREN_BYTES - 12];
};

static_assert(sizeof(struct sl_descriptor) == 176, "rows fill a block");
static_assert(offsetof(struct sl_header, blocks) == 4096,
	      "the table follows the first page");
static_assert(offsetof(struct sl_header, children_failed) == 4096 + 8 * SL_MAX_BLOCKS &&
		      offsetof(struct sl_header, children_failed) % SL_CHILDREN_BYTES ==
			      0,
	      "a page of its own");
static_assert(sizeof(struct sl_header) == 4096 + 8 * 4096, "no padding");
static_assert(sizeof(struct sl_module) == 64 && sizeof(struct sl_backtrace) == 16 &&
		      sizeof(struct sl_name) == 16 && sizeof(struct sl_line) == 24 &&
		      sizeof(struct sl_event) == 56 &&
		      sizeof(struct sl_elsewhere) == 208 &&
		      sizeof(struct sl_closed) == 192,
	      "records have no padding");
static_assert(sizeof(struct sl_series) == 16 + 16 * SL_MAX_POINTS, "no padding");

#endif
