/* What the command says on standard error, and memory that is there or ends it. */
#include "say.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int say_memory_status = SAY_USAGE;

/* A message is one line, whatever the names in it: control characters become \xHH. */
static void write_line(const char *message)
{
	char line[4096];
	size_t used = 0;

	for (const char *at = message; *at && used < sizeof(line) - 8; at++) {
		unsigned char c = (unsigned char)*at;

		if (c < 0x20 || c == 0x7f)
			used += (size_t)snprintf(line + used, 5, "\\x%02x", c);
		else
			line[used++] = *at;
	}
	line[used++] = '\n';
	/* One write, so that lines of several processes do not mix. */
	ssize_t written = write(STDERR_FILENO, line, used);
	(void)written; /* nobody is left to tell */
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

void say_bad_option(const char *subcommand, int option, char **argv)
{
	char letter[] = {'-', (char)optopt, 0};
	bool is_long = strncmp(argv[optind - 1], "--", 2) == 0;
	const char *name = is_long ? argv[optind - 1] : letter;

	if (option == ':')
		say_usage(subcommand, "%s needs a value", name);
	if (is_long && optopt)
		say_usage(subcommand, "%s takes no value", name);
	say_usage(subcommand, "there is no option %s", name);
}

static void *or_die(void *at)
{
	if (!at)
		say_die(say_memory_status, "out of memory");
	return at;
}

int say_parse_exitcode(const char *subcommand, const char *value)
{
	char *end;

	errno = 0;
	long status = strtol(value, &end, 10);
	if (errno || end == value || *end || status < 0 || status > 255)
		say_usage(subcommand,
			  "--error-exitcode is a number from 0 to 255, not '%s'", value);
	return (int)status;
}

uint64_t say_parse_grace_ms(const char *subcommand, const char *value)
{
	static const struct {
		const char *unit;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}};
	char *end;
	errno = 0;
	unsigned long long n = strtoull(value, &end, 10);
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (value[0] >= '0' && value[0] <= '9' && !errno && n <= UINT32_MAX &&
		    !strcmp(end, units[i].unit))
			return n * units[i].ms;
	}
	say_usage(subcommand, "--grace is a duration as 500ms, 10s or 2m, not '%s'",
		  value);
}

void *say_calloc(size_t n, size_t bytes)
{
	return or_die(calloc(n ? n : 1, bytes ? bytes : 1));
}

void *say_realloc(void *at, size_t n, size_t bytes)
{
	return or_die(reallocarray(at, n ? n : 1, bytes ? bytes : 1));
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
