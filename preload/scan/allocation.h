/* Whether this thread may call the allocator of the host now.  It may not on top of a
 * signal handler that may have interrupted it, nor inside an allocator of the program's
 * own (a tracer that sends what it sees, under its lock). */
#ifndef SOCKLEAK_ALLOCATION_H
#define SOCKLEAK_ALLOCATION_H

#include <stdbool.h>

/* By the constructor of a program that may make connections. */
void allocation_start(void);
/* Any thread, any signal handler; dozens of system calls. */
bool allocation_is_safe(void);

#endif
