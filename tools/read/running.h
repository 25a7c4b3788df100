/* The ledger of a running process. */
#ifndef SOCKLEAK_RUNNING_H
#define SOCKLEAK_RUNNING_H

#include "read/reader.h"

/* 1 = it keeps a ledger, 0 = none, -1 with errno = its /proc may not be read, -2 = it
 * keeps one that cannot be read, which was said. */
int running_ledger(uint32_t pid, struct reader_ledger *ledger);

struct running_unread {
	size_t n_unseen;  /* processes whose /proc may not be read */
	bool has_refused; /* a ledger could not be read, which was said */
};

/* Of all processes; `take` owns the ledger then. */
struct running_unread running_each(void (*take)(void *of, uint32_t pid,
						struct reader_ledger *ledger),
				   void *of);

#endif
