/* The walk of Ruby's frames over memory that this program lays out as Ruby does: whole,
 * with each field of the layout shifted, and with words of it replaced at random.  Ruby
 * itself is built without sanitizers; here they see every read. */
#include "base/guard.h"
#include "languages/ruby.h"
#include "languages/ruby_layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define EXPORTED __attribute__((visibility("default")))

#define N_FRAMES  5
#define N_WORDS   4096
#define N_WALKS   20 /* more than there are trials */
#define N_ROUNDS  4000
#define MAX_TAKEN 8

/* --- What Ruby has in memory. */

static uint64_t image[N_WORDS] __attribute__((aligned(4096)));
static unsigned n_used;

static uint64_t *take(unsigned n)
{
	uint64_t *at = &image[n_used];

	n_used += n;
	assert_true(n_used <= N_WORDS);
	return at;
}

static uint64_t address_of(const void *at)
{
	return (uint64_t)(uintptr_t)at;
}

static uint64_t string(const char *text, bool is_outside)
{
	uint64_t *at = take(5);

	at[0] = 0x05 | (is_outside ? 1 << 13 : strlen(text) << 14);
	at[1] = address_of(image); /* its class */
	if (is_outside) {
		at[2] = at[4] = strlen(text); /* and the room it has */
		at[3] = address_of(take(16));
		memcpy((void *)(uintptr_t)at[3], text, strlen(text));
	} else {
		memcpy(&at[2], text, strlen(text));
	}
	return address_of(at);
}

/* A path, and the real path behind it. */
static uint64_t pair(uint64_t path)
{
	uint64_t *at = take(5);

	at[0] = 0x07 | 1 << 13 | 2 << 15;
	at[2] = at[3] = path;
	return address_of(at);
}

static struct frame {
	uint64_t kind;
	const char *label, *path;
	unsigned n_lines, n_words, position; /* of what it has called from */
	uint32_t line;
	bool is_c, is_shown;
	uint64_t iseq, path_at, label_at;
} frames[N_FRAMES] = {
	{.kind = 0x5555, .is_c = true},
	{0x2222, "block in checkout", "/srv/pool.rb", 3, 10, 5, 42, .is_shown = true},
	{0x1111, "checkout", "/srv/a/path/that/is/longer.rb", 40, 700, 600, 17,
	 .is_shown = true},
	{0x4444, "<main>", "/srv/app.rb", 1, 4, 2, 7, .is_shown = true},
	{0x7999, "<main>", "<main>", 0, 2, 1, 0, .is_c = false},
};

/* Which entries begin up to a position, for each: the first 54 in 7 bits each, then a
 * block for the others, of which none begins one. */
static uint64_t line_index(const struct frame *frame)
{
	uint64_t *at = take(6 + 2 * 10);

	for (unsigned i = 0; i < 54; i++)
		at[i / 9] |= (uint64_t)(i < frame->n_lines ? i + 1 : frame->n_lines)
			     << (i % 9 * 7);
	for (unsigned block = 0; block < 2; block++)
		at[6 + 10 * block] = frame->n_lines;
	return address_of(at);
}

/* The line that is asked for, and others beside it. */
static uint64_t lines_of(const struct frame *frame)
{
	uint32_t *at = (uint32_t *)take(3 * (frame->n_lines + 1) / 2 + 1);
	unsigned entry = frame->position - 1 < frame->n_lines ? frame->position - 1
							      : frame->n_lines - 1;

	for (unsigned i = 0; i < frame->n_lines; i++)
		at[3 * i] = i == entry ? frame->line : 9000 + i;
	return address_of(at);
}

static uint64_t body_of(struct frame *frame, uint64_t code)
{
	uint64_t *body = take(19);

	body[0] = (uint64_t)frame->n_words << 32;
	body[1] = code;
	frame->path_at = string(frame->path, strlen(frame->path) > 24);
	body[8] = frame->is_shown ? pair(frame->path_at) : frame->path_at;
	body[10] = frame->label_at = string(frame->label, false);
	body[11] = 2 * 1 + 1;
	if (frame->n_lines) {
		body[15] = lines_of(frame);
		body[17] = frame->n_lines;
		body[18] = line_index(frame);
	}
	return address_of(body);
}

static void lay_out(struct frame *frame, uint64_t at[8], uint64_t *environment)
{
	*environment = frame->kind << 16 | 1 | (frame->is_c ? 0x80 : 0);
	at[4] = address_of(environment);
	if (frame->is_c)
		return;
	uint64_t code = address_of(take(frame->n_words));
	uint64_t *iseq = take(5);
	iseq[0] = 0x1a | 7 << 12;
	iseq[2] = body_of(frame, code);
	at[0] = code + 8 * frame->position;
	at[2] = frame->iseq = address_of(iseq);
}

EXPORTED __thread uint64_t *ruby_current_ec;

static void lay_out_all(void)
{
	memset(image, 0, sizeof(image));
	n_used = 0;
	ruby_current_ec = take(3);
	uint64_t *stack = take(16 + 8 * N_FRAMES);
	for (unsigned i = 0; i < N_FRAMES; i++)
		lay_out(&frames[i], &stack[16 + 8 * i], &stack[i]);
	ruby_current_ec[0] = address_of(stack);
	ruby_current_ec[1] = 16 + 8 * N_FRAMES;
	ruby_current_ec[2] = address_of(&stack[16]);
}

/* --- What Ruby exports. */

