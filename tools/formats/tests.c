/* The tests in which the sockets of a place were opened. */
#include "formats/formats.h"

#include "support/say.h"

#include <stdlib.h>
#include <string.h>

size_t format_tests(const struct findings_place *place,
		    struct format_test tests[FORMAT_MAX_TESTS])
{
	size_t n = 0;

	for (size_t i = 0; i < place->n_sockets; i++) {
		const char *name = place->sockets[i].test;
		size_t at = 0;

		while (name && at < n && strcmp(tests[at].name, name) != 0)
			at++;
		if (!name || at == FORMAT_MAX_TESTS)
			continue;
		if (at == n)
			tests[n++] = (struct format_test){name, 0};
		tests[at].n_sockets++;
	}
	return n;
}

void format_put_tests(struct text *text, const void *of)
{
	struct format_test tests[FORMAT_MAX_TESTS];
	size_t n = format_tests(of, tests);

	for (size_t i = 0; i < n; i++) {
		text_string(text, i ? ", " : "");
		text_escaped(text, tests[i].name);
		text_string(text, " (");
		text_unsigned(text, tests[i].n_sockets);
		text_string(text, ")");
	}
	text_string(text, n == FORMAT_MAX_TESTS ? ", ..." : "");
}

char *format_headline_with_tests(const struct findings_place *place)
{
	char line[1024];
	size_t bytes;

	format_headline(place, line, sizeof(line));
	char *tests = format_block(format_put_tests, place, &bytes);
	char *whole = say_printf("%s%s%.*s", line, bytes ? ", in tests: " : "",
				 (int)bytes, tests);
	free(tests);
	return whole;
}
