/* See fd_table.h. */
#include "track/fd_table.h"

#include "base/arena.h"
#include "base/clock.h"
#include "base/sections.h"
#include "ledger/ledger_writer.h"
#include "track/fd_table_internal.h"
#include "track/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

ARENA_TABLE struct fd_entry *_Atomic fd_table_chunks[FD_TABLE_CHUNKS];
struct fd_table_counts fd_table_counts;
uint8_t fork_depth;
_Atomic uint16_t fd_table_name;
bool uses_are_noted; /* of uses.c; beside these it costs a start no page */

_Atomic uint32_t last_generation;
static _Atomic unsigned top;
static uint32_t generation_at_fork;
static _Atomic bool misses_calls;
static _Atomic uint32_t n_files; /* entries made for what is most likely a file */

bool fd_table_misses_calls(void)
{
	return atomic_load_explicit(&misses_calls, memory_order_relaxed);
}

void fd_table_note_missed_call(void)
{
	atomic_store_explicit(&misses_calls, true, memory_order_relaxed);
}

AT_START unsigned fd_table_top(void)
{
	return atomic_load_explicit(&top, memory_order_acquire);
}

static void raise_top(unsigned fd)
{
	unsigned now = atomic_load(&top);

	while (now <= fd && !atomic_compare_exchange_weak(&top, &now, fd + 1))
		;
}

static struct fd_entry *make_entry(int fd)
{
	unsigned at = (unsigned)fd;
	struct fd_entry *entry = fd_table_entry(fd);

	if (entry || at >= FD_TABLE_ENTRIES * FD_TABLE_CHUNKS)
		return entry;
	struct fd_entry *chunk =
		arena_map_once((void *_Atomic *)&fd_table_chunks[at / FD_TABLE_ENTRIES],
			       FD_TABLE_ENTRIES * sizeof(struct fd_entry));
	return chunk ? &chunk[at % FD_TABLE_ENTRIES] : NULL;
}

UNCHECKED void fd_table_copy_birth(struct fd_entry *to, const struct fd_entry *from)
{
	to->opened_ns = from->opened_ns;
	to->socket_id = from->socket_id;
	to->name = from->name;
	to->call = from->call;
	to->origin_kind = from->origin_kind;
	to->family = from->family;
	to->fork_depth = from->fork_depth;
	to->peer_port = from->peer_port;
	memcpy(to->peer, from->peer, sizeof(to->peer));
	atomic_store_explicit(&to->origin,
			      atomic_load_explicit(&from->origin, memory_order_relaxed),
			      memory_order_relaxed);
}

static UNCHECKED void keep_peer(struct fd_entry *entry, const struct sockaddr *peer)
{
	if (!peer)
		return;
	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

		entry->peer_port = ntohs(in->sin_port);
		memcpy(entry->peer, &in->sin_addr, 4);
		entry->family = AF_INET;
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

		entry->peer_port = ntohs(in6->sin6_port);
		memcpy(entry->peer, &in6->sin6_addr, 16);
		entry->family = AF_INET6;
	}
}

UNCHECKED void fd_table_learn_peer(int fd, uint32_t generation,
				   const struct fd_entry *from)
{
	struct fd_entry *entry = fd_table_entry(fd);

	if (!entry || ENTRY_GENERATION(atomic_load(&entry->word)) != generation)
		return;
	for (size_t i = 0; i < sizeof(entry->peer); i++)
		entry->peer[i] = from->peer[i];
	entry->peer_port = from->peer_port;
	entry->family = from->family;
}

void fd_table_set_peer(int fd, const struct sockaddr *peer, socklen_t length)
{
	struct fd_entry *entry = fd_table_entry(fd);

	if (entry && length >= (socklen_t)sizeof(struct sockaddr_in))
		keep_peer(entry, peer);
}

/* Generations wrap; 0 stands for none. */
static uint64_t new_word(uint64_t bits)
{
	uint32_t generation;

	do
		generation = atomic_fetch_add(&last_generation, 1) + 1;
	while (!generation);
	return (uint64_t)generation << 32 | (bits & ENTRY_ALL_BITS) | ENTRY_HELD;
}

/* The word of an entry that is copied to another descriptor: a new generation, the same
 * bits and record. */
static uint64_t renewed(uint64_t word)
{
	return new_word(word) | (word & ENTRY_RECORD_MASK);
}

