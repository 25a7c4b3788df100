/* See stack.h. */
#include "findings/stack.h"

#include "common/path.h"
#include "findings/short_name.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* Functions that call each other in turn, at most so many. */
#define MAX_PERIOD 4
/* Frames after annotate/frames.c; what is deeper is left out. */
#define MAX_FRAMES 1024

static const char *behind_any(const char *path, const char *const *prefixes)
{
	for (; *prefixes; prefixes++)
		if (string_begins(path, *prefixes))
			return path + strlen(*prefixes);
	return NULL;
}

/* --- libraries --- */

/* Below it, "c++/12/functional" is libstdc++'s, "asio/impl/..." is asio's. */
static bool header_library(const char *file, char name[32])
{
	static const char *const prefixes[] = {"/usr/include/", "/usr/local/include/",
					       "/usr/lib/", NULL};
	const char *below = behind_any(file, prefixes);

	if (!below)
		return false;
	if (strstr(file, "/c++/"))
		snprintf(name, 32, "libstdc++");
	else
		snprintf(name, 32, "%.*s", (int)strcspn(below, "/."), below);
	return true;
}

/* "/rustc/HASH/library/std/src/net/tcp.rs", of Debian "/usr/src/rustc-1.63.0/library/...";
 * a dependency, ".cargo/registry/src/index.crates.io-6f17d22bba15001f/tokio-1.38.0/...". */
static bool rust_library(const char *file, char name[32])
{
	static const char registry[] = "cargo/registry/src/";
	bool is_std = (string_begins(file, "/rustc/") ||
		       string_begins(file, "/usr/src/rustc-")) &&
		      strstr(file, "/library/");
	const char *crate = strstr(file, registry);

	if (is_std)
		snprintf(name, 32, "Rust's std");
	crate = crate ? strchr(crate + strlen(registry), '/') : NULL;
	if (is_std || !crate)
		return is_std;
	size_t n = strcspn(++crate, "/");
	for (size_t i = 0; i + 1 < n; i++)
		if (crate[i] == '-' && isdigit((unsigned char)crate[i + 1]))
			n = i;
	snprintf(name, 32, "%.*s", (int)n, crate);
	return true;
}

/* A program or plugin that a package brought is no library: it may be the one that
 * leaks. */
static bool module_library(const char *module, char name[32])
{
	const char *file = path_base(module), *so = strstr(file, ".so");
	bool is_there = module[0] != '/' || path_is_of_system(module);

	if (!is_there || (module[0] == '/' && !so) ||
	    !(string_begins(file, "lib") || string_begins(file, "ld-") ||
	      module[0] != '/'))
		return false;
	snprintf(name, 32, "%.*s", so ? (int)(so - file) : 31, file);
	return true;
}

/* Frames of a language have no module; those inside its interpreter were folded. */
static bool language_library(const struct text_frame *frame, char name[32])
{
	const char *language = text_language_name(frame->language);

	snprintf(name, 32, "%s", frame->language ? language : "the interpreter");
	return frame->is_folded || text_is_of_language(frame);
}

static bool find_library(const struct text_frame *frame, char name[32])
{
	if (frame->language || frame->is_folded)
		return language_library(frame, name);
	bool is_start =
		frame->function && !frame->file && strcmp(frame->function, "_start") == 0;

	bool is_unknown = !frame->module && !frame->file && !frame->function;

	if (is_start) /* linked into every program */
		snprintf(name, 32, "libc");
	else if (is_unknown)
		snprintf(name, 32, "code outside all modules");
	return is_start || is_unknown ||
	       (frame->file &&
		(header_library(frame->file, name) || rust_library(frame->file, name))) ||
	       (frame->module && module_library(frame->module, name));
}

bool stack_is_library(const struct text_frame *frame)
{
	char name[32];

	return find_library(frame, name);
}

const struct text_frame *stack_first_own(const struct text_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!stack_is_library(&frames[i]))
			return &frames[i];
	return NULL;
}

static void count_library(struct stack *stack, const char *name)
{
	unsigned room = stack->n_libraries < STACK_MAX_LIBRARIES ? stack->n_libraries
								 : STACK_MAX_LIBRARIES;

	stack->n_library++;
	for (unsigned i = 0; i < room; i++)
		if (strcmp(stack->libraries[i], name) == 0)
			return;
	if (room < STACK_MAX_LIBRARIES)
		snprintf(stack->libraries[room], sizeof(stack->libraries[room]), "%s",
			 name);
	stack->n_libraries++;
}

/* --- what is the same --- */

static bool is_same_string(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same_frame(const struct text_frame *a, const struct text_frame *b)
{
	return a->offset == b->offset && a->line == b->line &&
	       a->language == b->language && is_same_string(a->module, b->module) &&
	       (!a->language || is_same_string(a->file, b->file)) &&
	       is_same_string(a->function, b->function);
}

unsigned stack_common(const struct text_frame *a, unsigned n_a,
		      const struct text_frame *b, unsigned n_b)
{
	unsigned n = 0;

	while (n < n_a && n < n_b && is_same_frame(&a[n_a - 1 - n], &b[n_b - 1 - n]))
		n++;
	return stack_first_own(a + n_a - n, n) ? n : 0;
}

/* The same function, whatever its template arguments and the line in it. */
static bool is_same_function(const struct text_frame *a, const struct text_frame *b)
{
	char left[STACK_NAME_BYTES], right[STACK_NAME_BYTES];

	if (!a->function || !b->function || a->language || b->language)
		return is_same_frame(a, b);
	if (!is_same_string(a->module, b->module))
		return false;
	if (a->function == b->function)
		return true;
	short_name(a->function, left, sizeof(left));
	short_name(b->function, right, sizeof(right));
	return strcmp(left, right) == 0;
}

/* How often the first `period` frames are there one after the other. */
static unsigned count_repeats(const struct text_frame *const *frames, unsigned n,
			      unsigned period)
{
	unsigned i = period;

	while (i < n && is_same_function(frames[i], frames[i - period]))
		i++;
	return i / period;
}

static void add_rows(struct stack *stack, const struct text_frame *const *frames,
		     unsigned n, unsigned times)
{
	for (unsigned i = 0; i < n; i++) {
		if (stack->n_rows == stack->max_rows)
			stack->n_more++;
		else
			stack->rows[stack->n_rows++] =
				(struct stack_row){frames[i], times};
	}
}

static void fold_recursion(struct stack *stack, const struct text_frame *const *frames,
			   unsigned n)
{
	for (unsigned at = 0, best, times; at < n; at += best * times) {
		best = times = 1;
		for (unsigned period = 1; period <= MAX_PERIOD && period <= n - at;
		     period++) {
			unsigned repeats = count_repeats(frames + at, n - at, period);

			if (repeats > 1 && repeats * period > best * times) {
				best = period;
				times = repeats;
			}
		}
		add_rows(stack, frames + at, best, times);
	}
}

struct stack stack_fold(const struct text_frame *frames, unsigned n, unsigned max_rows)
{
	const struct text_frame *own[MAX_FRAMES];
	struct stack stack = {.max_rows = max_rows};
	bool fold = stack_first_own(frames, n) != NULL;
	unsigned n_own = 0;
	char name[32];

	for (unsigned i = 0; i < n && n_own < MAX_FRAMES; i++) {
		if (fold && find_library(&frames[i], name))
			count_library(&stack, name);
		else
			own[n_own++] = &frames[i];
	}
	fold_recursion(&stack, own, n_own);
	return stack;
}
