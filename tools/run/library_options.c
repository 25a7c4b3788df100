/* See library_options.h. */
#include "run/library_options.h"

#include "support/say.h"

#include <stdlib.h>
#include <string.h>

char *library_options_last(const char *options, const char *name)
{
	char *found = NULL;

	while (*options) {
		size_t n = strcspn(options, "=:");
		const char *value = options + n + (options[n] == '=');
		const char *quote = *value == '\'' ? strchr(value + 1, '\'') : NULL;
		const char *end = quote ? quote : value + strcspn(value, ":");

		value += quote != NULL;
		if (strncmp(options, name, strlen(name)) == 0) {
			free(found);
			found = say_printf("%.*s", (int)(end - value), value);
		}
		options = end + (quote != NULL);
		options += *options == ':';
	}
	return found;
}
