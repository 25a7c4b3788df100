/* See watch.h. */
#include "watch.h"

#include "arena.h"
#include "guard.h"
#include "ledger_writer.h"
#include "log.h"
#include "origin.h"
#include "places.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>

#define MS               UINT64_C(1000000)
#define TOLD_SLACK_NS    (10 * MS) /* the kernel's clock of sends is no finer */
#define COST_FACTOR      1000 /* a look may cost a thousandth of the time between looks */
#define MAX_EVENTS       4096 /* of a process, in its ledger */
#define SCAN_NUMBERS     64   /* asked for in one poll, on the stack */
#define SCAN_CLOSED      192  /* closed ones in a row that end a scan */
#define ADOPT_INTERVALS  4 /* unseen descriptors are searched for every so many looks */
#define MIN_GRACE_NS     UINT64_C(1000000000) /* while the kernel's has not been read */
#define FORK_PATIENCE_MS 100
#define STATE_LISTEN     10
#define LISTENER_SWEEPS  64 /* a listener is looked at in one of so many */
#define STATE_CLOSE      7
#define PROTOCOL_MPTCP   262

static const struct settings *settings;
/* The ticker: the address of a thread-local word of its own; 0 = nobody. */
static _Atomic uintptr_t owner;
static _Atomic uint64_t next_poll_ns;
static _Atomic bool limit_was_hit;
static bool limit_was_told;
static unsigned n_sweeps;
static unsigned n_events;
static uint64_t n_leaks_written;
static const struct probe_way directly = {-1};

/* One bit a descriptor: open and unrecorded in the scan before.  Only such are adopted
 * while hooks run, or a socket between its birth and its hook's note would be taken. */
ARENA_TABLE static uint8_t was_unknown[REGISTRY_ROWS * REGISTRY_CHUNKS / 8];
static unsigned ticks_to_adoption;

static void (*prepare)(void);
static _Atomic bool is_prepared;
static uint64_t began_ns;  /* when these books did; 0 = nobody looked at the clock */
static uint64_t forked_ns; /* the same; 0 = not by a fork */

AT_START void watch_start(const struct settings *chosen, void (*first)(void),
			  uint64_t now_ns)
{
	settings = chosen;
	prepare = first;
	began_ns = now_ns;
}

static void get_ready(void)
{
	if (!atomic_exchange(&is_prepared, true))
		prepare();
}

/* Returns 0 = ours now, or whose it is. */
AT_START static uintptr_t try_to_own(void)
{
	uintptr_t whose = 0;

	if (atomic_compare_exchange_strong(&owner, &whose, (uintptr_t)&guard_inside))
		guard_inside++;
	return whose;
}

static void wait_a_millisecond(void)
{
	struct timespec millisecond = {0, 1000000};

	guard_sys(SYS_nanosleep, &millisecond, NULL);
}

AT_START bool watch_own(unsigned patience_ms)
{
	uintptr_t whose;

	while ((whose = try_to_own()) != 0) {
		if (!patience_ms-- || whose == (uintptr_t)&guard_inside)
			return false;
		wait_a_millisecond();
	}
	return true;
}

AT_START bool watch_await(unsigned patience_ms)
{
	struct guard_patience patience = {.idle_ms = patience_ms};
	uintptr_t whose;

	while ((whose = try_to_own()) != 0) {
		if (whose == (uintptr_t)&guard_inside || !guard_is_patient(&patience))
			return false;
		wait_a_millisecond();
	}
	return true;
}

void watch_release(void)
{
	guard_inside--;
	atomic_store(&owner, 0);
}

/* ---- the verdict ---- */

void watch_age(struct side *side, uint32_t generation, uint64_t opened_ns,
	       const struct probe *probe, uint64_t now_ns)
{
	/* Of a socket that never sent the kernel counts from before the boot. */
	uint64_t since_sent_ns = probe->last_sent_ms * MS;
	bool knows_sent = probe->last_sent_ms != UINT32_MAX && since_sent_ns < now_ns;

	if (side->gone_at != generation) {
		uint64_t age_ns = 0;

		/* The last ACK came with the FIN, or later; of CLOSE nothing tells when.
		 */
		if (probe->state != STATE_CLOSE && !probe->is_mptcp) {
			age_ns = probe->last_ack_ms * MS;
			if (age_ns > registry_since_ns(opened_ns, now_ns))
				age_ns = registry_since_ns(opened_ns, now_ns);
		}
		bool is_copy = atomic_load(&side->aged_at) == generation;
		side->gone_ns = is_copy ? side->copied_gone_ns : now_ns - age_ns;
		/* A child holds what it inherited since the fork, no longer. */
		if (side->gone_ns < forked_ns)
			side->gone_ns = forked_ns;
		side->quiet_ns = is_copy && side->copied_quiet_ns > side->gone_ns
					 ? side->copied_quiet_ns
					 : side->gone_ns;
		side->verdict = SL_PENDING;
		side->was_leak = is_copy && side->copied_was_leak;
		side->place = NULL;
		side->written = probe->written;
		side->sent_ns = 0;
		side->gone_at = generation;
	}
	side->state = probe->state;
	side->kind = probe->state == STATE_CLOSE ? SL_KIND_DEAD : SL_KIND_CLOSE_WAIT;
	side->looked_ns = now_ns;
	if (knows_sent)
		side->sent_ns = now_ns - since_sent_ns;
	else if (side->written != probe->written)
		side->sent_ns = now_ns;
	side->written = probe->written;
	if (probe->is_sending)
		side->quiet_ns = now_ns;
	else if (side->sent_ns > side->quiet_ns)
		side->quiet_ns = side->sent_ns;
}

