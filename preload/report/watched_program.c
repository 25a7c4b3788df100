/* See watched_program.h.
 *
 * A program has up to two names: the path of its file, and that by which it was executed,
 * which is of a script that of the script and not of its interpreter. */
#include "report/watched_program.h"

#include "base/guard.h"
#include "base/sections.h"
#include "common/path.h"
#include "common/text.h"

#include <string.h>
#include <sys/auxv.h>

#define PATH_BYTES 4096

/* A pattern without a slash is of the last part of the path. */
static bool matches(const char *pattern, size_t bytes, const char *path)
{
	return text_matches_glob(pattern, bytes,
				 memchr(pattern, '/', bytes) ? path : path_base(path));
}

/* `list`: patterns, separated by commas. */
static bool matches_any(const char *list, const char *path)
{
	for (const char *comma; list; list = comma ? comma + 1 : NULL) {
		comma = strchr(list, ',');
		if (matches(list, comma ? (size_t)(comma - list) : strlen(list), path))
			return true;
	}
	return false;
}

/* In a frame of its own: a start without these options does not touch these pages. */
static __attribute__((noinline)) bool is_chosen(const struct settings *settings)
{
	const char *executed = (const char *)getauxval(AT_EXECFN);
	char path[PATH_BYTES];

	guard_program(path, sizeof(path));
	if (!executed)
		executed = path;
	if (settings->programs[0] && !matches_any(settings->programs, path) &&
	    !matches_any(settings->programs, executed))
		return false;
	return !settings->left_out[0] || (!matches_any(settings->left_out, path) &&
					  !matches_any(settings->left_out, executed));
}

AT_START bool watched_program_is_this(const struct settings *settings)
{
	if (settings->off)
		return false;
	return (!settings->programs[0] && !settings->left_out[0]) || is_chosen(settings);
}
