/* See registry.h. */
#include "registry.h"

#include "arena.h"
#include "ledger_writer.h"
#include "origin.h"
#include "probe.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <time.h>

#define N_SHARED 1024 /* serials of duplicated sockets at a time; more share no facts */
#define N_PROBES 8    /* places one serial may take */

/* What a row (or a side record, or shared facts) says beside its atomic word may be read
 * while it is written: the word, read before and after, tells whether it is believed. */
#define UNCHECKED __attribute__((no_sanitize_thread))

ARENA_TABLE struct row *_Atomic registry_chunks[REGISTRY_CHUNKS];
struct registry_counts registry_counts;
uint8_t registry_era;
_Atomic uint16_t registry_name;

ARENA_TABLE static struct side *_Atomic sides[REGISTRY_CHUNKS];
static _Atomic uint32_t last_generation;
static _Atomic uint32_t last_serial;
static _Atomic unsigned top;
static struct shared *_Atomic all_shared;
static _Atomic uint64_t forked_ns; /* the last fork of these books; 0 = none */
static uint32_t generation_at_fork;
static _Atomic bool was_told_here; /* since these books began */

AT_START uint64_t registry_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

AT_START unsigned registry_top(void)
{
	return atomic_load_explicit(&top, memory_order_acquire);
}

static void raise_top(unsigned fd)
{
	unsigned now = atomic_load(&top);

	while (now <= fd && !atomic_compare_exchange_weak(&top, &now, fd + 1))
		;
}

/* Pages for a slot that everybody may fill: the first one stays, the others give theirs
 * back. */
static void *fill_slot(void *_Atomic *slot, size_t bytes)
{
	void *there = NULL;
	void *fresh = arena_map(bytes);

	if (!fresh)
		return NULL;
	if (atomic_compare_exchange_strong(slot, &there, fresh))
		return fresh;
	arena_unmap(fresh, bytes);
	return there;
}

static struct row *make_row(int fd)
{
	unsigned at = (unsigned)fd;
	struct row *row = registry_row(fd);

	if (row || at >= REGISTRY_ROWS * REGISTRY_CHUNKS)
		return row;
	struct row *chunk =
		fill_slot((void *_Atomic *)&registry_chunks[at / REGISTRY_ROWS],
			  REGISTRY_ROWS * sizeof(struct row));
	return chunk ? &chunk[at % REGISTRY_ROWS] : NULL;
}

struct side *registry_side(int fd, bool make)
{
	unsigned at = (unsigned)fd;

	if (at >= REGISTRY_ROWS * REGISTRY_CHUNKS)
		return NULL;
	struct side *chunk =
		atomic_load_explicit(&sides[at / REGISTRY_ROWS], memory_order_acquire);
	if (!chunk && make)
		chunk = fill_slot((void *_Atomic *)&sides[at / REGISTRY_ROWS],
				  REGISTRY_ROWS * sizeof(struct side));
	return chunk ? &chunk[at % REGISTRY_ROWS] : NULL;
}

/* ---- what duplicates share ---- */

static struct shared *shared_table(void)
{
	struct shared *table = atomic_load_explicit(&all_shared, memory_order_acquire);

	return table ? table
		     : fill_slot((void *_Atomic *)&all_shared, N_SHARED * sizeof(*table));
}

struct shared *registry_shared(uint32_t serial)
{
	struct shared *table = atomic_load_explicit(&all_shared, memory_order_acquire);

	for (unsigned i = 0; table && i < N_PROBES; i++) {
		struct shared *one = &table[(serial + i) % N_SHARED];

		if (atomic_load(&one->holders) >> 32 == serial)
			return one;
	}
	return NULL;
}

static bool add_holder(struct shared *one, uint32_t serial)
{
	uint64_t was = atomic_load(&one->holders);

	while (was >> 32 == serial)
		if (atomic_compare_exchange_weak(&one->holders, &was, was + 1))
			return true;
	return false;
}

/* One more descriptor holds the socket.  The first duplicate counts its source, too,
 * which had no need of a count before; of two that come at once one is the first. */