/* The entry is not empty: its descriptor was closed unseen, and the number is in use
 * again. */
static void forget_former(int fd, const struct fd_entry *entry)
{
	uint64_t former = atomic_load_explicit(&entry->word, memory_order_relaxed);

	if (former)
		fd_table_forget_stale(fd, former);
}

/* What the scanning thread knew belongs to an earlier generation.  Clear it: the numbers
 * of generations wrap, and it could be taken for that of this one. */
static UNCHECKED void begin_entry(struct fd_entry *entry, const struct fd_entry *birth)
{
	fd_table_copy_birth(entry, birth);
	entry->scanned_gen = entry->published = 0;
}

/* The entry holds a socket from now on. */
static void store_word(int fd, struct fd_entry *entry, uint64_t word)
{
	/* What another thread wrote meanwhile holds nothing any more. */
	fd_table_drop_hold(atomic_exchange(&entry->word, word));
	raise_top((unsigned)fd);
}

void fd_table_remember(int fd, enum sl_call call, enum sl_origin_kind origin_kind,
		       uint32_t origin, uint64_t bits, const struct sockaddr *peer)
{
	struct fd_entry *entry = make_entry(fd);

	if (!entry) {
		atomic_fetch_add(&fd_table_counts.missed, 1);
		return;
	}
	forget_former(fd, entry);
	uint64_t word = new_word(bits);
	struct fd_entry fresh = {
		.opened_ns = clock_now_ns(),
		.origin = origin,
		.socket_id = ENTRY_GENERATION(word),
		.name = atomic_load_explicit(&fd_table_name, memory_order_relaxed),
		.call = (uint8_t)call,
		.origin_kind = (uint8_t)origin_kind,
		.fork_depth = fork_depth,
	};
	keep_peer(&fresh, peer);
	begin_entry(entry, &fresh);
	/* Before it can be closed. */
	if (!(bits & ENTRY_NOT_TCP))
		atomic_fetch_add_explicit(&fd_table_counts.opened, 1,
					  memory_order_relaxed);
	store_word(fd, entry, word);
	if (!(bits & ENTRY_NOT_TCP))
		fd_table_publish(fd, entry);
}

bool fd_table_adopt(int fd, enum sl_origin_kind origin_kind, uint64_t bits)
{
	struct fd_entry *entry = make_entry(fd);

	if (!entry || atomic_load(&entry->word))
		return false;
	fd_table_remember(fd, SL_CALL_NONE, origin_kind, 0, bits, NULL);
	if (!(bits & ENTRY_NOT_TCP))
		fd_table_correct_row(fd);
	return true;
}

void fd_table_adopt_unseen(int fd, bool is_socket)
{
	if (fd_table_adopt(fd, SL_ORIGIN_UNKNOWN, ENTRY_UNSEEN | ENTRY_NOT_TCP))
		atomic_fetch_add(&n_files, !is_socket);
}

bool fd_table_read_of(const struct socket *one, int fd, struct fd_entry *copy)
{
	return fd_table_read(fd, copy) && socket_of(copy) == one;
}

/* Every entry of the socket of `of`: in their present generations. */
static void change_bits_of_all(const struct fd_entry *of, uint64_t set, uint64_t clear)
{
	const struct socket *one = socket_of(of);
	struct fd_entry entry;

	for (unsigned fd = 0; one && fd < fd_table_top(); fd++)
		if (fd_table_read_of(one, (int)fd, &entry))
			fd_table_change_bits((int)fd,
					     ENTRY_GENERATION(atomic_load(&entry.word)),
					     set, clear);
}

bool fd_table_is_tcp(int fd, uint32_t generation, uint64_t bits)
{
	const uint64_t unseen = ENTRY_NOT_TCP | ENTRY_UNSEEN;
	struct fd_entry entry;

	if (!fd_table_read(fd, &entry))
		return false;
	/* Counted before the descriptor can be closed; an inherited socket was not opened
	 * here. */
	bool is_ours = entry.fork_depth == fork_depth;
	atomic_fetch_add(&fd_table_counts.opened, is_ours);
	change_bits_of_all(&entry, bits, unseen);
	if (!fd_table_change_bits(fd, generation, bits, unseen)) {
		atomic_fetch_sub(&fd_table_counts.opened, is_ours);
		return false;
	}
	fd_table_note_missed_call();
	fd_table_correct_row(fd);
	return fd_table_knows(fd);
}