EXPORTED int ruby_api_version[3] = {3, 1, 0};
static int has_lock = 1;
static unsigned n_aborts; /* Ruby ends the program where it is asked of no iseq */

EXPORTED int ruby_thread_has_gvl_p(void);
EXPORTED int ruby_thread_has_gvl_p(void)
{
	return has_lock;
}

EXPORTED int rb_during_gc(void);
EXPORTED int rb_during_gc(void)
{
	return 0;
}

EXPORTED size_t rb_gc_count(void);
EXPORTED size_t rb_gc_count(void)
{
	return 1;
}

EXPORTED int rb_profile_frames(int start, int limit, uint64_t said[], int lines[]);
EXPORTED int rb_profile_frames(int start, int limit, uint64_t said[], int lines[])
{
	assert_true(start == 0 && limit >= N_FRAMES);
	for (unsigned i = 0; i < N_FRAMES; i++) {
		said[i] = frames[i].iseq;
		lines[i] = (int)frames[i].line;
	}
	return N_FRAMES;
}

static const struct frame *frame_of(uint64_t iseq)
{
	static const struct frame none;

	for (unsigned i = 0; i < N_FRAMES; i++)
		if (iseq && frames[i].iseq == iseq)
			return &frames[i];
	n_aborts++;
	return &none;
}

EXPORTED uint64_t rb_profile_frame_path(uint64_t iseq);
EXPORTED uint64_t rb_profile_frame_path(uint64_t iseq)
{
	return frame_of(iseq)->path_at;
}

EXPORTED uint64_t rb_profile_frame_label(uint64_t iseq);
EXPORTED uint64_t rb_profile_frame_label(uint64_t iseq)
{
	return frame_of(iseq)->label_at;
}

/* --- The walk. */

static struct language_frame taken[MAX_TAKEN];

static bool is_right(unsigned n)
{
	unsigned at = 0;

	for (unsigned i = 0; i < N_FRAMES; i++) {
		if (!frames[i].is_shown)
			continue;
		if (at == n)
			return false;
		const struct language_code *code = language_code(taken[at].identity);
		if (taken[at].language != LANGUAGE_RUBY || !code ||
		    taken[at].line != frames[i].line ||
		    strcmp(code->function, frames[i].label) != 0 ||
		    strcmp(code->file, frames[i].path) != 0)
			return false;
		at++;
	}
	return at == n;
}

static void start_again(void)
{
	lay_out_all();
	assert_true(ruby_start());
	languages_has_runtime = true;
}

static unsigned walk(void)
{
	return languages_has_runtime ? ruby_walk(taken, MAX_TAKEN) : 0;
}

static void finds_what_ruby_has(void **state)
{
	(void)state;
	for (has_lock = 0; has_lock < 2; has_lock++) {
		start_again();
		for (unsigned i = 0; i < N_WALKS; i++)
			assert_true(is_right(walk()));
		assert_int_equal(ruby_trials_left(), 0);
	}
	has_lock = 1;
	assert_int_equal(n_aborts, 0);
}

static void a_shifted_field_gives_no_frames_or_the_right_ones(void **state)
{
	static const int by[] = {-16, -8, -4, -2, -1, 1, 2, 4, 8, 16};
	int *fields = (int *)&ruby_layout;
	size_t n_fields = sizeof(ruby_layout) / sizeof(int);

	(void)state;
	for (volatile size_t i = 1; i < n_fields; i++) /* the first is the version */
		for (volatile size_t j = 0; j < sizeof(by) / sizeof(*by); j++) {
			start_again();
			fields[i] += by[j];
			if (fields[i] < 0 || !ruby_layout.frame_bytes)
				continue;
			for (unsigned k = 0; k < N_WALKS; k++) {
				unsigned n = walk();
				if (n && !is_right(n))
					fail_msg("field %zu by %d", i, by[j]);
			}
		}
	assert_int_equal(n_aborts, 0);
}

/* A number, an address in or near the image, one bit: what a wrong build might have there.
 */
static uint64_t anything(unsigned *seed, uint64_t before)
{
	uint64_t random = (uint64_t)rand_r(seed) << 31 ^ (uint64_t)rand_r(seed);

	switch (rand_r(seed) % 4) {
	case 0:
		return random << (random % 33);
	case 1:
		return address_of(image) + random % (sizeof(image) + 8192) - 4096;
	case 2:
		return before ^ UINT64_C(1) << random % 64;
	default:
		return before + random % 33 - 16;
	}
}

/* Only in trials: what is trusted is read in place. */
static void any_words_do_no_harm(void **state)
{
	unsigned seed = 4711;

	(void)state;
	for (volatile unsigned round = 0; round < N_ROUNDS; round++) {
		has_lock = round % 2;
		start_again();
		for (int n = rand_r(&seed) % 4; n >= 0; n--) {
			unsigned at = (unsigned)rand_r(&seed) % n_used;
			image[at] = anything(&seed, image[at]);
		}
		for (unsigned i = walk(); i > 0; i--)
			assert_non_null(language_code(taken[i - 1].identity));
	}
	has_lock = 1;
	assert_int_equal(n_aborts, 0);
}

static int start(void **state)
{
	(void)state;
	alarm(120);
	guard_start();
	guard_has_filter = false;
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(finds_what_ruby_has),
		cmocka_unit_test(a_shifted_field_gives_no_frames_or_the_right_ones),
		cmocka_unit_test(any_words_do_no_harm),
	};

	return cmocka_run_group_tests(tests, start, NULL);
}
