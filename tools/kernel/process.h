/* Whether a process runs, and what it is called: as /proc tells now. */
#ifndef SOCKLEAK_PROCESS_H
#define SOCKLEAK_PROCESS_H

#include "common/ledger.h"

#include <stdbool.h>
#include <stdint.h>

/* Of sl_header.boot_id; false also where this system does not tell. */
bool process_is_of_this_boot(const uint8_t boot_id[16]);

/* Whether a process of that pid and start (field 22 of /proc/PID/stat) runs here. */
bool process_runs(uint32_t pid, uint64_t start_ticks);

/* Whether it is stopped, by a signal or a debugger. */
bool process_is_stopped(uint32_t pid);

#define PROCESS_STATUS_BYTES 1024
/* The line of /proc/PID/status that begins with `field`, "Uid:" say.  false = there is
 * none. */
bool process_status(uint32_t pid, const char *field, char line[PROCESS_STATUS_BYTES]);
/* The pid by which the process knows itself: the innermost of its pid namespaces. */
uint32_t process_own_pid(uint32_t pid);

/* Ours, as in sl_header.pid_namespace; 0 = not known. */
uint64_t process_pid_namespace(void);

/* Whether the process that wrote the ledger runs on this system now. */
bool process_is_alive(const struct sl_header *head);
/* Of one that is not alive: whether it may run where this system does not show it, as in
 * another pid namespace. */
bool process_may_run_unseen(const struct sl_header *head);

/* Whether it has rights that the process which executed it has not: as by setuid. */
bool process_gained_rights(uint32_t pid);

#define PROCESS_NAME_BYTES 64
/* What the kernel calls the process ("" if it has ended). */
void process_name(uint32_t pid, char name[PROCESS_NAME_BYTES]);

#endif
