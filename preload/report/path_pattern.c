/* See path_pattern.h. */
#include "report/path_pattern.h"

#include "base/guard.h"
#include "common/path.h"

#include <sys/syscall.h>
#include <sys/utsname.h>

static void add_program(struct text *path)
{
	char exe[512];

	guard_program(exe, sizeof(exe));
	text_string(path, path_base(exe));
}

static void add_host(struct text *path)
{
	struct utsname names;

	if (guard_sys(SYS_uname, &names) == 0)
		text_string(path, names.nodename);
}

/* false = `word` is not one of those that are replaced. */
static bool add_word(struct text *path, char word)
{
	switch (word) {
	case 'p':
		text_unsigned(path, (uint64_t)guard_pid);
		return true;
	case 'e':
		add_program(path);
		return true;
	case 'h':
		add_host(path);
		return true;
	default:
		return false;
	}
}

void path_pattern_add(struct text *path, const char *pattern)
{
	for (const char *c = pattern; *c; c++) {
		char one[2] = {*c, '\0'};

		if (*c == '%' && add_word(path, c[1]))
			c++;
		else
			text_string(path, one);
	}
}
