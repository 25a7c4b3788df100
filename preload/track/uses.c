/* See uses.h. */
#include "track/uses.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/sections.h"
#include "base/unchecked.h"
#include "track/fd_table.h"
#include "track/fd_table_internal.h"
#include "track/socket.h"
#include "track/use_note.h"
#include "unwind/origin.h"

#include <pthread.h>
#include <string.h>

#define CHUNK_NOTES 256 /* 8 KiB */
#define FD_CHUNKS   (FD_TABLE_ENTRIES * FD_TABLE_CHUNKS / CHUNK_NOTES)
#define RECORD_CHUNKS                                                                    \
	((uint32_t)((ENTRY_RECORD_MASK >> ENTRY_RECORD_SHIFT) + 1) / CHUNK_NOTES)

/* Mapped at the start: the library's own memory counts where address space is limited. */
ARENA_TABLE static struct use_note *_Atomic *notes_of_fds, *_Atomic *notes_of_records;

/* --- the calling thread --- */

/* For debuggers glibc says where in what it keeps of a thread its number stands: bits,
 * how many, offset.  No system call is made: a seccomp filter may not allow it. */
extern const uint32_t _thread_db_pthread_tid[3] __attribute__((weak));
ARENA_TABLE static uint32_t tid_offset; /* 0 = not known */

static uint32_t own_thread(void)
{
	const char *self = (const char *)pthread_self();
	uint32_t thread = 0;

	if (tid_offset)
		memcpy(&thread, self + tid_offset, sizeof(thread));
	return thread;
}

static void find_own_thread(void)
{
	if (!&_thread_db_pthread_tid || _thread_db_pthread_tid[0] != 32)
		return;
	tid_offset = _thread_db_pthread_tid[2];
	/* This is the thread that the process began with. */
	if (own_thread() != (uint32_t)guard_pid)
		tid_offset = 0;
}

bool uses_start(void)
{
	notes_of_fds = arena_map((FD_CHUNKS + RECORD_CHUNKS) * sizeof(*notes_of_fds));
	if (!notes_of_fds)
		return false;
	notes_of_records = notes_of_fds + FD_CHUNKS;
	find_own_thread();
	uses_are_noted = true;
	return true;
}

/* --- the tables --- */

static struct use_note *note_in(struct use_note *_Atomic *chunks, uint32_t at)
{
	struct use_note *chunk =
		atomic_load_explicit(&chunks[at / CHUNK_NOTES], memory_order_acquire);

	return chunk ? &chunk[at % CHUNK_NOTES] : NULL;
}

/* NULL = no memory. */
static struct use_note *make_in(struct use_note *_Atomic *chunks, uint32_t at)
{
	struct use_note *note = note_in(chunks, at);

	if (__builtin_expect(note != NULL, 1))
		return note;
	struct use_note *chunk = arena_map_once(
		(void *_Atomic *)&chunks[at / CHUNK_NOTES], CHUNK_NOTES * sizeof(*chunk));
	return chunk ? &chunk[at % CHUNK_NOTES] : NULL;
}

/* The note of what `fd`, which has this entry, holds now. */
static UNCHECKED struct use_note *note_of(int fd, const struct fd_entry *entry,
					  uint64_t word, uint32_t *socket_id)
{
	uint32_t record = ENTRY_RECORD(word);

	*socket_id = record ? socket_id_of(socket_at(record)) : entry->socket_id;
	return record ? make_in(notes_of_records, record)
		      : make_in(notes_of_fds, (uint32_t)fd);
}

/* Of a program of Python, a use takes as long as many calls of the C library: files are
 * left out first. */
void uses_note(int fd, uint64_t bytes, enum sl_call call, bool is_sent)
{
	const struct fd_entry *entry = fd_table_entry(fd);
	uint64_t word =
		entry ? atomic_load_explicit(&entry->word, memory_order_acquire) : 0;
	uint32_t socket_id;

	if (!word || (word & ENTRY_NOT_TCP))
		return;
	struct use_note *note = note_of(fd, entry, word, &socket_id);
	if (!note)
		return;
	const struct use use = {
		.ns = clock_now_ns(),
		.origin = origin_capture_use(),
		.bytes = bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX,
		.thread = own_thread(),
		.call = (uint8_t)call,
		.is_sent = is_sent,
	};
	use_note_write(note, &use, socket_id, fork_depth);
}

void uses_take_record(int fd, uint32_t socket_id, uint32_t record)
{
	struct use use;

	if (!use_note_read(note_in(notes_of_fds, (uint32_t)fd), socket_id, fork_depth,
			   &use))
		return;
	struct use_note *note = make_in(notes_of_records, record);
	if (note)
		use_note_write(note, &use, socket_id, fork_depth);
}

/* --- reading --- */

/* The two notes that may be of this socket: before it had a record, and since. */
static void both(int fd, const struct fd_entry *entry, struct use_note *notes[2])
{
	uint32_t record = ENTRY_RECORD(atomic_load(&entry->word));

	notes[0] = fd >= 0 ? note_in(notes_of_fds, (uint32_t)fd) : NULL;
	notes[1] = record ? note_in(notes_of_records, record) : NULL;
}

void uses_read(int fd, const struct fd_entry *entry, struct use *use)
{
	struct use_note *notes[2];
	struct use one;

	*use = (struct use){0};
	if (!uses_are_noted)
		return;
	both(fd, entry, notes);
	for (int i = 0; i < 2; i++)
		if (use_note_read(notes[i], entry->socket_id, fork_depth, &one) &&
		    one.ns >= use->ns)
			*use = one;
	use->origin = origin_resolve(use->origin);
}

void uses_describe(int fd, const struct fd_entry *entry, struct sl_descriptor *row)
{
	struct use use;

	uses_read(fd, entry, &use);
	row->used_ns = use.ns;
	row->use_origin = use.origin;
	row->use_bytes = use.bytes;
	row->use_thread = use.thread;
	row->use_call = use.call;
	row->use_is_sent = use.is_sent;
}

void uses_resolve(int fd, const struct fd_entry *entry)
{
	struct use_note *notes[2];
	struct use use;

	if (!uses_are_noted)
		return;
	both(fd, entry, notes);
	for (int i = 0; i < 2; i++)
		if (use_note_read(notes[i], entry->socket_id, fork_depth, &use))
			use_note_resolve(notes[i], &use, origin_resolve(use.origin));
}