/* A program that shut both directions, or sending on a connection that is over, knows. */
static bool shut_tells(const struct told *told, uint8_t state)
{
	return told->shut_ns &&
	       (told->shut_how == 3 || ((told->shut_how & 2) && state == STATE_CLOSE));
}

/* The program sent more, later than it was told: it serves a half-closed peer. */
static bool is_outlived(uint64_t told_ns, uint64_t sent_ns)
{
	return sent_ns > told_ns + TOLD_SLACK_NS;
}

static bool end_tells(const struct told *told, uint64_t sent_ns)
{
	return told->eof_ns && !is_outlived(told->eof_ns, sent_ns);
}

static bool was_told_and_kept(const struct side *side, const struct told *told,
			      const struct probe *probe)
{
	return !probe->is_sending && (end_tells(told, side->sent_ns) ||
				      (shut_tells(told, probe->state) &&
				       !is_outlived(told->shut_ns, side->sent_ns)));
}

bool watch_sent_since_told(int fd, const struct row *row, const struct probe *probe)
{
	uint64_t now_ns = registry_now_ns(), since_sent_ns = probe->last_sent_ms * MS;
	struct side *side = registry_side(fd, true);
	struct told told;

	if (!side || probe->last_sent_ms == UINT32_MAX || since_sent_ns > now_ns)
		return false;
	registry_read_told(row, side, &told);
	return is_outlived(told.eof_ns, now_ns - since_sent_ns);
}

enum sl_verdict watch_judge(const struct side *side, const struct told *told,
			    const struct probe *probe, uint64_t grace_ns, bool at_exit,
			    enum settings_at_exit at_exit_rule, uint64_t now_ns)
{
	if (!probe->is_sending && registry_since_ns(side->quiet_ns, now_ns) >= grace_ns)
		return SL_LEAK_GRACE;
	if (!at_exit || at_exit_rule != AT_EXIT_TOLD)
		return SL_PENDING;
	if (side->was_leak)
		return SL_LEAK_GRACE;
	return was_told_and_kept(side, told, probe) ? SL_LEAK_EXIT : SL_PENDING;
}

/* Whether an earlier life of this process, before a fork, did what only it could know. */
static bool parent_knew(const struct side *side, uint32_t generation)
{
	return (atomic_load(&side->told_at) == generation &&
		side->told_era != registry_era) ||
	       (atomic_load(&side->shut_at) == generation &&
		side->shut_era != registry_era);
}

static unsigned reasons(const struct row *row, const struct side *side,
			uint32_t generation, const struct told *told,
			const struct probe_details *details)
{
	uint64_t word = atomic_load(&row->word);
	unsigned why = 0;

	if (told->eof_ns)
		why |= told->by_error ? SL_WHY_RESET : SL_WHY_EOF_READ;
	if (told->shut_how & 2)
		why |= SL_WHY_SHUT_NOT_CLOSED;
	/* The FIN of MPTCP stands in no queue: what was not told is unlikely to be read.
	 */
	if (details->fin_unread ||
	    ((word & ROW_MPTCP) && !told->eof_ns && !told->shut_ns))
		why |= SL_WHY_NEVER_READ;
	if (side->kind == SL_KIND_DEAD && !(told->shut_how & 2) &&
	    !parent_knew(side, generation))
		why |= SL_WHY_RESET;
	if ((word & ROW_DUPLICATED) && (registry_facts(row->serial) & SHARED_ONE_CLOSED))
		why |= SL_WHY_DUPLICATE;
	if (ROW_ERA(word) != registry_era || row->note == SL_NOTE_INHERITED)
		why |= SL_WHY_HELD_BY_CHILD;
	if (!(why & ~(unsigned)(SL_WHY_DUPLICATE | SL_WHY_HELD_BY_CHILD)) &&
	    !parent_knew(side, generation))
		why |= SL_WHY_READ_UNSEEN;
	return why;
}

/* ---- one socket ---- */

