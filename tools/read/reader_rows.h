/* The rows of a ledger. */
#ifndef SOCKLEAK_READER_ROWS_H
#define SOCKLEAK_READER_ROWS_H

#include "read/reading.h"

/* Reads them into the ledger; -1 with a reason. */
int reader_rows(struct reading *reading);
/* The field that is out of range; NULL = none. */
const char *reader_row_fault(const struct sl_descriptor *row);

/* The row of a passed descriptor: it does not hold the socket, and says which process
 * opened it, and when. */
struct sl_descriptor reader_row_of_passed(const struct sl_event *event);

#endif
