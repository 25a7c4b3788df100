/* See run_environment.h. */
#include "run/run_environment.h"

#include "run/library.h"
#include "run/library_options.h"
#include "support/say.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *options_value(const struct run_files *files, const char *settings)
{
	const char *own = getenv("SOCKLEAK_OPTIONS");

	/* The report at the end takes the place of the library's, unless the user asks
	 * for both; the last of two equal options counts. */
	return say_printf("log=none%s%s%s:ledger='%s'", own && *own ? ":" : "",
			  own ? own : "", settings, files->directory);
}

static char *preload_value(const char *library, const char *asan)
{
	const char *own = getenv("LD_PRELOAD");

	return say_printf("%s%s%s%s%s", asan ? asan : "", asan ? ":" : "", library,
			  own && *own ? ":" : "", own ? own : "");
}

static void set_variable(const char *name, char *value)
{
	if (setenv(name, value, 1) < 0)
		say_die(say_memory_status, "out of memory");
	free(value);
}

/* Node takes a quoted word as a shell does, a backslash before a quote or a backslash. */
static char *quoted(const char *path)
{
	char *word = say_calloc(2 * strlen(path) + 3, 1), *at = word;

	*at++ = '"';
	for (; *path; *at++ = *path++)
		if (*path == '"' || *path == '\\')
			*at++ = '\\';
	*at = '"';
	return word;
}

/* The file lies beside the library. */
static int set_node_options(const char *library)
{
	const char *own = getenv("NODE_OPTIONS");
	char *path = say_printf("%.*s" LIBRARY_NODE_NAME,
				(int)(strrchr(library, '/') + 1 - library), library);

	if (access(path, R_OK) < 0) {
		say_warn("cannot read %s: %s", path, strerror(errno));
		free(path);
		return -1;
	}
	char *word = quoted(path);
	set_variable("NODE_OPTIONS", say_printf("--require %s%s%s", word, own ? " " : "",
						own ? own : ""));
	free(word);
	free(path);
	return 0;
}

static void note_log(struct run_files *files, const char *options)
{
	char *log = library_options_last(options, "log=");

	run_files_note_log(files, log);
	free(log);
}

static int set_variables(struct run_files *files, const char *settings,
			 const char *library, const char *asan)
{
	char *options = options_value(files, settings);
	const char *preloaded = run_files_link(files, library, options);

	if (strpbrk(preloaded, " :\t\n")) {
		say_warn("cannot preload %s: its path holds a space or a colon",
			 preloaded);
		free(options);
		return -1;
	}
	note_log(files, options);
	set_variable("LD_PRELOAD", preload_value(preloaded, asan));
	set_variable("SOCKLEAK_OPTIONS", options);
	return 0;
}

int run_environment_set(struct run_files *files, const char *settings, const char *asan,
			bool node)
{
	char *library = library_path();

	if (!library) {
		library_say_missing();
		return -1;
	}
	if (strchr(files->directory, '\'')) {
		say_warn("cannot keep ledgers in %s: its path holds a quote",
			 files->directory);
		free(library);
		return -1;
	}
	int result = node ? set_node_options(library) : 0;
	if (result == 0)
		result = set_variables(files, settings, library, asan);
	free(library);
	return result;
}