struct look {
	int fd;
	struct row row;    /* a copy */
	struct side *side; /* NULL = its peer is there and always was */
	struct probe probe;
	uint32_t generation;
	bool is_gone;
	bool runs_on; /* asked for by the program: this is not its end */
};

/* What is known of its end. */
static void describe_side(struct sl_descriptor *d, const struct look *look)
{
	const struct side *side = look->side;

	d->looked_ns = side->looked_ns;
	d->verdict = look->runs_on && side->verdict == SL_LEAK_EXIT ? SL_PENDING
								    : side->verdict;
	d->kind = side->kind;
	d->why = side->why;
	d->inode = side->inode;
	d->gone_ns = side->gone_ns;
	d->quiet_ns = side->quiet_ns;
	d->sent_ns = side->sent_ns;
	d->unread_bytes = side->unread_bytes;
	d->kernel_bytes = side->kernel_bytes;
	d->local_port = side->local_port;
	if (side->family)
		d->family = side->family;
	memcpy(d->local, side->local, sizeof(d->local));
	d->flags |= (side->peer_forgot ? SL_ROW_FORGOTTEN_PEER : 0) |
		    (side->was_leak ? SL_ROW_WAS_LEAK : 0);
}

static void describe_told(struct sl_descriptor *d, const struct look *look,
			  const struct told *told)
{
	if (shut_tells(told, look->side->state) &&
	    !end_tells(told, look->side->sent_ns)) {
		d->told_ns = told->shut_ns;
		d->eof_call = SL_CALL_shutdown;
	} else if (told->eof_ns) {
		d->told_ns = told->eof_ns;
		d->eof_call = told->eof_call;
		d->eof_origin = origin_settle(told->eof_origin);
	}
}

/* `told`: with a peer that has gone.  false = not all that is known was in the file to be
 * named. */
static bool publish(const struct look *look, const struct told *told)
{
	const struct row *row = &look->row;
	uint64_t word = atomic_load(&row->word);
	struct sl_descriptor d = {
		.held = 1,
		.state = look->probe.state,
		.call = row->call,
		.note = row->note,
		.cookie = row->cookie,
		.opened_ns = row->opened_ns,
		.origin = origin_settle(atomic_load(&row->origin)),
		.name = row->name,
		.family = row->family,
		.peer_port = row->peer_port,
		.serial = row->serial,
	};

	memcpy(d.peer, row->peer, sizeof(d.peer));
	if (ROW_ERA(word) != registry_era || row->note == SL_NOTE_INHERITED)
		d.flags |= SL_ROW_INHERITED;
	d.flags |= (word & ROW_DUPLICATED ? SL_ROW_DUPLICATED : 0) |
		   (word & ROW_EXPECTED ? SL_ROW_EXPECTED : 0) |
		   (word & ROW_GIVEN ? SL_ROW_GIVEN : 0) |
		   (word & ROW_MPTCP ? SL_ROW_MPTCP : 0);
	if (look->is_gone)
		describe_side(&d, look);
	if (told)
		describe_told(&d, look, told);
	return ledger_publish(look->fd, &d);
}

static void event(enum sl_event_kind kind, const struct look *look, uint64_t now_ns,
		  uint64_t value, uint64_t value2)
{
	struct sl_event record = {
		.head = {SL_RECORD_EVENT, sizeof(record)},
		.kind = kind,
		.time_ns = now_ns,
		.value = value,
		.value2 = value2,
	};

	if (!ledger_is_kept() || n_events >= MAX_EVENTS)
		return;
	n_events++;
	if (look) {
		record.call = look->row.call;
		record.note = look->row.note;
		record.socket_kind = look->side ? look->side->kind : 0;
		record.cookie = look->row.cookie;
		record.origin =
			ledger_origin(origin_settle(atomic_load(&look->row.origin)));
		record.fd = (uint32_t)look->fd;
	}
	ledger_append(&record.head, NULL, 0);
}

/* The number means something else now: closed unseen, or never what we thought. */
static void drop_stale(struct look *look)
{
	registry_forget_stale(look->fd, atomic_load(&look->row.word));
}

/* The first look at a row: its cookie is its identity from now on. */
static void first_look(struct look *look, struct row *row, int borrowed)
{
	uint16_t family = 0, port = 0;
	uint8_t peer[16] = {0};

	row->cookie = look->row.cookie = look->probe.cookie;
	row->looked_at = look->row.looked_at = look->generation;
	if (look->row.family || !probe_peer(borrowed, &family, peer, &port))
		return;
	look->row.family = (uint8_t)family;
	look->row.peer_port = port;
	memcpy(look->row.peer, peer, sizeof(peer));
	registry_learn_peer(look->fd, look->generation, &look->row);
}

