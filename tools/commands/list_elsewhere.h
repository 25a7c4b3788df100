/* sockleak list: what a process has closed and another one holds. */
#ifndef SOCKLEAK_LIST_ELSEWHERE_H
#define SOCKLEAK_LIST_ELSEWHERE_H

#include "formats/list.h"
#include "kernel/held_elsewhere.h"

/* Adds what other processes hold, without the names of frames.  `*all` is what the kernel
 * tells, asked once and owned by the caller; NULL = not asked yet. */
void list_add_elsewhere(struct held_elsewhere **all, struct list_process *process);
/* A holder is named once. */
void list_add_holder(struct list_socket *socket, uint32_t pid, uint32_t fd);
void list_free_socket(struct list_socket *socket);

#endif
