/* A ledger of this process in a directory of its own, as a reader maps it. */
#ifndef SOCKLEAK_LEDGER_FILE_H
#define SOCKLEAK_LEDGER_FILE_H

#include "base/guard.h"
#include "ledger/ledger_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char own_directory[] = "/tmp/sockleak-ledger-XXXXXX";
static struct sl_header *file;

/* One that is there; "" = none. */
static const char *ledger_path(void)
{
	static char path[300];
	DIR *all = opendir(own_directory);

	*path = 0;
	for (const struct dirent *one; all && (one = readdir(all));)
		if (strstr(one->d_name, SL_LEDGER_SUFFIX))
			snprintf(path, sizeof(path), "%s/%.200s", own_directory,
				 one->d_name);
	if (all)
		closedir(all);
	return path;
}

static int begin_ledger(void **state)
{
	(void)state;
	alarm(30);
	guard_start();
	if (!mkdtemp(own_directory) || ledger_start(own_directory, 1, 0, 32, false))
		return -1;
	int fd = open(ledger_path(), O_RDWR | O_CLOEXEC);
	size_t bytes = sizeof(*file) + (size_t)4 * SL_BLOCK_BYTES;
	file = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return file == MAP_FAILED ? -1 : 0;
}

static int end_ledger(void **state)
{
	(void)state;
	while (*ledger_path())
		if (unlink(ledger_path()) != 0)
			return -1;
	return rmdir(own_directory);
}

#endif
