/* What the command says on standard error, and memory that is there or ends it.
 *
 * Theory of operation.  Every message is one line by one write, "sockleak: ...".  Callers
 * need not check for memory: where there is none the process ends here, by exit(), so
 * that atexit() removes the files of a run. */
#include "support/say.h"

#include "common/text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int say_memory_status = SAY_USAGE;

/* A message is one line, whatever the names in it: control characters become \xHH. */
static void write_line(const char *message)
{
	char line[4096];
	struct text text = {.at = line, .size = sizeof(line) - 1};

	text_escaped(&text, message);
	line[text.used++] = '\n';
	/* One write, so that lines of several processes do not mix. */
	ssize_t written = write(STDERR_FILENO, line, text.used);
	(void)written; /* an error cannot be reported anywhere */
}

__attribute__((format(printf, 1, 0))) static void say(const char *format,
						      va_list arguments)
{
	char message[4000] = "sockleak: ";
	size_t prefix = strlen(message), bytes = strlen(format);
	const char *reason = strerror(errno);

	vsnprintf(message + prefix, sizeof(message) - prefix, format, arguments);
	if (bytes && format[bytes - 1] == ':') {
		size_t used = strlen(message);

		snprintf(message + used, sizeof(message) - used, " %s", reason);
	}
	write_line(message);
}

void say_warn(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
}

void say_die(int status, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	say(format, arguments);
	va_end(arguments);
	exit(status);
}

void say_usage(const char *subcommand, const char *format, ...)
{
	char message[3000];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	say_warn("%s: %s (see sockleak %s --help)", subcommand, message, subcommand);
	exit(say_memory_status);
}

static void *or_die(void *at)
{
	if (!at)
		say_die(say_memory_status, "out of memory");
	return at;
}

void *say_calloc(size_t n, size_t bytes)
{
	return or_die(calloc(n ? n : 1, bytes ? bytes : 1));
}

void *say_realloc(void *at, size_t n, size_t bytes)
{
	return or_die(reallocarray(at, n ? n : 1, bytes ? bytes : 1));
}

void *say_one_more(void *array, size_t n, size_t bytes)
{
	return n & (n - 1) ? array : say_realloc(array, n ? 2 * n : 1, bytes);
}

char *say_strdup(const char *string)
{
	return or_die(strdup(string));
}

char *say_printf(const char *format, ...)
{
	char *string;
	va_list arguments;

	va_start(arguments, format);
	int bytes = vasprintf(&string, format, arguments);
	va_end(arguments);
	return or_die(bytes < 0 ? NULL : string);
}
