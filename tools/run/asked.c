/* See asked.h. */
#include "run/asked.h"

#include "support/say.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY_FILE      "libsockleak.so"
#define ENVIRONMENT_BYTES (64 * 1024) /* of a longer one it is not known */

int asked_is_loaded(uint32_t pid)
{
	char path[64], *line = NULL;
	size_t room = 0;
	int result = 0;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/maps", pid);
	FILE *maps = fopen(path, "re");
	if (!maps)
		return -1;
	while (!result && getline(&line, &room, maps) > 0)
		result = strstr(line, "/" LIBRARY_FILE) != NULL;
	free(line);
	fclose(maps);
	return result;
}

/* Whether the directory is there in the process's own root. */
static bool is_reachable(uint32_t pid, const char *directory)
{
	char *path = say_printf("/proc/%" PRIu32 "/root%s", pid, directory);
	bool is_there = access(path, F_OK) == 0 || errno != ENOENT;

	free(path);
	return is_there || access(directory, F_OK) < 0;
}

/* The variables that the library takes its options from: without a ledger in the second
 * it looks for those beside the path that the first names. */
static enum asked judge(uint32_t pid, const char *preload, const char *options,
			const struct asked_run *run)
{
	if (!preload || !strstr(preload, "/" LIBRARY_FILE))
		return NOT_ASKED;
	if (strstr(preload, run->around) && !is_reachable(pid, run->around))
		return ASKED_OUT_OF_REACH;
	bool is_ours = options && strstr(options, "ledger=")
			       ? strstr(options, run->ledgers) != NULL
			       : strstr(preload, run->around) != NULL;
	return is_ours ? ASKED : ASKED_ELSEWHERE;
}

enum asked asked_of(uint32_t pid, const struct asked_run *run)
{
	const char *preload = NULL, *options = NULL;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/environ", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return ASKED;
	char *environment = say_calloc(ENVIRONMENT_BYTES, 1);
	size_t n = fread(environment, 1, ENVIRONMENT_BYTES - 1, file);
	bool is_known = !ferror(file) && n < ENVIRONMENT_BYTES - 1;
	fclose(file);
	for (const char *at = environment; at < environment + n; at += strlen(at) + 1) {
		if (strncmp(at, "LD_PRELOAD=", 11) == 0)
			preload = at;
		if (strncmp(at, "SOCKLEAK_OPTIONS=", 17) == 0)
			options = at;
	}
	enum asked result = is_known ? judge(pid, preload, options, run) : ASKED;
	free(environment);
	return result;
}
