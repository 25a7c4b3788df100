/* sockleak list: what the kernel says now of sockets that nobody has looked at since
 * their peer went. */
#ifndef SOCKLEAK_LIST_NOW_H
#define SOCKLEAK_LIST_NOW_H

#include "formats/list.h"
#include "kernel/held_elsewhere.h"

/* Once the process has its own sockets.  `*all` as of list_add_elsewhere(). */
void list_ask_kernel(struct held_elsewhere **all, struct list_process *process);
/* What the kernel tells, asked when it is first wanted. */
struct held_elsewhere *list_kernel(struct held_elsewhere **all);

#endif