static void settle(struct look *look, struct row *row)
{
	uint32_t was = atomic_load(&look->row.origin);
	uint32_t now = origin_settle(was);

	if (now == was)
		return;
	atomic_store(&look->row.origin, now);
	atomic_compare_exchange_strong(&row->origin, &was, now);
	row->published = 0;
}

/* Of MPTCP only poll speaks, and of a side that was shut here it says the same as of a
 * peer that has gone: what was not known before the shutdown is not known after it. */
static bool is_only_ours_to_see(const struct look *look, uint64_t word)
{
	const struct side *side = registry_side(look->fd, false);

	return (word & ROW_MPTCP) && registry_reading_is_shut(look->fd) &&
	       !(side && side->gone_at == look->generation);
}

static bool is_same_life(int fd, uint32_t generation)
{
	return ROW_GENERATION(atomic_load(&registry_row(fd)->word)) == generation;
}

static bool ask(const struct probe_way *way, struct look *look, struct row *row)
{
	uint64_t word = atomic_load(&look->row.word);
	bool is_first = look->row.looked_at != look->generation;
	int borrowed = probe_borrow(way, look->fd, is_same_life, look->generation);

	if (borrowed < 0) {
		if (borrowed == -EBADF)
			drop_stale(look);
		return false;
	}
	if (is_first && (word & ROW_MPTCP) &&
	    probe_protocol(borrowed) != PROTOCOL_MPTCP) {
		/* The peer spoke plain TCP, and so does the socket. */
		word &= ~(uint64_t)ROW_MPTCP;
		registry_change_bits(look->fd, look->generation, 0, ROW_MPTCP);
		atomic_store(&look->row.word, word);
	}
	enum probe_result result = probe_socket(
		borrowed, word & ROW_MPTCP,
		is_first ? registry_cookie(look->fd, look->generation) : look->row.cookie,
		&look->probe);
	if (result == PROBE_TCP) {
		if (is_first)
			first_look(look, row, borrowed);
		look->probe.was_connected |= (word & ROW_ESTABLISHED) != 0;
		look->is_gone = probe_peer_is_gone(&look->probe) &&
				!is_only_ours_to_see(look, word);
		if (look->is_gone && (look->side = registry_side(look->fd, true))) {
			struct probe_details details;

			probe_details(borrowed, &details);
			probe_return(way, borrowed);
			look->side->inode = details.inode;
			look->side->unread_bytes = details.unread_bytes;
			look->side->kernel_bytes = details.kernel_bytes;
			look->side->family = details.family;
			look->side->local_port = details.local_port;
			memcpy(look->side->local, details.local, sizeof(details.local));
			look->side->fin_unread = details.fin_unread;
			return true;
		}
		look->is_gone = false;
	} else if (result != PROBE_REFUSED) {
		drop_stale(look);
	}
	probe_return(way, borrowed);
	return result == PROBE_TCP;
}

struct tick {
	uint64_t now_ns;
	const struct probe_way *way;
	bool at_exit;
	uint32_t since; /* of sockets born after this generation */
	bool all_gone;  /* every socket whose peer has gone counts */
	bool runs_on;   /* as of struct look */
	uint64_t n_leaks, n_held, n_connected, n_unwritten;
};

/* What came over exec as a standard stream is not the program's to close: a server that
 * runs a program with its client as standard input and output ends the connection by
 * the program's exit.  While it runs it may still wait for ever with it. */
static bool ends_with_the_program(const struct look *look)
{
	return look->fd <= 2 && look->row.note == SL_NOTE_INHERITED;
}

/* The last look is all that one opened unseen gets, which it found itself: it may have
 * been held all the time. */
static uint64_t held_from_ns(const struct look *look, const struct tick *tick)
{
	bool is_found_at_exit = tick->at_exit && look->row.note == SL_NOTE_UNKNOWN &&
				look->row.opened_ns >= tick->now_ns;

	return is_found_at_exit ? began_ns : look->row.opened_ns;
}

static void judge(struct look *look, const struct tick *tick)
{
	struct side *side = look->side;
	struct told told;
	struct probe_details details = {.fin_unread = side->fin_unread};
	bool was_leak = side->gone_at == look->generation && side->was_leak;
	bool is_expected = atomic_load(&look->row.word) & ROW_EXPECTED;

	/* The kernel told how long ago it was just now, not when this look began. */
	watch_age(side, look->generation, held_from_ns(look, tick), &look->probe,
		  registry_now_ns());
	side->serial = look->row.serial;
	registry_read_told(&look->row, side, &told);
	side->why =
		(uint16_t)reasons(&look->row, side, look->generation, &told, &details);
	/* Our own shutdown, or nobody's answer, may have ended it as well. */
	side->peer_forgot = side->kind == SL_KIND_DEAD && (side->why & SL_WHY_RESET) &&
			    !(told.shut_how & 2) && !look->probe.gave_up;
	side->verdict =
		(uint8_t)watch_judge(side, &told, &look->probe, settings->grace_ns,
				     tick->at_exit && !ends_with_the_program(look),
				     settings->at_exit, tick->now_ns);
	if (tick->all_gone)
		side->verdict = SL_LEAK_EXIT;
	if (is_expected)
		side->verdict = SL_PENDING;
	side->was_leak |= side->verdict == SL_LEAK_GRACE;
	if (side->was_leak && !was_leak)
		event(SL_EVENT_LEAK, look, tick->now_ns, 0, 0);
	publish(look, &told);
}

