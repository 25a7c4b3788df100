/* Finds ledgers and adds them to a merge, in the order of their names, so that the same
 * directory gives the same report. */
#include "ledgers.h"

#include "say.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

struct adding {
	struct merge *merge;
	size_t n_bad, n;
};

static void add_file(const char *path, void *of)
{
	struct adding *adding = of;
	struct reader_ledger ledger;
	char why[READER_WHY_BYTES];

	adding->n++;
	if (reader_read(path, &ledger, why) < 0) {
		say_warn("cannot read %s: %s", path, why);
		adding->n_bad++;
		return;
	}
	merge_add(adding->merge, &ledger);
	reader_free(&ledger);
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
		add_file(path, &adding);
		return adding.n_bad;
	}
	if (ledgers_each(path, add_file, &adding) < 0) {
		say_warn("cannot open %s:", path);
		return 1;
	}
	if (adding.n == 0)
		say_warn("%s holds no ledger (a process that made no connection leaves "
			 "none)",
			 path);
	return adding.n_bad;
}