static void hold(uint32_t serial)
{
	struct shared *one = registry_shared(serial), *table = shared_table();

	if (one && add_holder(one, serial))
		return;
	for (unsigned i = 0; table && i < N_PROBES; i++) {
		uint64_t none = 0;

		one = &table[(serial + i) % N_SHARED];
		if (atomic_compare_exchange_strong(&one->holders, &none,
						   (uint64_t)serial << 32 | 2) ||
		    add_holder(one, serial))
			return;
	}
}

/* One less.  Returns whether others are left. */
static bool let_go(uint32_t serial)
{
	struct shared *one = registry_shared(serial);
	uint64_t was = one ? atomic_load(&one->holders) : 0, now;

	do {
		if (was >> 32 != serial)
			return false;
		now = (uint32_t)was > 1 ? was - 1 : 0;
	} while (!atomic_compare_exchange_weak(&one->holders, &was, now));
	return now != 0;
}

static uint32_t facts_of(const struct shared *shared, uint32_t serial)
{
	uint64_t facts = shared ? atomic_load(&shared->facts) : 0;

	return facts >> 32 == serial ? (uint32_t)facts : 0;
}

uint32_t registry_facts(uint32_t serial)
{
	return facts_of(registry_shared(serial), serial);
}

/* Those of an earlier serial in this place end here. */
static void add_facts(struct shared *shared, uint32_t serial, uint32_t facts)
{
	uint64_t was = atomic_load(&shared->facts), now;

	do
		now = (was >> 32 == serial ? was : (uint64_t)serial << 32) | facts;
	while (atomic_load(&shared->holders) >> 32 == serial &&
	       !atomic_compare_exchange_weak(&shared->facts, &was, now));
}

static void drop_told(struct shared *shared, uint32_t serial)
{
	uint64_t was = shared ? atomic_load(&shared->facts) : 0;

	while (was >> 32 == serial &&
	       !atomic_compare_exchange_weak(&shared->facts, &was,
					     (uint64_t)serial << 32 |
						     (was & SHARED_ONE_CLOSED)))
		;
}

#define SHUT_HOW_UNIT (SHARED_SHUT_HOW & -SHARED_SHUT_HOW)

static uint8_t shut_how_of(uint32_t facts)
{
	return (facts & SHARED_SHUT_HOW) / SHUT_HOW_UNIT;
}

/* `side` speaks of the row of `generation`. */
static UNCHECKED void share_facts(uint32_t serial, const struct side *side,
				  uint32_t generation)
{
	struct shared *shared = registry_shared(serial);

	if (!shared)
		return;
	if (atomic_load(&side->told_at) == generation) {
		shared->told_ns = side->told_ns;
		shared->told_origin = side->told_origin;
		shared->told_call = side->told_call;
		shared->told_era = side->told_era;
		shared->told_error = side->told_error;
		add_facts(shared, serial, SHARED_TOLD);
	}
	if (atomic_load(&side->shut_at) == generation) {
		shared->shut_ns = side->shut_ns;
		shared->shut_era = side->shut_era;
		add_facts(shared, serial, SHARED_SHUT | side->shut_how * SHUT_HOW_UNIT);
	}
}

/* ---- addresses ---- */

static UNCHECKED void copy_birth(struct row *to, const struct row *from)
{
	to->opened_ns = from->opened_ns;
	to->serial = from->serial;
	to->name = from->name;
	to->call = from->call;
	to->note = from->note;
	to->family = from->family;
	to->peer_port = from->peer_port;
	memcpy(to->peer, from->peer, sizeof(to->peer));
	atomic_store_explicit(&to->origin,
			      atomic_load_explicit(&from->origin, memory_order_relaxed),
			      memory_order_relaxed);
}

static UNCHECKED void keep_peer(struct row *row, const struct sockaddr *peer)
{
	if (!peer)
		return;
	if (peer->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)peer;

		row->peer_port = ntohs(in->sin_port);
		memcpy(row->peer, &in->sin_addr, 4);
		row->family = AF_INET;
	} else if (peer->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;

		row->peer_port = ntohs(in6->sin6_port);
		memcpy(row->peer, &in6->sin6_addr, 16);
		row->family = AF_INET6;
	}
}