/* A leak whose descriptor was closed, or whose peer turned out to be there after all.
 * While a duplicate holds the socket it is that one's. */
static void take_back(int fd, struct side *side, const struct tick *tick)
{
	struct look was = {.fd = fd, .row = side->counted, .side = side};
	uint64_t ended_ns =
		side->ended_at == side->gone_at ? side->ended_ns : tick->now_ns;
	uint64_t after_ms = registry_since_ns(side->gone_ns, ended_ns) / MS;

	if (!registry_shared(side->serial)) {
		places_closed_late(fd, side, after_ms, settings->json, tick->way);
		event(SL_EVENT_CLOSED_LATE, &was, tick->now_ns, after_ms, 0);
	}
	side->place = NULL;
	side->gone_at = 0;
}

/* The ledger had no room for the row. */
static bool is_unwritten(int fd)
{
	return ledger_is_kept() && !ledger_has(fd);
}

/* Of what the ledger is told while the peer is there: which life of the row, and which of
 * the marks that come later. */
static uint32_t stamp_of(const struct look *look)
{
	uint64_t marks = atomic_load(&look->row.word) &
			 (ROW_DUPLICATED | ROW_GIVEN | ROW_EXPECTED | ROW_MPTCP);

	return look->generation ^ (uint32_t)marks << 24;
}

static void note_state(const struct look *look)
{
	if (look->probe.state == STATE_LISTEN)
		registry_change_bits(look->fd, look->generation, ROW_LISTENS, 0);
	if (look->probe.was_connected)
		ledger_keep();
	if (look->probe.was_connected && look->probe.state != STATE_CLOSE &&
	    !(atomic_load(&look->row.word) & ROW_ESTABLISHED))
		registry_change_bits(look->fd, look->generation, ROW_ESTABLISHED, 0);
}

static void look_at_connected(const struct look *look, struct row *row)
{
	struct side *side = registry_side(look->fd, false);
	uint32_t stamp = stamp_of(look), generation = look->generation;

	if (side) { /* dissolved, or connected anew */
		if (side->gone_at == generation)
			side->gone_at = 0;
		atomic_compare_exchange_strong(&side->aged_at, &generation, 0);
	}
	if (row->published != stamp || is_unwritten(look->fd))
		row->published = publish(look, NULL) ? stamp : 0;
}

static void look_at_gone(struct look *look, struct tick *tick)
{
	judge(look, tick);
	bool is_leak = look->side->verdict >= SL_LEAK_GRACE;
	if (!is_leak && !tick->at_exit)
		return;
	struct place *place =
		places_count(look->fd, &look->row, look->side, !is_leak, tick->now_ns);
	tick->n_leaks += is_leak && place;
	/* Of its descriptors one stands for the socket. */
	if (look->side->verdict == SL_LEAK_GRACE) {
		look->side->place = place;
		look->side->counted = look->row;
	}
}

static void look_at(int fd, struct tick *tick)
{
	struct row *row = registry_row(fd);
	struct side *side = registry_side(fd, false);
	struct look look = {.fd = fd, .runs_on = tick->runs_on};
	bool is_held = registry_read(fd, &look.row);

	look.generation = is_held ? ROW_GENERATION(atomic_load(&look.row.word)) : 0;
	if (side && side->place && side->gone_at != look.generation)
		take_back(fd, side, tick);
	if (!is_held) {
		/* A writer that was interrupted left the ending of a row to us. */
		if (ledger_has(fd) && !registry_knows(fd))
			ledger_end_row(fd);
		return;
	}
	if (atomic_load(&look.row.word) & ROW_NOT_TCP)
		return;
	/* While we borrow a listener its port is taken, even if it is closed past us: the
	 * moment is kept rare.  It is never reported. */
	if ((atomic_load(&look.row.word) & ROW_LISTENS) && n_sweeps % LISTENER_SWEEPS)
		return;
	settle(&look, row);
	registry_settle_told(fd);
	if (look.generation <= tick->since)
		return;
	if (!ask(tick->way, &look, row))
		return;
	tick->n_held++;
	note_state(&look);
	tick->n_connected +=
		!look.is_gone && (atomic_load(&look.row.word) & ROW_ESTABLISHED);
	if (look.is_gone)
		look_at_gone(&look, tick);
	else
		look_at_connected(&look, row);
	tick->n_unwritten += is_unwritten(fd);
}