struct socket *fd_table_make_socket(int fd, struct fd_entry *entry)
{
	while (fd_table_read(fd, entry)) {
		uint64_t word = atomic_load(&entry->word);

		if (ENTRY_RECORD(word))
			return socket_of(entry);
		uint32_t fresh = socket_new(entry->socket_id);
		if (!fresh)
			return NULL;
		uint64_t with_record = word | (uint64_t)fresh << ENTRY_RECORD_SHIFT;
		if (atomic_compare_exchange_strong(&fd_table_entry(fd)->word, &word,
						   with_record)) {
			atomic_store_explicit(&entry->word, with_record,
					      memory_order_relaxed);
			if (uses_are_noted)
				uses_take_record(fd, entry->socket_id, fresh);
			return socket_at(fresh);
		}
		fd_table_drop_hold(with_record);
	}
	return NULL;
}

static bool is_of(uint32_t generation, const struct fd_entry *entry)
{
	return entry && ENTRY_GENERATION(atomic_load(&entry->word)) == generation;
}

/* One more descriptor holds the socket of `was`, a copy of the entry of `from`, which
 * then refers to its record, or, if `from` was closed meanwhile, perhaps to none.  false
 * = no memory. */
static bool hold_too(int from, struct fd_entry *was)
{
	const uint64_t word = atomic_load(&was->word);
	const uint32_t generation = ENTRY_GENERATION(word);
	uint32_t n_before = 0;
	struct fd_entry now;
	struct socket *one = fd_table_make_socket(from, &now);

	if (!one && is_of(generation, fd_table_entry(from)))
		return false;
	atomic_store(&was->word, (word & ~ENTRY_RECORD_MASK) | ENTRY_DUPLICATED);
	if (one && is_of(generation, &now) &&
	    socket_hold(ENTRY_RECORD(atomic_load(&now.word)), now.socket_id, &n_before)) {
		*was = now;
		atomic_store(&was->word, atomic_load(&now.word) | ENTRY_DUPLICATED);
		fd_table_change_bits(from, generation, ENTRY_DUPLICATED, 0);
	}
	/* `from` was closed meanwhile and counted as the last descriptor of the socket,
	 * which it was not. */
	if (!n_before && was->fork_depth == fork_depth && !(word & ENTRY_NOT_TCP))
		atomic_fetch_sub(&fd_table_counts.closed, 1);
	return true;
}

void fd_table_copy(int from, int to)
{
	struct fd_entry was;
	struct fd_entry *source = fd_table_entry(from);
	struct fd_entry *entry = make_entry(to);
	bool is_read = fd_table_read(from, &was);
	bool is_tcp = is_read && !(atomic_load(&was.word) & ENTRY_NOT_TCP);
	bool is_held = is_tcp || (is_read && (atomic_load(&was.word) & ENTRY_UNSEEN));

	if (!entry || (is_held && !hold_too(from, &was))) {
		atomic_fetch_add(&fd_table_counts.missed, source != NULL);
		return;
	}
	if (!is_read)
		return;
	forget_former(to, entry);
	begin_entry(entry, &was);
	store_word(to, entry, renewed(atomic_load(&was.word)));
	if (is_tcp)
		fd_table_publish(to, entry);
}

/* The entry refers to the record of `with` from now on; `was_last`: no other refers to
 * its former one.  false = it was closed. */
static bool refer(struct fd_entry *entry, uint32_t generation,
		  const struct fd_entry *with, bool *was_last)
{
	uint64_t word = atomic_load(&entry->word);

	do
		if (ENTRY_GENERATION(word) != generation)
			return false;
	while (!atomic_compare_exchange_weak(
		&entry->word, &word,
		(word & ~ENTRY_RECORD_MASK) | ENTRY_DUPLICATED |
			(atomic_load(&with->word) & ENTRY_RECORD_MASK)));
	*was_last = fd_table_drop_hold(word);
	return true;
}

