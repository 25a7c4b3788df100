/* Whether the loader's list may be walked without waiting for a thread of the host. */
#ifndef SOCKLEAK_LOADER_H
#define SOCKLEAK_LOADER_H

#include <stdbool.h>

/* Once, by the constructor, before the host has a second thread. */
void loader_start(void);

/* No other thread holds the lock of the list now, or which lock that is is not known. */
bool loader_is_free(void);

#endif
