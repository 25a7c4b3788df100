/* Age and verdict: who looks, when, and what a socket's state means.
 *
 * The ticker is whoever owns the tick: the helper thread, a hook (thread=no), a caller of
 * sockleak_check(), the exiting thread.  One at a time, by a try: nobody waits for it in
 * a hook.  It alone touches places, records in the ledger and the second part of rows. */
#ifndef SOCKLEAK_WATCH_H
#define SOCKLEAK_WATCH_H

#include "probe.h"
#include "registry.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/* `prepare` is called by the first look of these books, before it begins: what the start
 * left undone.  `now_ns` = 0: the start did not look at the clock, which costs a page. */
void watch_start(const struct settings *settings, void (*prepare)(void), uint64_t now_ns);

/* The tick is ours / is free again.  `patience_ms` > 0 only outside hooks. */
bool watch_own(unsigned patience_ms);
/* The same, but patient with an owner that gets on: see guard_is_patient(). */
bool watch_await(unsigned patience_ms);
void watch_release(void);

/* One look at everything.  Owner only.  `work` = unwind what waits, and print.  Returns
 * the processor time of the look in ns, of what every look costs: not of what is new to
 * unwind and to print. */
uint64_t watch_tick(uint64_t now_ns, const struct probe_way *way, bool work);
/* The processor time of the calling thread so far. */
uint64_t watch_thread_ns(void);
/* The last look: the verdicts of 3.2, what is pending, the summary; `unwind` = what still
 * waits to be.  Returns how many sockets leaked. */
uint64_t watch_exit(uint64_t now_ns, const struct probe_way *way, bool unwind);
/* The last look where another thread keeps the tick: how many sockets leaked is said, and
 * why not where. */
uint64_t watch_exit_without_tick(void);
/* Looks and prints leaks and what the program was told of and keeps; of sockets younger
 * than `since` (a generation) and `told_or_not` all whose peer has gone.  Into
 * `n_connected` goes how many of them have their peer. */
uint64_t watch_check(uint64_t now_ns, uint32_t since, bool told_or_not, bool print,
		     uint64_t *n_connected);

bool watch_has_nothing(void);

/* From a hook, while no helper thread looks: looks if a look is due. */
void watch_poll(void);
/* accept or socket failed for want of a descriptor. */
void watch_limit_hit(void);
bool watch_limit_was_hit(void);

/* Descriptors that were opened unseen are recorded: all (at start, at exit), or, for the
 * helper, those that stood unrecorded in two scans. */
void watch_adopt_one(int fd); /* by a hook, of its own thread's table */
void watch_adopt(const struct probe_way *way, enum sl_note note, bool at_once);

/* The verdict, pure: what the side record of a row whose peer has gone becomes. */
void watch_age(struct side *side, uint32_t generation, uint64_t opened_ns,
	       const struct probe *probe, uint64_t now_ns);
enum sl_verdict watch_judge(const struct side *side, const struct told *told,
			    const struct probe *probe, uint64_t grace_ns, bool at_exit,
			    enum settings_at_exit at_exit_rule, uint64_t now_ns);

/* Whether data left the socket of `fd`, later than the program was told of its end; `row`
 * is a copy.  By a hook. */
bool watch_sent_since_told(int fd, const struct row *row, const struct probe *probe);

/* Around fork: the tick is at rest (or, after 100 ms, is not waited for). */
void watch_fork_prepare(void);
void watch_fork_parent(void);
void watch_fork_child(void);

#endif
