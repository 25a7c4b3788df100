/* See javascript.h.  https://v8.dev/docs/stack-trace-api has the form. */
#include "languages/javascript.h"

#include "languages/codes.h"

#include <string.h>

struct part {
	const char *at;
	size_t bytes;
};

static bool begins(struct part part, const char *with)
{
	size_t bytes = strlen(with);

	return part.bytes >= bytes && memcmp(part.at, with, bytes) == 0;
}

static struct part after(struct part part, size_t bytes)
{
	return (struct part){part.at + bytes, part.bytes - bytes};
}

static struct part without(struct part part, const char *beginning)
{
	return begins(part, beginning) ? after(part, strlen(beginning)) : part;
}

/* Takes ":NUMBER" off the end; 0 = none stands there. */
static uint32_t take_number(struct part *part)
{
	uint64_t number = 0, unit = 1;
	size_t n = part->bytes;

	for (; n && part->at[n - 1] >= '0' && part->at[n - 1] <= '9'; n--, unit *= 10) {
		if (unit > 100000000)
			return 0;
		number += unit * (uint64_t)(part->at[n - 1] - '0');
	}
	if (!n || n == part->bytes || part->at[n - 1] != ':')
		return 0;
	part->bytes = n - 1;
	return (uint32_t)number;
}

/* "new Pool", "async Pool.get", "Object.<anonymous>": a function that waits for another
 * one is named as one that runs. */
static void split(struct part line, struct part *function, struct part *place)
{
	const char *open = NULL;

	line = without(line, "async ");
	if (line.bytes && line.at[line.bytes - 1] == ')')
		open = memmem(line.at, line.bytes, " (", 2);
	*function = (struct part){"<anonymous>", strlen("<anonymous>")};
	*place = line;
	if (!open)
		return;
	*function = (struct part){line.at, (size_t)(open - line.at)};
	*place = after(line, function->bytes + 2);
	place->bytes--;
}

static uint32_t code_of(struct part function, struct part file)
{
	char names[LANGUAGE_FUNCTION_BYTES], path[LANGUAGE_FILE_BYTES];
	struct codes_print print = {{LANGUAGE_JAVASCRIPT}};

	codes_write_function(function.at, (uint32_t)function.bytes, names);
	codes_write_file(file.at, (uint32_t)file.bytes, path);
	codes_mix(&print, names, (uint32_t)strlen(names) + 1);
	codes_mix(&print, path, (uint32_t)strlen(path) + 1);
	uint64_t fingerprint = codes_fingerprint(&print);
	uint32_t known = codes_find(fingerprint);
	return known ? known : codes_add(fingerprint, LANGUAGE_JAVASCRIPT, names, path);
}

/* false = it is no frame, or there is no room for its code. */
static bool read_line(struct part line, struct language_frame *frame)
{
	struct part function, place;

	while (line.bytes && *line.at == ' ')
		line = after(line, 1);
	if (!begins(line, "at ") || line.bytes == strlen("at "))
		return false;
	split(after(line, strlen("at ")), &function, &place);
	uint32_t number = take_number(&place); /* the column, if another precedes it */
	uint32_t before = number ? take_number(&place) : 0;
	place = without(place, "file://");
	*frame = (struct language_frame){
		.language = LANGUAGE_JAVASCRIPT,
		.line = before ? before : number,
		.identity = code_of(function, place),
	};
	return frame->identity != 0;
}

unsigned javascript_read(const char *stack,
			 struct language_frame frames[JAVASCRIPT_MAX_FRAMES])
{
	unsigned n = 0;

	while (*stack && n < JAVASCRIPT_MAX_FRAMES) {
		size_t bytes = strcspn(stack, "\n");

		n += read_line((struct part){stack, bytes}, &frames[n]);
		stack += bytes + (stack[bytes] == '\n');
	}
	return n;
}
