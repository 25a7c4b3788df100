/* Ledgers made by hand, through the structs of ledger.h, for tests of those who read
 * them.
 *
 *     struct ledger_maker maker;
 *     maker_begin(&maker, 4711);
 *     uint32_t app = maker_module(&maker, "/srv/app", 0xab, 20);
 *     uint64_t frames[] = {maker_frame(app, 0x1234)};
 *     struct sl_descriptor *row = maker_row(&maker, 7);
 *     row->origin = maker_backtrace(&maker, frames, 1);
 *     maker_write(&maker, directory, path);
 *
 * A fresh maker is the ledger of a process that ended by exit ten seconds after it
 * started; the times of rows count from then. */
#ifndef LEDGER_MAKER_H
#define LEDGER_MAKER_H

#include "common/ledger.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAKER_SECOND     UINT64_C(1000000000)
#define MAKER_START_NS   (100 * MAKER_SECOND)
#define MAKER_MAX_BLOCKS 16
#define MAKER_TCP_CLOSE  7
#define MAKER_CLOSE_WAIT 8

struct ledger_maker {
	struct sl_header head;
	uint32_t sequence;
	uint32_t n_modules, n_backtraces, n_names, n_lines;
	uint32_t records_block; /* the one being filled, from 1; 0 = none yet */
	size_t records_used;
	uint64_t blocks[MAKER_MAX_BLOCKS][SL_BLOCK_BYTES / 8];
};

static inline void maker_begin(struct ledger_maker *maker, uint32_t pid)
{
	memset(maker, 0, sizeof(*maker));
	maker->sequence = 1;
	struct sl_header *head = &maker->head;
	head->magic = SL_LEDGER_MAGIC;
	head->version = SL_LEDGER_VERSION;
	head->byte_order = SL_BYTE_ORDER;
	head->header_bytes = sizeof(*head);
	head->block_bytes = SL_BLOCK_BYTES;
	head->pid = pid;
	head->parent_pid = 1;
	head->start_ticks = 5000;
	head->started_ns = MAKER_START_NS;
	memset(head->boot_id, 0xb0, sizeof(head->boot_id));
	head->grace_ns = 60 * MAKER_SECOND;
	head->frames = 32;
	head->ended = SL_ENDED_EXIT;
	head->ended_ns = head->scanned_ns = MAKER_START_NS + 10 * MAKER_SECOND;
	strcpy(head->tool_version, SL_VERSION);
	strcpy(head->host, "testhost");
	strcpy(head->exe, "/srv/app");
}

static inline uint32_t maker_block(struct ledger_maker *maker, uint32_t kind,
				   uint32_t first)
{
	uint32_t k = maker->head.n_blocks++;

	if (k >= MAKER_MAX_BLOCKS)
		abort();
	maker->head.blocks[k] = (struct sl_block){kind, first};
	return k;
}

static inline struct sl_descriptor *maker_row(struct ledger_maker *maker, uint32_t fd)
{
	uint32_t first = fd - fd % SL_ROWS_PER_BLOCK, k = 0;

	while (k < maker->head.n_blocks && (maker->head.blocks[k].kind != SL_BLOCK_ROWS ||
					    maker->head.blocks[k].first != first))
		k++;
	if (k == maker->head.n_blocks)
		maker_block(maker, SL_BLOCK_ROWS, first);
	struct sl_descriptor *row =
		(struct sl_descriptor *)(void *)maker->blocks[k] + (fd - first);
	row->sequence = 2;
	row->held = 1;
	row->opened_ns = MAKER_START_NS + MAKER_SECOND;
	row->scanned_ns = maker->head.scanned_ns;
	row->socket_id = fd + 1;
	return row;
}

/* A row that the library judged a leak: told, and left at exit. */
static inline struct sl_descriptor *maker_leak(struct ledger_maker *maker, uint32_t fd,
					       uint64_t cookie)
{
	struct sl_descriptor *row = maker_row(maker, fd);

	row->cookie = cookie;
	row->inode = 100000 + cookie;
	row->state = MAKER_CLOSE_WAIT;
	row->kind = SL_KIND_CLOSE_WAIT;
	row->verdict = SL_LEAK_EXIT;
	row->why = SL_WHY_EOF_READ;
	row->call = SL_CALL_accept;
	row->eof_call = SL_CALL_recv;
	row->peer_gone_since_ns = row->idle_since_ns = MAKER_START_NS + 2 * MAKER_SECOND;
	row->told_ns = MAKER_START_NS + 3 * MAKER_SECOND;
	row->family = AF_INET;
	row->local_port = 8080;
	row->peer_port = (uint16_t)(40000 + fd);
	memcpy(row->local, (uint8_t[]){127, 0, 0, 1}, 4);
	memcpy(row->peer, (uint8_t[]){127, 0, 0, 1}, 4);
	return row;
}