UNCHECKED void fd_table_join(int fd, int with)
{
	struct fd_entry was, entry;

	if (!fd_table_read(fd, &entry) || !fd_table_read(with, &was) ||
	    entry.socket_id == was.socket_id || was.fork_depth != fork_depth ||
	    !hold_too(with, &was))
		return;
	uint32_t generation = ENTRY_GENERATION(atomic_load(&entry.word));
	bool was_last = false;
	notice_take_over(&entry, &was);
	if (socket_of(&entry))
		socket_change_facts(socket_of(&entry), entry.socket_id, SOCKET_JOINED, 0);
	if (!refer(fd_table_entry(fd), generation, &was, &was_last)) {
		/* The joined entry was counted as a socket of its own; now that socket
		 * counts as closed. */
		if (fd_table_drop_hold(atomic_load(&was.word)))
			atomic_fetch_add(&fd_table_counts.closed, 1);
		return;
	}
	if (was_last)
		atomic_fetch_sub(&fd_table_counts.opened, 1);
	if (!entry.family)
		fd_table_learn_peer(fd, generation, &was);
}

bool fd_table_change_bits(int fd, uint32_t generation, uint64_t set, uint64_t clear)
{
	struct fd_entry *entry = fd_table_entry(fd);
	uint64_t word = entry ? atomic_load(&entry->word) : 0;

	/* An entry that is cleared meanwhile must not look used because of one bit. */
	while (word && ENTRY_GENERATION(word) == generation)
		if (atomic_compare_exchange_weak(&entry->word, &word,
						 (word | set) & ~clear))
			return true;
	return false;
}

void fd_table_set_bits(int fd, uint64_t bits)
{
	struct fd_entry *entry = fd_table_entry(fd);

	if (entry)
		fd_table_change_bits(fd, ENTRY_GENERATION(atomic_load(&entry->word)),
				     bits, 0);
}

unsigned fd_table_n_chunks(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i * FD_TABLE_ENTRIES < fd_table_top(); i++)
		n += atomic_load_explicit(&fd_table_chunks[i], memory_order_relaxed) !=
		     NULL;
	return n;
}

static void dissolve(struct fd_entry *entry, uint32_t record)
{
	uint64_t word = atomic_load(&entry->word);
	const uint64_t bits =
		ENTRY_CONNECTED | ENTRY_ESTABLISHED | ENTRY_TRIED | ENTRY_REFUSED;

	while (word && ENTRY_RECORD(word) == record &&
	       !atomic_compare_exchange_weak(&entry->word, &word, renewed(word & ~bits)))
		;
}

/* The age of the former connection, and what the program was told of it, do not hold for
 * the next one. */
void fd_table_dissolve(int fd)
{
	struct fd_entry was, entry;

	if (!fd_table_read(fd, &was))
		return;
	struct socket *one = socket_of(&was);
	uint32_t record = ENTRY_RECORD(atomic_load(&was.word));
	if (!one)
		return dissolve(fd_table_entry(fd), record);
	socket_change_facts(one, was.socket_id, SOCKET_DISSOLVED,
			    (uint32_t) ~(SOCKET_DISSOLVED | SOCKET_ONE_CLOSED));
	for (unsigned other = 0; other < fd_table_top(); other++)
		if (fd_table_read_of(one, (int)other, &entry))
			dissolve(fd_table_entry((int)other), record);
}

AT_START bool fd_table_has_connection(void)
{
	unsigned end = fd_table_top();

	for (unsigned fd = fd_table_skip(0, end); fd < end;
	     fd = fd_table_skip(fd + 1, end))
		if (atomic_load_explicit(&fd_table_entry((int)fd)->word,
					 memory_order_relaxed) &
		    ENTRY_CONNECTED)
			return true;
	return false;
}

uint32_t fd_table_last_generation(void)
{
	return atomic_load(&last_generation);
}

bool fd_table_is_untouched(void)
{
	return atomic_load(&last_generation) - atomic_load(&n_files) ==
		       generation_at_fork &&
	       notices_are_none();
}

void fd_table_fork_prepare(void)
{
	fd_table_note_fork(clock_now_ns());
}

void fd_table_fork_child(void)
{
	fork_depth++;
	atomic_store(&n_files, 0);
	generation_at_fork = atomic_load(&last_generation);
	notices_fork_child();
	fd_table_note_fork(0);
	atomic_store(&fd_table_counts.opened, 0);
	atomic_store(&fd_table_counts.closed, 0);
	atomic_store(&fd_table_counts.missed, 0);
}
