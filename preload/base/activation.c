/* See activation.h. */
#include "base/activation.h"

#include "base/guard.h"
#include "base/sections.h"

#include <string.h>
#include <unistd.h>

#define MAX_FDS 1048576 /* the kernel's default nr_open */

/* The number in "NAME=number"; 0 = there is none. */
AT_START static unsigned number_in(const char *name, size_t bytes)
{
	for (char **one = environ; one && *one; one++) {
		unsigned number = 0;

		if (strncmp(*one, name, bytes) != 0)
			continue;
		for (const char *c = *one + bytes; *c >= '0' && *c <= '9'; c++)
			if ((number = number * 10 + (unsigned)(*c - '0')) >
			    0x7fffffff / 10)
				return 0;
		return number;
	}
	return 0;
}

AT_START unsigned activation_n_fds(void)
{
	static const char count[] = "LISTEN_FDS=", whose[] = "LISTEN_PID=";
	unsigned n = number_in(count, sizeof(count) - 1);

	if (n == 0 || n > MAX_FDS ||
	    number_in(whose, sizeof(whose) - 1) != (unsigned)guard_pid)
		return 0;
	return n;
}
