/* See suppressions.h. */
#include "report/suppressions.h"

#include "base/arena.h"
#include "base/guard.h"
#include "common/text.h"
#include "report/log.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define FIRST_BYTES 65536 /* of what tells no size: a file of /proc, a FIFO */
#define MOST_BYTES  ((size_t)16 << 20)

struct suppression *suppressions;
unsigned n_suppressions;

/* The bytes of the file, in pages that are kept: patterns point into them. */
struct content {
	char *at;
	size_t used, size; /* one byte of `size` stays free, for a terminator */
};

static void add_rule(char *line, size_t bytes)
{
	const char *pattern;
	size_t pattern_bytes;
	uint64_t max;
	int what = text_rule(line, bytes, &pattern, &pattern_bytes, &max);

	if (what < 0) {
		char problem[300];
		struct text text = {problem, sizeof(problem) - 1, 0, false};

		line[bytes < 200 ? bytes : 200] = '\0';
		text_string(&text,
			    "a line of the suppressions is no rule and is ignored: ");
		text_escaped(&text, line);
		problem[text.used] = '\0';
		log_warn(problem);
	}
	if (what != 1)
		return;
	char *start = line + (pattern - line);
	start[pattern_bytes] = '\0';
	suppressions[n_suppressions++] = (struct suppression){start, max, 0};
}

/* Reads to the end of the file, or until the pages are full. */
static bool read_content(long fd, const struct stat *is, struct content *content)
{
	size_t size = FIRST_BYTES;

	if (is->st_size >= FIRST_BYTES - 1)
		size = (uint64_t)is->st_size < MOST_BYTES ? (size_t)is->st_size + 2
							  : MOST_BYTES;
	*content = (struct content){.at = arena_map(size), .size = size};
	while (content->at && content->used < size - 1) {
		long n = guard_sys(SYS_read, fd, content->at + content->used,
				   size - 1 - content->used);

		if (n <= 0)
			return n == 0;
		content->used += (size_t)n;
	}
	return content->at != NULL;
}

/* What filled the pages may go on in the file: half a pattern would match too much. */
static void drop_unfinished_line(struct content *content, const char *path)
{
	if (content->used < content->size - 1)
		return;
	while (content->used && content->at[content->used - 1] != '\n')
		content->used--;
	log_warn_of("the file of suppressions is too long, its end is ignored", path);
}

static void add_rules(char *at, const char *end)
{
	unsigned n_lines = 1;

	for (const char *c = at; c < end; c++)
		n_lines += *c == '\n';
	suppressions = arena_map(n_lines * sizeof(*suppressions));
	while (suppressions && at < end) {
		char *line_end = memchr(at, '\n', (size_t)(end - at));
		size_t bytes = (size_t)((line_end ? line_end : end) - at);

		add_rule(at, bytes);
		at += bytes + 1;
	}
}

void suppressions_read(const char *path)
{
	struct content content;
	struct stat is;
	long fd = guard_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK, 0, &is);
	bool is_read = fd >= 0 && read_content(fd, &is, &content);

	if (fd >= 0)
		guard_close(fd, &is);
	if (!is_read) {
		log_warn_of(
			"the file of suppressions cannot be read, nothing is suppressed",
			path);
		return;
	}
	drop_unfinished_line(&content, path);
	add_rules(content.at, content.at + content.used);
}