/* Room for a record of `bytes` (rounded up to 8) with its head filled in. */
static inline void *maker_record(struct ledger_maker *maker, uint32_t kind, size_t bytes)
{
	bytes = (bytes + 7) & ~(size_t)7;
	if (!maker->records_block || maker->records_used + bytes > SL_BLOCK_BYTES) {
		maker->records_block = maker_block(maker, SL_BLOCK_RECORDS, 0) + 1;
		maker->records_used = 0;
	}
	void *at = (char *)maker->blocks[maker->records_block - 1] + maker->records_used;
	*(struct sl_record *)at = (struct sl_record){kind, (uint32_t)bytes};
	maker->records_used += bytes;
	return at;
}

/* `build_id_bytes` bytes of `build_id_byte`. */
static inline uint32_t maker_module(struct ledger_maker *maker, const char *path,
				    uint8_t build_id_byte, uint16_t build_id_bytes)
{
	struct sl_module *module =
		maker_record(maker, SL_RECORD_MODULE, sizeof(*module) + strlen(path));

	module->id = ++maker->n_modules;
	module->path_bytes = (uint16_t)strlen(path);
	module->build_id_bytes = build_id_bytes;
	memset(module->build_id, build_id_byte, build_id_bytes);
	module->base = 0x550000000000;
	module->size = 0x1000000;
	memcpy(module->path, path, strlen(path));
	return module->id;
}

static inline uint64_t maker_frame(uint32_t module, uint64_t offset)
{
	return (uint64_t)module << 48 | offset;
}

/* A frame of a language; `file` may be "". */
static inline uint64_t maker_line(struct ledger_maker *maker, enum sl_language language,
				  const char *function, const char *file, uint32_t number)
{
	struct sl_line *line = maker_record(
		maker, SL_RECORD_LINE, sizeof(*line) + strlen(function) + strlen(file));

	line->id = ++maker->n_lines;
	line->line = number;
	line->language = (uint16_t)language;
	line->function_bytes = (uint16_t)strlen(function);
	line->file_bytes = (uint32_t)strlen(file);
	memcpy(line->text, function, strlen(function));
	memcpy(line->text + strlen(function), file, strlen(file));
	return maker_frame(SL_FRAME_LANGUAGE, line->id);
}

static inline uint32_t maker_backtrace(struct ledger_maker *maker, const uint64_t *frames,
				       uint16_t n)
{
	struct sl_backtrace *backtrace = maker_record(
		maker, SL_RECORD_BACKTRACE, sizeof(*backtrace) + n * sizeof(*frames));

	backtrace->id = ++maker->n_backtraces;
	backtrace->n_frames = n;
	memcpy(backtrace->frames, frames, n * sizeof(*frames));
	return backtrace->id;
}

static inline uint32_t maker_name(struct ledger_maker *maker, const char *text)
{
	struct sl_name *name =
		maker_record(maker, SL_RECORD_NAME, sizeof(*name) + strlen(text));

	name->id = ++maker->n_names;
	name->text_bytes = (uint32_t)strlen(text);
	memcpy(name->text, text, strlen(text));
	return name->id;
}

static inline struct sl_event *maker_event(struct ledger_maker *maker, uint32_t kind)
{
	struct sl_event *event = maker_record(maker, SL_RECORD_EVENT, sizeof(*event));

	event->kind = kind;
	return event;
}

/* Writes DIRECTORY/PID.START.SEQUENCE.sockleak and its path into `path` (or NULL). */
static inline void maker_write(const struct ledger_maker *maker, const char *directory,
			       char path[PATH_MAX])
{
	char own[PATH_MAX];
	size_t bytes = maker->head.n_blocks * (size_t)SL_BLOCK_BYTES;

	if (!path)
		path = own;
	snprintf(path, PATH_MAX, "%s/%u.%llu.%u%s", directory, maker->head.pid,
		 (unsigned long long)maker->head.start_ticks, maker->sequence,
		 SL_LEDGER_SUFFIX);
	FILE *file = fopen(path, "we");
	if (!file || fwrite(&maker->head, sizeof(maker->head), 1, file) != 1 ||
	    fwrite(maker->blocks, 1, bytes, file) != bytes || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

#endif