UNCHECKED void registry_learn_peer(int fd, uint32_t generation, const struct row *from)
{
	struct row *row = registry_row(fd);

	if (!row || ROW_GENERATION(atomic_load(&row->word)) != generation)
		return;
	for (size_t i = 0; i < sizeof(row->peer); i++)
		row->peer[i] = from->peer[i];
	row->peer_port = from->peer_port;
	row->family = from->family;
}

void registry_set_peer(int fd, const struct sockaddr *peer, socklen_t length)
{
	struct row *row = registry_row(fd);

	if (row && length >= (socklen_t)sizeof(struct sockaddr_in))
		keep_peer(row, peer);
}

/* ---- birth ---- */

static UNCHECKED void publish(int fd, const struct row *row)
{
	if (!ledger_is_kept())
		return;
	uint64_t word = atomic_load(&row->word);
	struct sl_descriptor d = {
		.held = 1,
		.call = row->call,
		.note = row->note,
		.opened_ns = row->opened_ns,
		.origin = atomic_load(&row->origin),
		.name = row->name,
		.family = row->family,
		.peer_port = row->peer_port,
		.serial = row->serial,
		.flags = word & ROW_DUPLICATED ? SL_ROW_DUPLICATED : 0,
	};
	memcpy(d.peer, row->peer, sizeof(d.peer));
	ledger_publish(fd, &d);
}

static uint64_t new_word(uint64_t bits)
{
	return (uint64_t)(atomic_fetch_add(&last_generation, 1) + 1) << 32 |
	       (uint64_t)registry_era << 8 | (bits & ~(uint64_t)ROW_BIRTHS) | ROW_HELD;
}

/* Of a row that lives on as another: its bits and its birth, in a new generation. */
static uint64_t renewed_word(uint64_t word)
{
	return (new_word(word & 0xffffffff) & ~(uint64_t)ROW_BIRTHS) |
	       (word & ROW_BIRTHS);
}

void registry_remember(int fd, enum sl_call call, enum sl_note note, uint32_t origin,
		       uint64_t bits, const struct sockaddr *peer)
{
	struct row *row = make_row(fd);

	if (!row) {
		atomic_fetch_add(&registry_counts.missed, 1);
		return;
	}
	/* A row that still stands was closed unseen: its number is another's by now. */
	uint64_t former = atomic_load_explicit(&row->word, memory_order_relaxed);
	if (former)
		registry_forget_stale(fd, former);
	struct row fresh = {
		.opened_ns = registry_now_ns(),
		.origin = origin,
		.serial = atomic_fetch_add(&last_serial, 1) + 1,
		.name = atomic_load_explicit(&registry_name, memory_order_relaxed),
		.call = (uint8_t)call,
		.note = (uint8_t)note,
	};
	keep_peer(&fresh, peer);
	copy_birth(row, &fresh);
	atomic_store_explicit(&row->word, new_word(bits), memory_order_release);
	raise_top((unsigned)fd);
	if (bits & ROW_NOT_TCP)
		return;
	atomic_fetch_add_explicit(&registry_counts.opened, 1, memory_order_relaxed);
	publish(fd, row);
}

bool registry_adopt(int fd, enum sl_note note, uint64_t bits)
{
	struct row *row = make_row(fd);

	if (!row || atomic_load(&row->word))
		return false;
	registry_remember(fd, SL_CALL_NONE, note, 0, bits, NULL);
	return true;
}

/* The socket of `fd` gets a duplicate. */
static void hold_both(int fd, const struct row *was)
{
	uint64_t word = atomic_load(&was->word);

	hold(was->serial);
	if (registry_change_bits(fd, ROW_GENERATION(word), ROW_DUPLICATED, 0) ||
	    (word & ROW_DUPLICATED))
		return;
	/* Closed meanwhile, as the last that holds it: it was not. */
	let_go(was->serial);
	if (ROW_ERA(word) == registry_era)
		atomic_fetch_sub(&registry_counts.closed, 1);
}

/* What the source was told, its copy knows too; of one that was copied before it is known
 * already, and perhaps more. */
