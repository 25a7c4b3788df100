/* Paths of source files: joined, made short. */
#include "support/paths.h"

#include "support/say.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_part(const char *at, size_t bytes, const char *part)
{
	return bytes == strlen(part) && memcmp(at, part, bytes) == 0;
}

/* The last name of what is `used` bytes long begins here; `used` = there is none that
 * ".." could take away. */
static size_t last_name(const char *path, size_t used)
{
	size_t at = used;

	while (at && path[at - 1] != '/')
		at--;
	return is_part(path + at, used - at, "..") ? used : at;
}

/* In place, which only becomes shorter. */
static void tidy(char *path)
{
	size_t root = *path == '/', used = root;

	for (const char *at = path + root, *end; *at; at = *end ? end + 1 : end) {
		end = at + strcspn(at, "/");
		size_t bytes = (size_t)(end - at), name = last_name(path, used);

		if (bytes == 0 || is_part(at, bytes, "."))
			continue;
		if (is_part(at, bytes, "..")) {
			if (name < used) {
				used = name > root ? name - 1 : root;
				continue;
			}
			if (root)
				continue; /* "/.." is "/" */
		}
		if (used > root)
			path[used++] = '/';
		memmove(path + used, at, bytes);
		used += bytes;
	}
	path[used] = 0;
}

char *paths_join(const char *directory, const char *path)
{
	char *joined = directory && *path != '/' ? say_printf("%s/%s", directory, path)
						 : say_strdup(path);

	tidy(joined);
	return joined;
}

static size_t below(const char *directory, const char *path)
{
	size_t bytes = strlen(directory);

	return bytes > 1 && strncmp(path, directory, bytes) == 0 && path[bytes] == '/'
		       ? bytes + 1
		       : 0;
}

/* By the name that the shell has for it, as in DWARF. */
static const char *working_directory(void)
{
	static char *directory;

	if (!directory)
		directory = get_current_dir_name();
	return directory ? directory : "";
}

size_t paths_below_working_directory(const char *path)
{
	return below(working_directory(), path);
}

static char *find_source_root(void)
{
	static const char *const names[] = {"GITHUB_WORKSPACE", "CI_PROJECT_DIR"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);

		if (value && *value == '/')
			return paths_join(NULL, value);
	}
	return say_strdup(working_directory());
}

const char *paths_source_root(void)
{
	static char *root;

	if (!root)
		root = find_source_root();
	return root;
}

size_t paths_below_source_root(const char *path)
{
	return below(paths_source_root(), path);
}
