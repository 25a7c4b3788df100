/* A thread that sits in dl_iterate_phdr(), with the loader's lock, until it is let go. */
#ifndef SITTER_H
#define SITTER_H

#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic int sitter_step; /* 1 = it sits, 2 = it may go */

static int sit(struct dl_phdr_info *info, size_t bytes, void *nothing)
{
	(void)info, (void)bytes, (void)nothing;
	sitter_step = 1;
	while (sitter_step != 2)
		usleep(100);
	return 1;
}

static void *sit_in_loader(void *nothing)
{
	dl_iterate_phdr(sit, NULL);
	return nothing;
}

/* Returns when it sits. */
static inline pthread_t begin_to_sit(void)
{
	pthread_t thread;

	sitter_step = 0;
	if (pthread_create(&thread, NULL, sit_in_loader, NULL))
		abort();
	while (sitter_step != 1)
		usleep(100);
	return thread;
}

static inline void let_go(pthread_t thread)
{
	sitter_step = 2;
	pthread_join(thread, NULL);
}

#endif
