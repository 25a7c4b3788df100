/* How many sockets were open over time, out of the header of a ledger. */
#ifndef SOCKLEAK_READER_SERIES_H
#define SOCKLEAK_READER_SERIES_H

#include "read/reading.h"

/* Copies it again until no writer was at work, and checks it; without points where that
 * was not to be had. */
int reader_series(struct reading *reading);

#endif
