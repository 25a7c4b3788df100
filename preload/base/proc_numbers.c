/* See proc_numbers.h. */
#include "base/proc_numbers.h"

#include "base/guard.h"

#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* -1 = not a number */
static int number_of(const char *name)
{
	int number = 0;

	if (*name < '0' || *name > '9')
		return -1;
	for (; *name >= '0' && *name <= '9' && number < 100000000; name++)
		number = number * 10 + (*name - '0');
	return *name ? -1 : number;
}

void proc_numbers(long directory, char *list, size_t list_bytes,
		  bool (*each)(const struct proc_number *entry, void *of), void *of)
{
	bool go_on = true;
	long n;

	while (go_on && (n = guard_sys(SYS_getdents64, directory, list, list_bytes)) > 0)
		for (long at = 0; at < n && go_on;) {
			/* struct linux_dirent64: 64-bit ino and off, 16-bit length, type
			 */
			uint16_t length;
			struct proc_number entry = {.directory = directory,
						    .name = list + at + 19,
						    .number = number_of(list + at + 19)};

			memcpy(&length, list + at + 16, sizeof(length));
			at += length;
			if (entry.number >= 0)
				go_on = each(&entry, of);
			guard_progressed();
		}
}
