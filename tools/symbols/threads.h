/* The stacks of a running process's threads, by libdwfl. */
#ifndef SOCKLEAK_THREADS_H
#define SOCKLEAK_THREADS_H

#include <stddef.h>
#include <stdint.h>

#define THREADS_MAX_FRAMES 64

struct threads_frame {
	const char *module;      /* NULL = not known; stays until the callback returns */
	const uint8_t *build_id; /* NULL = not known */
	unsigned build_id_bytes;
	uint64_t offset; /* ELF virtual address, within the call instruction */
};

struct threads_thread {
	uint32_t tid;
	size_t n; /* innermost frame first; 0 = it could not be stopped or followed */
	struct threads_frame frames[THREADS_MAX_FRAMES];
};

/* Calls `each` with every thread.  One after the other is stopped by ptrace(2) while it
 * is followed, which can end a blocking call of it early with EINTR (signal(7)).  -1 with
 * errno: the process may not be looked into. */
int threads_each(uint32_t pid, void (*each)(const struct threads_thread *, void *of),
		 void *of);

#endif
