/* See perf_map.h.  The file lies where all may write, and says what its owner likes. */
#include "symbols/perf_map.h"

#include "support/files.h"
#include "support/say.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES      (64 << 20)
#define MAX_CODE_BYTES (16u << 20) /* of one piece */

struct piece {
	uint64_t start, end;
	const char *name;
};

struct perf_map {
	char *text; /* owned */
	struct piece *pieces;
	size_t n_pieces;
	uint64_t longest;
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
	map->pieces = say_one_more(map->pieces, map->n_pieces, sizeof(*map->pieces));
	map->pieces[map->n_pieces++] =
		(struct piece){start, start + bytes, without_compiler(at + 1)};
	if (bytes > map->longest)
		map->longest = bytes;
}

static int compare(const void *a, const void *b)
{
	const struct piece *one = a, *other = b;

	return one->start < other->start ? -1 : one->start > other->start;
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
	if (map->n_pieces)
		qsort(map->pieces, map->n_pieces, sizeof(*map->pieces), compare);
	return map;
}

void perf_map_close(struct perf_map *map)
{
	if (!map)
		return;
	free(map->pieces);
	free(map->text);
	free(map);
}

/* How many pieces begin at or below it. */
static size_t n_below(const struct perf_map *map, uint64_t address)
{
	size_t low = 0, high = map->n_pieces;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->pieces[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

const char *perf_map_find(const struct perf_map *map, uint64_t address)
{
	const char *name = NULL;

	for (size_t i = n_below(map, address); i-- > 0;) {
		const struct piece *piece = &map->pieces[i];

		if (address - piece->start >= map->longest)
			break;
		if (address >= piece->end)
			continue;
		if (name && strcmp(name, piece->name) != 0)
			return NULL;
		name = piece->name;
	}
	return name;
}
