/* See socket.h. */
#include "track/socket.h"

#include "base/arena.h"
#include "base/sections.h"
#include "track/fd_table_internal.h"

#define CHUNK_RECORDS 1024 /* 248 KiB, touched as needed */
#define N_CHUNKS      1024
static_assert(CHUNK_RECORDS * N_CHUNKS == (ENTRY_RECORD_MASK >> ENTRY_RECORD_SHIFT) + 1,
	      "an entry can refer to each record");

ARENA_TABLE static struct socket *_Atomic chunks[N_CHUNKS];
static _Atomic uint32_t top = 1;
/* Count << 32 | record: the count keeps a list that was emptied and filled meanwhile from
 * looking unchanged. */
static _Atomic uint64_t first_free;

uint32_t socket_top(void)
{
	return atomic_load(&top);
}

struct socket *socket_at(uint32_t record)
{
	struct socket *chunk = atomic_load_explicit(&chunks[record / CHUNK_RECORDS],
						    memory_order_acquire);

	return &chunk[record % CHUNK_RECORDS];
}

/* 0 = there is none. */
static uint32_t take_free(void)
{
	uint64_t first = atomic_load(&first_free), second;

	do {
		if (!(uint32_t)first)
			return 0;
		second = atomic_load(&socket_at((uint32_t)first)->next_free);
	} while (!atomic_compare_exchange_weak(&first_free, &first,
					       ((first >> 32) + 1) << 32 | second));
	return (uint32_t)first;
}

static void give_free(uint32_t record)
{
	uint64_t first = atomic_load(&first_free);

	do
		atomic_store_explicit(&socket_at(record)->next_free, (uint32_t)first,
				      memory_order_relaxed);
	while (!atomic_compare_exchange_weak(&first_free, &first,
					     ((first >> 32) + 1) << 32 | record));
}

/* One that was never used.  0 = no memory. */
static uint32_t take_fresh(void)
{
	uint32_t record = atomic_load(&top);

	do
		if (record == CHUNK_RECORDS * N_CHUNKS ||
		    !arena_map_once((void *_Atomic *)&chunks[record / CHUNK_RECORDS],
				    CHUNK_RECORDS * sizeof(struct socket)))
			return 0;
	while (!atomic_compare_exchange_weak(&top, &record, record + 1));
	return record;
}

uint32_t socket_new(uint32_t socket_id)
{
	uint32_t record = take_free();

	if (!record && !(record = take_fresh()))
		return 0;
	struct socket *one = socket_at(record);
	/* The word of an entry that refers to it is written later, and locks. */
	atomic_store_explicit(&one->ended_ns, 0, memory_order_relaxed);
	atomic_store_explicit(&one->facts, (uint64_t)socket_id << 32,
			      memory_order_release);
	atomic_store_explicit(&one->holders, (uint64_t)socket_id << 32 | 1,
			      memory_order_release);
	return record;
}

bool socket_hold(uint32_t record, uint32_t socket_id, uint32_t *before)
{
	struct socket *one = socket_at(record);
	uint64_t was = atomic_load(&one->holders);

	do
		if (was >> 32 != socket_id)
			return false;
	while (!atomic_compare_exchange_weak(&one->holders, &was, was + 1));
	*before = (uint32_t)was;
	return true;
}

bool socket_drop_hold(uint32_t record, uint64_t ended_ns)
{
	struct socket *one = socket_at(record);
	uint32_t socket_id = socket_id_of(one);

	if (ended_ns)
		atomic_store(&one->ended_ns, ended_ns);
	socket_change_facts(one, socket_id, SOCKET_ONE_CLOSED, 0);
	return (uint32_t)atomic_fetch_sub(&one->holders, 1) > 1;
}

/* The thread that makes the record free puts it into the list. */
static void free_ended(uint32_t record, uint64_t socket_id)
{
	uint64_t ended = socket_id << 32;

	if (socket_id &&
	    atomic_compare_exchange_strong(&socket_at(record)->holders, &ended, 0))
		give_free(record);
}

UNCHECKED void socket_free(uint32_t record, uint32_t socket_id)
{
	struct socket *one = socket_at(record);

	if (one->end.gone_id != socket_id &&
	    !(socket_facts(one, socket_id) & SOCKET_CLOSED_LATE))
		free_ended(record, socket_id);
}

uint32_t socket_facts(const struct socket *one, uint32_t socket_id)
{
	uint64_t facts = one ? atomic_load(&one->facts) : 0;

	return facts >> 32 == socket_id ? (uint32_t)facts : 0;
}

void socket_change_facts(struct socket *one, uint32_t socket_id, uint32_t set,
			 uint32_t clear)
{
	uint64_t was = atomic_load(&one->facts);

	while (was >> 32 == socket_id &&
	       !atomic_compare_exchange_weak(&one->facts, &was,
					     (was | set) & ~(uint64_t)clear))
		;
}

UNCHECKED bool socket_is_gone(const struct socket *one, uint32_t socket_id)
{
	return one && one->end.gone_id == socket_id &&
	       !(socket_facts(one, socket_id) & SOCKET_DISSOLVED);
}

void socket_fork_child(void)
{
	for (uint32_t record = 1; record < socket_top(); record++) {
		struct socket *one = socket_at(record);
		struct socket_end *end = &one->end;

		/* A page that is not written stays shared with the parent. */
		if (atomic_load(&one->late_close)) {
			socket_change_facts(one, socket_id_of(one), 0,
					    SOCKET_CLOSED_LATE);
			atomic_store(&one->late_close, 0);
		}
		if (end->gone_id || end->leak_group) {
			end->gone_id = 0;
			end->leak_group = NULL;
		}
	}
}
