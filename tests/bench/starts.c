/* starts N PRELOAD_A PRELOAD_B PROGRAM [ARGUMENTS]: starts the program N times with the
 * one and N times with the other library preloaded ("-" = none), in alternation, and
 * prints the nanoseconds of processor time of each pair: of the program and what it
 * waited for, which other programs of the machine do not lengthen. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

static uint64_t start_once(char *preload, char **program,
			   posix_spawn_file_actions_t *quiet)
{
	char path[] = "PATH=/usr/bin:/bin", language[] = "LC_ALL=C",
	     other[] = "SL_BENCH=1";
	char *environment[] = {path, language, preload ? preload : other, NULL};
	struct rusage used;
	pid_t child;
	int status;

	if (posix_spawn(&child, program[0], quiet, NULL, program, environment) ||
	    wait4(child, &status, 0, &used) != child || status != 0) {
		fprintf(stderr, "starts: %s: %s\n", program[0], strerror(errno));
		exit(99);
	}
	return (uint64_t)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1000000000 +
	       (uint64_t)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1000;
}

static char *preload_of(const char *library)
{
	char *setting;

	if (!strcmp(library, "-"))
		return NULL;
	if (asprintf(&setting, "LD_PRELOAD=%s", library) < 0)
		exit(99);
	return setting;
}

int main(int argc, char **argv)
{
	posix_spawn_file_actions_t quiet;

	if (argc < 5)
		return 2;
	char *a = preload_of(argv[2]), *b = preload_of(argv[3]);
	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
	for (int i = -1; i < atoi(argv[1]); i++) {
		/* Whoever is second finds the caches warmer. */
		uint64_t first = start_once(i & 1 ? a : b, argv + 4, &quiet);
		uint64_t second = start_once(i & 1 ? b : a, argv + 4, &quiet);

		if (i >= 0)
			printf("%llu %llu\n",
			       (unsigned long long)(i & 1 ? first : second),
			       (unsigned long long)(i & 1 ? second : first));
	}
	return 0;
}