static void share_known(int from, const struct row *was)
{
	struct side *side = registry_side(from, false);

	if (side && !(registry_facts(was->serial) & (SHARED_TOLD | SHARED_SHUT)))
		share_facts(was->serial, side, ROW_GENERATION(atomic_load(&was->word)));
}

/* The peer has been gone for as long on the copy: an age is the socket's, and so is that
 * it was a leak.  Where the source has not been looked at it may be a copy itself. */
static UNCHECKED void copy_age(int from, uint32_t source, int to, uint32_t generation)
{
	const struct side *old = registry_side(from, false);
	bool was_seen = old && atomic_load(&old->gone_at) == source;

	if (!was_seen && !(old && atomic_load(&old->aged_at) == source))
		return;
	struct side *side = registry_side(to, true);
	if (!side)
		return;
	side->copied_gone_ns = was_seen ? old->gone_ns : old->copied_gone_ns;
	side->copied_quiet_ns = was_seen ? old->quiet_ns : old->copied_quiet_ns;
	side->copied_was_leak = was_seen ? old->was_leak : old->copied_was_leak;
	atomic_store(&side->aged_at, generation);
}

void registry_copy(int from, int to)
{
	struct row was;
	struct row *source = registry_row(from);
	struct row *row = make_row(to);

	if (!row || !registry_read(from, &was)) {
		if (!row && source)
			atomic_fetch_add(&registry_counts.missed, 1);
		return;
	}
	uint64_t word = atomic_load(&was.word);
	if (!(word & ROW_NOT_TCP)) {
		hold_both(from, &was);
		word |= ROW_DUPLICATED;
	}
	uint64_t former = atomic_load_explicit(&row->word, memory_order_relaxed);
	if (former)
		registry_forget_stale(to, former);
	uint64_t renewed = renewed_word(word);
	copy_age(from, ROW_GENERATION(word), to, ROW_GENERATION(renewed));
	copy_birth(row, &was);
	atomic_store_explicit(&row->word, renewed, memory_order_release);
	raise_top((unsigned)to);
	if (word & ROW_NOT_TCP)
		return;
	share_known(from, &was);
	publish(to, row);
}

UNCHECKED void registry_join(int fd, int with)
{
	struct row was, row;

	if (!registry_read(fd, &row) || !registry_read(with, &was) ||
	    row.serial == was.serial || ROW_ERA(atomic_load(&was.word)) != registry_era)
		return;
	hold_both(with, &was);
	registry_row(fd)->serial = row.serial = was.serial;
	registry_set_bits(fd, ROW_DUPLICATED);
	atomic_fetch_sub(&registry_counts.opened, 1);
	if (!row.family)
		registry_learn_peer(fd, ROW_GENERATION(atomic_load(&row.word)), &was);
	share_known(with, &was);
	share_known(fd, &row);
	copy_age(with, ROW_GENERATION(atomic_load(&was.word)), fd,
		 ROW_GENERATION(atomic_load(&row.word)));
}

/* ---- death ---- */

/* A child, and what it becomes by exec, may hold the socket that we let go of; it knows
 * no origin then but the one in our ledger.  And what came over an exec may be a leak in
 * the ledger of the former program, which is to be known as closed. */
static void say_who_let_go(int fd, const struct row *was)
{
	bool is_childs = was->opened_ns < forked_ns && was->call != SL_CALL_NONE;

	if (!ledger_is_kept() || !(is_childs || was->note == SL_NOTE_INHERITED))
		return;
	ledger_give(was->looked_at == ROW_GENERATION(atomic_load(&was->word))
			    ? was->cookie
			    : probe_cookie(fd, atomic_load(&was->word) & ROW_MPTCP),
		    atomic_load(&was->origin), was->call, fd);
}

static void count_end(const struct row *was)
{
	uint64_t word = atomic_load(&was->word);

	if (word & ROW_NOT_TCP)
		return;
	if (word & ROW_DUPLICATED) {
		struct shared *shared = registry_shared(was->serial);

		if (shared)
			add_facts(shared, was->serial, SHARED_ONE_CLOSED);
		if (let_go(was->serial))
			return;
	}
	/* What was inherited over fork was never counted as opened here. */
	if (ROW_ERA(word) == registry_era)
		atomic_fetch_add_explicit(&registry_counts.closed, 1,
					  memory_order_relaxed);
}

