/* Finds ledgers and adds them to a merge, in the order of their names, so that the same
 * directory gives the same report. */
#include "ledgers.h"

#include "judge.h"
#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int is_ledger(const struct dirent *entry)
{
	size_t bytes = strlen(entry->d_name), suffix = strlen(SL_LEDGER_SUFFIX);

	return entry->d_name[0] != '.' && bytes > suffix &&
	       strcmp(entry->d_name + bytes - suffix, SL_LEDGER_SUFFIX) == 0;
}

int ledgers_each(const char *directory, void (*each)(const char *path, void *of),
		 void *of)
{
	struct dirent **names;
	int n = scandir(directory, &names, is_ledger, versionsort);

	if (n < 0)
		return -1;
	for (int i = 0; i < n; i++) {
		char *path = say_printf("%s/%s", directory, names[i]->d_name);

		each(path, of);
		free(path);
		free(names[i]);
	}
	free(names);
	return 0;
}

int ledgers_read(const char *path, struct reader_ledger *ledger,
		 char why[READER_WHY_BYTES])
{
	uint32_t pid, sequence;
	uint64_t start_ticks;

	if (reader_read(path, ledger, why) == 0)
		return 0;
	if (access(path, F_OK) < 0 && errno == ENOENT)
		return 1;
	bool is_made_now = strcmp(why, reader_unborn) == 0 &&
			   reader_parse_name(path, &pid, &start_ticks, &sequence) &&
			   judge_runs(pid, start_ticks);
	return is_made_now ? 1 : -1;
}

struct adding {
	struct merge *merge;
	size_t n_bad, n;
};

static void add_read(struct adding *adding, int result, const char *path,
		     struct reader_ledger *ledger, const char *why)
{
	adding->n++;
	if (result == 0) {
		merge_add(adding->merge, ledger);
		reader_free(ledger);
	} else if (result < 0) {
		say_warn("cannot read %s: %s", path, why);
		adding->n_bad++;
	}
}

static void add_found(const char *path, void *of)
{
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	add_read(of, ledgers_read(path, &ledger, why), path, &ledger, why);
}

static void add_named(const char *path, struct adding *adding)
{
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	add_read(adding, reader_read(path, &ledger, why), path, &ledger, why);
}

size_t ledgers_add(struct merge *merge, const char *path)
{
	struct adding adding = {.merge = merge};
	struct stat status;

	if (stat(path, &status) < 0) {
		say_warn("cannot open %s:", path);
		return 1;
	}
	if (!S_ISDIR(status.st_mode)) {
		add_named(path, &adding);
		return adding.n_bad;
	}
	if (ledgers_each(path, add_found, &adding) < 0) {
		say_warn("cannot open %s:", path);
		return 1;
	}
	if (adding.n == 0)
		say_warn("%s holds no ledger (a process that made no connection leaves "
			 "none)",
			 path);
	return adding.n_bad;
}
