/* The entries of a directory of /proc that are numbers: processes, threads, descriptors.
 * Raw system calls; errno untouched. */
#ifndef SOCKLEAK_PROC_NUMBERS_H
#define SOCKLEAK_PROC_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>

struct proc_number {
	long directory;
	const char *name; /* of the entry: the digits */
	int number;
};

/* Calls `each` for each of them, until it returns false.  `list` is the caller's room for
 * what the kernel lists at a time; aligned as a struct dirent64. */
void proc_numbers(long directory, char *list, size_t list_bytes,
		  bool (*each)(const struct proc_number *entry, void *of), void *of);

#endif