/* ---- one look at everything ---- */

static void count_all(const struct tick *tick)
{
	struct ledger_counts counts = {
		.opened = atomic_load(&registry_counts.opened),
		.closed = atomic_load(&registry_counts.closed),
		.missed = atomic_load(&registry_counts.missed) + origin_lost(),
		.unwritten = tick->n_unwritten + places_unpublished(),
		.looked_ns = tick->now_ns,
	};

	counts.closed_late = places_late(&counts.closed_late_max_ms);
	ledger_count(&counts);
}

static void sweep(struct tick *tick)
{
	unsigned top = registry_top();

	n_sweeps++;
	ledger_write_given(origin_settle, tick->now_ns);
	places_begin();
	for (unsigned fd = 0; fd < top; fd++) {
		if (!registry_row((int)fd))
			fd |= REGISTRY_ROWS - 1;
		else
			look_at((int)fd, tick);
		guard_progressed();
	}
	origin_swept();
	count_all(tick);
	if (tick->n_leaks != n_leaks_written) {
		event(SL_EVENT_COUNTS, NULL, tick->now_ns, tick->n_held, tick->n_leaks);
		n_leaks_written = tick->n_leaks;
	}
}

static void tell_limit(const struct probe_way *way)
{
	struct rlimit limit = {0};

	if (!atomic_load(&limit_was_hit) || limit_was_told)
		return;
	limit_was_told = true;
	guard_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	places_print_holders(way, limit.rlim_cur);
}

uint64_t watch_thread_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

uint64_t watch_tick(uint64_t now_ns, const struct probe_way *way, bool work)
{
	struct tick tick = {.now_ns = now_ns, .way = way};

	get_ready();
	if (work)
		origin_work();
	uint64_t before_ns = watch_thread_ns();
	if (work) {
		if (ticks_to_adoption-- == 0) {
			watch_adopt(way, SL_NOTE_UNKNOWN, false);
			ticks_to_adoption = ADOPT_INTERVALS - 1;
		}
		ledger_grow(registry_n_chunks() * (REGISTRY_ROWS / SL_ROWS_PER_BLOCK));
	}
	places_publish();
	sweep(&tick);
	uint64_t cost_ns = watch_thread_ns() - before_ns;
	if (work) {
		tell_limit(way);
		/* By the next look they may have their origin. */
		if (!origin_is_held_up())
			places_print(way, false, false);
	}
	return cost_ns;
}

AT_START static bool never_had_one(void)
{
	return !registry_top() && !atomic_load(&limit_was_hit) &&
	       !atomic_load(&registry_counts.missed);
}

AT_START uint64_t watch_exit(uint64_t now_ns, const struct probe_way *way, bool unwind)
{
	struct tick tick = {.now_ns = now_ns,
			    .way = way,
			    .at_exit = settings->at_exit != AT_EXIT_NONE};

	watch_adopt(way, SL_NOTE_UNKNOWN, true);
	/* Nothing to say, and no file of /proc to be asked for it. */
	if (never_had_one())
		return 0;
	get_ready();
	if (unwind && origin_has_work())
		origin_finish();
	ledger_grow(registry_n_chunks() * (REGISTRY_ROWS / SL_ROWS_PER_BLOCK));
	places_publish();
	sweep(&tick);
	tell_limit(way);
	if (settings->at_exit == AT_EXIT_NONE)
		return 0;
	uint64_t n_leaked = places_print(way, true, false);
	places_summary(way);
	return n_leaked;
}

/* A look of a thread that has not the tick: what is the ticker's is read, where one byte
 * of it tells enough, and never written.  `row` is a copy. */
static bool is_left(int fd, const struct row *row)
{
	const struct look look = {.fd = fd, .row = *row};
	uint64_t word = atomic_load(&row->word);
	uint32_t generation = ROW_GENERATION(word);
	const struct side *side = registry_side(fd, false);
	struct probe probe;

	if (!side || (word & (ROW_NOT_TCP | ROW_MPTCP | ROW_EXPECTED)) ||
	    probe_socket(fd, false,
			 row->looked_at == generation ? row->cookie
						      : registry_cookie(fd, generation),
			 &probe) != PROBE_TCP)
		return false;
	probe.was_connected |= (word & ROW_ESTABLISHED) != 0;
	if (!probe_peer_is_gone(&probe) || probe.is_sending)
		return false;
	if (side->gone_at == generation && side->verdict == SL_LEAK_GRACE)
		return true;
	if (settings->at_exit != AT_EXIT_TOLD || ends_with_the_program(&look))
		return false;
	return (side->gone_at == generation && side->was_leak) ||
	       (registry_was_told(fd) && !watch_sent_since_told(fd, row, &probe));
}

