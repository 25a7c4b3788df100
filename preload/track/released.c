/* See released.h. */
#include "track/released.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/guard.h"
#include "base/probe.h"
#include "base/sections.h"
#include "base/slots.h"
#include "base/unchecked.h"

#include <string.h>

#define CHUNK_SLOTS 1024 /* 376 KiB, mapped when the first of them is needed */
#define N_WORDS     (RELEASED_SLOTS / SLOTS_IN_WORD)

ARENA_TABLE static struct released *_Atomic chunks[RELEASED_SLOTS / CHUNK_SLOTS];
ARENA_TABLE static _Atomic uint64_t taken[N_WORDS];

bool released_was_used(void)
{
	return atomic_load_explicit(&chunks[0], memory_order_relaxed) != NULL;
}

/* NULL: its chunk was never needed. */
static struct released *slot_at(unsigned i)
{
	struct released *chunk =
		atomic_load_explicit(&chunks[i / CHUNK_SLOTS], memory_order_acquire);

	return chunk ? &chunk[i % CHUNK_SLOTS] : NULL;
}

struct released *released_at(unsigned i)
{
	struct released *one = slot_at(i);

	return one && atomic_load_explicit(&one->is_ready, memory_order_acquire) ? one
										 : NULL;
}

static struct released *take_slot(void)
{
	int number = slots_take(taken, N_WORDS);

	if (number < 0)
		return NULL;
	if (!arena_map_once((void *_Atomic *)&chunks[number / CHUNK_SLOTS],
			    CHUNK_SLOTS * sizeof(struct released))) {
		slots_give(taken, (unsigned)number);
		return NULL;
	}
	struct released *one = slot_at((unsigned)number);
	one->number = (unsigned)number;
	return one;
}

void released_forget(struct released *one)
{
	atomic_store_explicit(&one->is_ready, false, memory_order_relaxed);
	slots_give(taken, one->number);
}

static void fill(struct released *one, int fd, const struct fd_entry *was,
		 uint64_t cookie)
{
	uint64_t word = atomic_load(&was->word);

	memset(&one->fd, 0, sizeof(*one) - offsetof(struct released, fd));
	one->fd = fd;
	one->closed_ns = clock_now_ns();
	memcpy(&one->entry, was, sizeof(one->entry));
	one->entry.cookie = cookie;
	/* leak_groups_count() then checks whether another descriptor of the socket was
	 * counted. */
	atomic_store(&one->entry.word, (word & ~ENTRY_RECORD_MASK) | ENTRY_DUPLICATED);
	one->record = ENTRY_RECORD(word);
}

/* Keeps what is known of its end: for the process that holds it now the peer has been
 * gone for as long. */
UNCHECKED static void keep_end(struct released *one, const struct fd_entry *was)
{
	const struct socket *socket = socket_of(was);

	if (!socket_is_gone(socket, was->socket_id))
		return;
	one->end = socket->end;
	notice_read(was, &one->notice);
}

bool released_has(uint64_t cookie)
{
	for (unsigned i = 0, n = released_top(); cookie && i < n; i++) {
		const struct released *one = released_at(i);

		if (one && one->entry.cookie == cookie)
			return true;
	}
	return false;
}

void released_note(int fd, const struct fd_entry *was, bool was_sent)
{
	bool was_scanned = was->scanned_gen == ENTRY_GENERATION(atomic_load(&was->word));
	struct probe_ends ends;

	/* A seccomp filter may forbid the calls that ask. */
	if (guard_has_filter || guard_is_sandboxed || !probe_ends(fd, &ends))
		return;
	uint64_t cookie = was_scanned ? was->cookie : probe_cookie(fd, false);
	struct released *one = cookie ? take_slot() : NULL;
	if (!one) {
		atomic_fetch_add(&fd_table_counts.missed, cookie != 0);
		return;
	}
	fill(one, fd, was, cookie);
	one->was_sent = was_sent;
	keep_end(one, was);
	one->family = ends.family;
	one->local_port = ends.local_port;
	one->interface = ends.interface;
	memcpy(one->local, ends.local, sizeof(one->local));
	if (!one->entry.family) {
		one->entry.family = (uint8_t)ends.family;
		one->entry.peer_port = ends.peer_port;
		memcpy(one->entry.peer, ends.peer, sizeof(one->entry.peer));
	}
	atomic_store_explicit(&one->is_ready, true, memory_order_release);
}

unsigned released_top(void)
{
	return slots_top(taken, N_WORDS);
}

void released_fork_child(void)
{
	for (unsigned i = 0, n = released_top(); i < n; i++) {
		struct released *one = released_at(i);

		if (one)
			atomic_store(&one->is_ready, false);
	}
	slots_give_all(taken, N_WORDS);
}