/* With the ticker's part, for a copy that it reads. */
static UNCHECKED void copy_row(struct row *to, const struct row *from)
{
	copy_birth(to, from);
	to->looked_at = from->looked_at;
	to->cookie = from->cookie;
}

bool registry_read(int fd, struct row *copy)
{
	struct row *row = registry_row(fd);
	uint64_t word = row ? atomic_load_explicit(&row->word, memory_order_acquire) : 0;

	if (!word)
		return false;
	copy_row(copy, row);
	atomic_store(&copy->word, word);
	atomic_thread_fence(memory_order_acquire);
	return ROW_GENERATION(atomic_load(&row->word)) == ROW_GENERATION(word);
}

/* When a leak was closed is for the next look to say, which may be long after. */
static void note_end(int fd, uint32_t generation)
{
	struct side *side = registry_side(fd, false);

	if (!side ||
	    atomic_load_explicit(&side->gone_at, memory_order_relaxed) != generation)
		return;
	side->ended_ns = registry_now_ns();
	atomic_store_explicit(&side->ended_at, generation, memory_order_release);
}

bool registry_forget(int fd, struct row *was)
{
	struct row *row = registry_row(fd);
	struct row kept;

	if (!row || !atomic_load_explicit(&row->word, memory_order_acquire))
		return false;
	copy_row(&kept, row);
	uint64_t word = atomic_exchange(&row->word, 0);
	if (!word)
		return false;
	/* What is written into the row from now on is not to be seen before that. */
	atomic_thread_fence(memory_order_release);
	atomic_store(&kept.word, word);
	note_end(fd, ROW_GENERATION(word));
	count_end(&kept);
	if (!(word & ROW_NOT_TCP)) {
		say_who_let_go(fd, &kept);
		ledger_end_row(fd);
	}
	if (was)
		*was = kept;
	return true;
}

bool registry_forget_stale(int fd, uint64_t word)
{
	struct row *row = registry_row(fd);
	struct row kept;

	if (!row)
		return false;
	copy_row(&kept, row);
	if (!atomic_compare_exchange_strong(&row->word, &word, 0))
		return false;
	atomic_store(&kept.word, word);
	count_end(&kept);
	if (!(word & ROW_NOT_TCP))
		ledger_end_row(fd);
	return true;
}

void registry_restore(int fd, const struct row *was)
{
	struct row *row = registry_row(fd);
	uint64_t word = atomic_load(&was->word);

	if (!row || atomic_load(&row->word))
		return;
	copy_birth(row, was);
	atomic_store_explicit(&row->word, word, memory_order_release);
	if (word & ROW_NOT_TCP)
		return;
	struct shared *shared =
		word & ROW_DUPLICATED ? registry_shared(was->serial) : NULL;
	if (shared && add_holder(shared, was->serial))
		return publish(fd, row);
	if (ROW_ERA(word) == registry_era)
		atomic_fetch_sub(&registry_counts.closed, 1);
	publish(fd, row);
}

void registry_forget_range(unsigned first, unsigned last)
{
	for (unsigned fd = first; fd <= last && fd < registry_top(); fd++) {
		if (!registry_row((int)fd))
			fd |= REGISTRY_ROWS - 1;
		else
			registry_forget((int)fd, NULL);
	}
}

bool registry_knows_any(unsigned first, unsigned last)
{
	unsigned end = registry_top();

	for (unsigned fd = first; fd <= last && fd < end; fd++) {
		if (!registry_row((int)fd))
			fd |= REGISTRY_ROWS - 1;
		else if (registry_knows((int)fd))
			return true;
	}
	return false;
}

/* ---- what the program was told ---- */

bool registry_change_bits(int fd, uint32_t generation, uint64_t set, uint64_t clear)
{
	struct row *row = registry_row(fd);
	uint64_t word = row ? atomic_load(&row->word) : 0;

	/* A row that dies meanwhile must not come alive by a bit. */
	while (word && ROW_GENERATION(word) == generation)
		if (atomic_compare_exchange_weak(&row->word, &word,
						 (word | set) & ~clear))
			return true;
	return false;
}