static bool has_lower_duplicate(int fd, const struct row *row)
{
	struct row other;

	if (atomic_load(&row->word) & ROW_DUPLICATED)
		while (fd-- > 0)
			if (registry_read(fd, &other) && other.serial == row->serial)
				return true;
	return false;
}

AT_START uint64_t watch_exit_without_tick(void)
{
	uint64_t n_left = 0;
	struct row row;

	if (settings->at_exit == AT_EXIT_NONE)
		return 0;
	for (unsigned fd = 0; fd < registry_top(); fd++)
		n_left += registry_read((int)fd, &row) && is_left((int)fd, &row) &&
			  !has_lower_duplicate((int)fd, &row);
	return n_left ? places_summary_without(n_left) : 0;
}

/* Whether there was never a socket.  One that was opened unseen would be found, but in so
 * short a life none can be past its grace; the same goes for what a child inherited, that
 * touched nothing: it is as old as the child, and what was told before the fork does not
 * count. */
AT_START bool watch_has_nothing(void)
{
	uint64_t grace_ns = settings->grace_ns ? settings->grace_ns : MIN_GRACE_NS;

	if (registry_now_ns() - began_ns >= grace_ns)
		return false;
	if (forked_ns && !atomic_load(&is_prepared) && registry_is_untouched())
		return true;
	return never_had_one();
}

uint64_t watch_check(uint64_t now_ns, uint32_t since, bool told_or_not, bool print,
		     uint64_t *n_connected)
{
	struct tick tick = {.now_ns = now_ns,
			    .way = &directly,
			    .at_exit = true,
			    .since = since,
			    .all_gone = told_or_not,
			    .runs_on = true};

	get_ready();
	origin_work();
	ledger_grow(registry_n_chunks() * (REGISTRY_ROWS / SL_ROWS_PER_BLOCK));
	places_publish();
	sweep(&tick);
	*n_connected = tick.n_connected;
	return print ? places_print(&directly, false, true) : tick.n_leaks;
}

void watch_poll(void)
{
	uint64_t due = atomic_load_explicit(&next_poll_ns, memory_order_relaxed);
	uint64_t now_ns = registry_now_ns();

	uint64_t all = ~UINT64_C(0), before = 0;

	if (now_ns < due || guard_is_sandboxed)
		return;
	/* A handler that jumps out of the look would leave the tick ours for ever. */
	guard_sys(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &all, &before, 8);
	if (!watch_own(0)) {
		guard_sys(SYS_rt_sigprocmask, 2, &before, NULL, 8);
		return;
	}
	uint64_t wait_ns = COST_FACTOR * watch_tick(now_ns, &directly, false);
	atomic_store(&next_poll_ns,
		     now_ns + (wait_ns > settings->interval_ns ? wait_ns
							       : settings->interval_ns));
	watch_release();
	guard_sys(SYS_rt_sigprocmask, 2, &before, NULL, 8);
}

void watch_limit_hit(void)
{
	atomic_store_explicit(&limit_was_hit, true, memory_order_relaxed);
}

AT_START bool watch_limit_was_hit(void)
{
	return atomic_load(&limit_was_hit);
}

/* ---- what was opened unseen ---- */

/* A server that runs a program for a client gives it the connection as more than one
 * standard stream.  Only at the start, where nobody closes one of them meanwhile. */
static bool is_inherited_twice(int fd, uint64_t cookie)
{
	static struct {
		uint64_t cookie;
		int fd;
	} known[64];
	static unsigned n_known;

	for (unsigned i = 0; cookie && i < n_known; i++)
		if (known[i].cookie == cookie) {
			registry_copy(known[i].fd, fd);
			return registry_knows(fd);
		}
	if (cookie && n_known < sizeof(known) / sizeof(known[0])) {
		known[n_known].cookie = cookie;
		known[n_known++].fd = fd;
	}
	return false;
}

AT_START static void adopt(const struct probe_way *way, int fd, enum sl_note note)
{
	int borrowed = probe_borrow(way, fd, NULL, 0);
	int protocol = borrowed < 0 ? 0 : probe_protocol(borrowed);
	struct probe probe = {0};

	if (protocol)
		probe_socket(borrowed, protocol == PROTOCOL_MPTCP, 0, &probe);
	if (borrowed >= 0)
		probe_return(way, borrowed);
	if (note == SL_NOTE_INHERITED && is_inherited_twice(fd, probe.cookie))
		return;
	if (protocol)
		registry_adopt(fd, note,
			       (protocol == PROTOCOL_MPTCP ? ROW_MPTCP : 0) |
				       (probe.was_connected
						? ROW_CONNECTED | ROW_ESTABLISHED
						: 0));
}

void watch_adopt_one(int fd)
{
	adopt(&directly, fd, SL_NOTE_UNKNOWN);
}

