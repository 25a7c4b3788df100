/* See perf_map.h.  The file lies where all may write, and says what its owner likes. */
#include "symbols/perf_map.h"

#include "support/files.h"
#include "support/say.h"
#include "symbols/spans.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES      (64 << 20)
#define MAX_CODE_BYTES (16u << 20) /* of one piece */

struct perf_map {
	char *text;          /* owned */
	struct spans pieces; /* each with the place of its name in the text */
};

static int64_t changed_ns(const struct stat *is)
{
	return (int64_t)is->st_mtim.tv_sec * 1000000000 + is->st_mtim.tv_nsec;
}

static bool is_writers(const struct stat *is, const struct perf_map_writer *writer)
{
	return is->st_uid == writer->user && is->st_size <= MAX_BYTES &&
	       changed_ns(is) >= writer->from_ns && changed_ns(is) <= writer->to_ns;
}

/* Terminated; NULL = it cannot be read. */
static char *read_text(int fd, size_t bytes)
{
	char *text = say_calloc(bytes + 1, 1);
	size_t used = 0;
	ssize_t n;

	while (used < bytes && (n = read(fd, text + used, bytes - used)) > 0)
		used += (size_t)n;
	text[used] = 0;
	return text;
}

/* "JS:*checkout /srv/app.js:4:18": the same function is compiled again and again. */
static char *without_compiler(char *name)
{
	if (strncmp(name, "JS:", 3) == 0 && name[3] && strchr("*^+~", name[3]))
		memmove(name + 3, name + 4, strlen(name + 4) + 1);
	return name;
}

static void add_piece(struct perf_map *map, char *line)
{
	char *at = line;
	uint64_t start = strtoull(at, &at, 16);
	uint64_t bytes = *at == ' ' ? strtoull(at, &at, 16) : 0;

	if (*at != ' ' || !at[1] || bytes == 0 || bytes > MAX_CODE_BYTES)
		return;
	const char *name = without_compiler(at + 1);
	spans_add(&map->pieces, start, start + bytes, (uint64_t)(name - map->text));
}

struct perf_map *perf_map_open(const char *path, const struct perf_map_writer *writer)
{
	struct stat is;
	int fd = files_open_regular(path);

	if (fd < 0)
		return NULL;
	if (fstat(fd, &is) < 0 || !is_writers(&is, writer)) {
		close(fd);
		return NULL;
	}
	struct perf_map *map = say_calloc(1, sizeof(*map));
	map->text = read_text(fd, (size_t)is.st_size);
	close(fd);
	/* A last line that does not end is being written. */
	for (char *line = map->text, *end; (end = strchr(line, '\n')); line = end + 1) {
		*end = 0;
		add_piece(map, line);
	}
	spans_sort(&map->pieces);
	return map;
}

void perf_map_close(struct perf_map *map)
{
	if (!map)
		return;
	spans_free(&map->pieces);
	free(map->text);
	free(map);
}

const char *perf_map_find(const struct perf_map *map, uint64_t address)
{
	const char *name = NULL;

	for (const struct span *piece = NULL;
	     (piece = spans_next(&map->pieces, address, piece));) {
		const char *other = map->text + piece->what;

		if (name && strcmp(name, other) != 0)
			return NULL;
		name = other;
	}
	return name;
}
