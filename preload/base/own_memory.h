/* Reads memory of this process by system calls: where another thread unmaps it meanwhile,
 * or a mapped file was truncated, the result is an error and no signal.  Any thread, any
 * signal handler. */
#ifndef SOCKLEAK_OWN_MEMORY_H
#define SOCKLEAK_OWN_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/* process_vm_readv() may be called: no seccomp filter is in force. */
bool own_memory_may_ask(void);
/* By that call.  Returns how many bytes from `from` on, up to the first page that is not
 * there, or -errno. */
long own_memory_read(uint64_t from, void *to, uint32_t bytes);
/* The same of many pieces, one behind the other into `to`.  Returns how many bytes; what
 * follows the first piece that is not there is not read. */
struct iovec;
long own_memory_read_pieces(const struct iovec *pieces, uint32_t n_pieces, void *to,
			    uint32_t bytes);
/* The same question as own_memory_may_ask() comes first.  Reads from `from` on, at most
 * OWN_MEMORY_MAX_ASKED bytes, the pages that are in memory now; zeros stand for those
 * between them that are not: a read of such a page may wait for another thread of the
 * host (userfaultfd(2)), or for a disk, and one that was never written holds nothing.
 * Returns how many bytes, up to the end of the last page that was read.  By mincore(2).
 */
uint32_t own_memory_read_resident(uint64_t from, void *to, uint32_t bytes);
#define OWN_MEMORY_MAX_ASKED (128u << 10)
/* The page of `address` may be read, now: the kernel copies the aligned 8 bytes there, by a
 * call that every filter allows and that then refuses.  The main thread's stack grows by
 * it. */
bool own_memory_is_readable(uint64_t address);
/* The same, without a call where memcheck would report a read below the stack pointer. */
bool own_memory_is_there(uint64_t address);

#endif
