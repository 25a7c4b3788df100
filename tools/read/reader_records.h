/* The records of a ledger. */
#ifndef SOCKLEAK_READER_RECORDS_H
#define SOCKLEAK_READER_RECORDS_H

#include "read/reading.h"

/* Reads them into the ledger, after its rows; -1 with a reason. */
int reader_records(struct reading *reading);

#endif