void registry_set_bits(int fd, uint64_t bits)
{
	struct row *row = registry_row(fd);

	if (row)
		registry_change_bits(fd, ROW_GENERATION(atomic_load(&row->word)), bits,
				     0);
}

unsigned registry_n_chunks(void)
{
	unsigned n = 0;

	for (unsigned i = 0; i * REGISTRY_ROWS < registry_top(); i++)
		n += atomic_load_explicit(&registry_chunks[i], memory_order_relaxed) !=
		     NULL;
	return n;
}

/* What was told of the former connection, and its age, is nothing to the next. */
static void dissolve(int fd)
{
	struct row *row = registry_row(fd);
	uint64_t word = row ? atomic_load(&row->word) : 0;
	const uint64_t bits = ROW_CONNECTED | ROW_ESTABLISHED;

	while (word && !atomic_compare_exchange_weak(&row->word, &word,
						     renewed_word(word & ~bits)))
		;
}

void registry_dissolve(int fd)
{
	struct row was, row;

	if (!registry_read(fd, &was))
		return;
	if (!(atomic_load(&was.word) & ROW_DUPLICATED))
		return dissolve(fd);
	drop_told(registry_shared(was.serial), was.serial);
	for (unsigned other = 0; other < registry_top(); other++)
		if (registry_read((int)other, &row) && row.serial == was.serial)
			dissolve((int)other);
}

AT_START bool registry_has_connection(void)
{
	for (unsigned fd = 0; fd < registry_top(); fd++) {
		struct row *row = registry_row((int)fd);

		if (!row)
			fd |= REGISTRY_ROWS - 1;
		else if (atomic_load_explicit(&row->word, memory_order_relaxed) &
			 ROW_CONNECTED)
			return true;
	}
	return false;
}

uint32_t registry_last_generation(void)
{
	return atomic_load(&last_generation);
}

/* What duplicates of the row's socket were told here; NULL = nothing. */
static UNCHECKED const struct shared *told_of_all(uint64_t word, uint32_t serial)
{
	const struct shared *shared =
		word & ROW_DUPLICATED ? registry_shared(serial) : NULL;

	return (facts_of(shared, serial) & SHARED_TOLD) &&
			       shared->told_era == registry_era
		       ? shared
		       : NULL;
}

UNCHECKED bool registry_was_told(int fd)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, false);
	uint64_t word = row ? atomic_load(&row->word) : 0;

	return (word && side && atomic_load(&side->told_at) == ROW_GENERATION(word) &&
		side->told_era == registry_era) ||
	       (word && told_of_all(word, row->serial));
}

/* A hook may write another word at the same time: that stands. */
static void settle(uint32_t *word)
{
	uint32_t was = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint32_t now = origin_settle(was);

	if (now != was)
		__atomic_compare_exchange_n(word, &was, now, false, __ATOMIC_RELAXED,
					    __ATOMIC_RELAXED);
}

void registry_settle_told(int fd)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, false);
	uint64_t word = row ? atomic_load(&row->word) : 0;
	struct shared *shared =
		word & ROW_DUPLICATED ? registry_shared(row->serial) : NULL;

	if (side)
		settle(&side->told_origin);
	if (shared)
		settle(&shared->told_origin);
}

UNCHECKED void registry_read_told(const struct row *row, const struct side *side,
				  struct told *told)
{
	uint64_t word = atomic_load(&row->word);
	const struct shared *shared = told_of_all(word, row->serial);