/* Whether `fd` stood unrecorded in the scan before, too. */
static bool is_still_unknown(int fd)
{
	uint8_t bit = (uint8_t)(1 << fd % 8);
	bool was = was_unknown[fd / 8] & bit;

	was_unknown[fd / 8] ^= bit;
	return was;
}

static void consider(const struct probe_way *way, int fd, enum sl_note note, bool at_once)
{
	if (!registry_knows(fd) && (unsigned)fd < sizeof(was_unknown) * 8 &&
	    (at_once || is_still_unknown(fd)))
		adopt(way, fd, note);
}

/* Open descriptors by the absence of POLLNVAL: no file needed, but it sees the calling
 * thread's table. */
AT_START static void adopt_by_poll(const struct probe_way *way, enum sl_note note,
				   bool at_once)
{
	struct pollfd all[SCAN_NUMBERS];
	struct timespec none = {0, 0};
	struct rlimit limit = {1024, 0};
	unsigned n_closed = 0; /* in a row */

	/* glibc asks for a limit at its own start: every filter allows it. */
	guard_sys(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, &limit);
	for (unsigned first = 0;
	     first < limit.rlim_cur && first < sizeof(was_unknown) * 8;) {
		unsigned n = limit.rlim_cur - first < SCAN_NUMBERS
				     ? (unsigned)(limit.rlim_cur - first)
				     : SCAN_NUMBERS;

		for (unsigned i = 0; i < n; i++)
			all[i] = (struct pollfd){(int)(first + i), 0, 0};
		if (guard_sys(SYS_ppoll, all, n, &none, NULL, 8) < 0)
			return;
		for (unsigned i = 0; i < n; i++) {
			if (all[i].revents & POLLNVAL) {
				n_closed++;
				continue;
			}
			n_closed = 0;
			consider(way, all[i].fd, note, at_once);
		}
		first += n;
		/* Numbers are given lowest first: past such a run only rows we know of.
		 */
		if (n_closed >= SCAN_CLOSED && first >= registry_top())
			return;
	}
}

/* For a thread with a table of its own: /proc/self is the process, not the thread. */
static void adopt_by_list(const struct probe_way *way, enum sl_note note)
{
	ARENA_TABLE static char entries[32768];
	long directory = guard_sys(SYS_openat, AT_FDCWD, "/proc/self/fd",
				   O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long n;

	if (directory < 0)
		return;
	while ((n = guard_sys(SYS_getdents64, directory, entries, sizeof(entries))) > 0) {
		for (long at = 0; at < n;) {
			/* struct linux_dirent64: 64-bit ino and off, 16-bit length, type
			 */
			uint16_t length;
			const char *name = entries + at + 19, *digits = name;
			int fd = 0;

			memcpy(&length, entries + at + 16, sizeof(length));
			at += length;
			if (*name < '0' || *name > '9')
				continue;
			for (; *name; name++)
				fd = fd * 10 + (*name - '0');
			/* Other files are not touched: a copy held, and closed, for a
			 * moment is seen by whoever waits for the last close. */
			char link[7];
			if (guard_sys(SYS_readlinkat, directory, digits, link, 7) == 7 &&
			    memcmp(link, "socket:", 7) == 0)
				consider(way, fd, note, false);
		}
	}
	guard_sys(SYS_close, directory);
}

AT_START void watch_adopt(const struct probe_way *way, enum sl_note note, bool at_once)
{
	if (guard_is_sandboxed)
		return;
	if (way->pidfd >= 0)
		adopt_by_list(way, note);
	else
		adopt_by_poll(way, note, at_once);
}

static __thread bool owned_at_fork;

/* guard_inside stays as it was: between prepare and parent the host's own handlers run,
 * and what they open is the host's. */
void watch_fork_prepare(void)
{
	owned_at_fork = watch_own(FORK_PATIENCE_MS);
	if (owned_at_fork)
		guard_inside--;
}

void watch_fork_parent(void)
{
	if (!owned_at_fork)
		return;
	owned_at_fork = false;
	atomic_store(&owner, 0);
}

void watch_fork_child(void)
{
	owned_at_fork = false;
	atomic_store(&is_prepared, false);
	began_ns = forked_ns = registry_now_ns();
	atomic_store(&owner, 0);
	atomic_store(&limit_was_hit, false);
	limit_was_told = false;
	n_events = 0;
	n_leaks_written = 0;
	ticks_to_adoption = 0;
	for (unsigned fd = 0; fd < registry_top(); fd++) {
		struct side *side = registry_side((int)fd, false);

		if (!side) {
			fd |= REGISTRY_ROWS - 1;
			continue;
		}
		side->copied_was_leak = false;
		if (side->gone_at) {
			side->place = NULL;
			side->gone_at = 0; /* its age begins anew */
		}
	}
	places_fork_child();
}
