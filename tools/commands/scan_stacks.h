/* What the threads of the processes that hold sockets are doing now. */
#ifndef SOCKLEAK_SCAN_STACKS_H
#define SOCKLEAK_SCAN_STACKS_H

#include "formats/scan.h"

/* Each process once; threads with the same stack together. */
void scan_print_stacks(const struct scan *scan, FILE *file);

#endif