	memset(told, 0, sizeof(*told));
	if (shared) {
		told->eof_ns = shared->told_ns;
		told->eof_origin = shared->told_origin;
		told->eof_call = shared->told_call;
		told->by_error = shared->told_error;
	} else if (atomic_load(&side->told_at) == ROW_GENERATION(word) &&
		   side->told_era == registry_era) {
		told->eof_ns = side->told_ns;
		told->eof_origin = side->told_origin;
		told->eof_call = side->told_call;
		told->by_error = side->told_error;
	}
	if (atomic_load(&side->shut_at) == ROW_GENERATION(word) &&
	    side->shut_era == registry_era) {
		told->shut_ns = side->shut_ns;
		told->shut_how = side->shut_how;
	}
	shared = word & ROW_DUPLICATED ? registry_shared(row->serial) : NULL;
	uint32_t facts = facts_of(shared, row->serial);
	if ((facts & SHARED_SHUT) && shared->shut_era == registry_era) {
		told->shut_ns = shared->shut_ns;
		told->shut_how |= shut_how_of(facts);
	}
}

bool registry_reading_is_shut(int fd)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, false);
	uint64_t word = row ? atomic_load(&row->word) : 0;
	uint32_t facts = word & ROW_DUPLICATED ? registry_facts(row->serial) : 0;

	return (side && atomic_load(&side->shut_at) == ROW_GENERATION(word) &&
		(side->shut_how & 1)) ||
	       (shut_how_of(facts) & 1);
}

static UNCHECKED void write_told(struct side *side, enum sl_call call, uint32_t origin,
				 bool by_error, uint64_t now_ns)
{
	side->told_ns = now_ns;
	side->told_origin = origin;
	side->told_call = (uint8_t)call;
	side->told_era = registry_era;
	side->told_error = by_error;
}

void registry_tell(int fd, enum sl_call call, uint32_t origin, bool by_error)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, true);
	uint64_t word = row ? atomic_load(&row->word) : 0;

	if (!word)
		return;
	if (!side) {
		atomic_fetch_add(&registry_counts.missed, 1);
		return;
	}
	uint64_t now_ns = registry_now_ns();
	write_told(side, call, origin, by_error, now_ns);
	atomic_store_explicit(&side->told_at, ROW_GENERATION(word), memory_order_release);
	atomic_store(&was_told_here, true);
	ledger_told(fd, now_ns, call);
	if (word & ROW_DUPLICATED)
		share_facts(row->serial, side, ROW_GENERATION(word));
}

UNCHECKED void registry_identify(int fd, uint64_t cookie)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, true);
	uint64_t word = row ? atomic_load(&row->word) : 0;

	if (!word || !side || !cookie)
		return;
	side->cookie = cookie;
	atomic_store_explicit(&side->known_at, ROW_GENERATION(word),
			      memory_order_release);
}

UNCHECKED uint64_t registry_cookie(int fd, uint32_t generation)
{
	struct side *side = registry_side(fd, false);

	return side && atomic_load_explicit(&side->known_at, memory_order_acquire) ==
				       generation
		       ? side->cookie
		       : 0;
}

UNCHECKED void registry_shut(int fd, int how)
{
	static const uint8_t directions[] = {1, 2, 3}; /* SHUT_RD, SHUT_WR, SHUT_RDWR */
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, true);
	uint64_t word = row ? atomic_load(&row->word) : 0;

	if (!word || !side || how < SHUT_RD || how > SHUT_RDWR)
		return;
	uint32_t generation = ROW_GENERATION(word);
	bool again = atomic_load(&side->shut_at) == generation;
	side->shut_how = (uint8_t)((again ? side->shut_how : 0) | directions[how]);
	side->shut_ns = registry_now_ns();
	side->shut_era = registry_era;
	atomic_store_explicit(&side->shut_at, generation, memory_order_release);
	atomic_store(&was_told_here, true);
	if (word & ROW_DUPLICATED)
		share_facts(row->serial, side, generation);
}

bool registry_is_untouched(void)
{
	return atomic_load(&last_generation) == generation_at_fork &&
	       !atomic_load(&was_told_here);
}

void registry_fork_prepare(void)
{
	forked_ns = registry_now_ns();
}

void registry_fork_child(void)
{
	registry_era++;
	generation_at_fork = atomic_load(&last_generation);
	atomic_store(&was_told_here, false);
	forked_ns = 0;
	atomic_store(&registry_counts.opened, 0);
	atomic_store(&registry_counts.closed, 0);
	atomic_store(&registry_counts.missed, 0);
}
