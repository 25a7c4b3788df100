/* sockleak list: a socket that several descriptors or processes hold is listed once. */
#ifndef SOCKLEAK_LIST_JOIN_H
#define SOCKLEAK_LIST_JOIN_H

#include "formats/list.h"

/* Once all processes are there, and in order.  A socket stays in the process that opened
 * it, if that holds it, else in the first one that keeps a ledger and holds it; with all
 * processes that hold it, and with what the opener's ledger says of the opening. */
void list_join(struct list *list);

#endif
