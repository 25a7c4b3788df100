/* Durations as users write them, in options of the library and of the command alike. */
#include "common/text.h"

#include <string.h>

/* The digits at `text`, at most `most` of them; how many there are. */
static size_t parse_digits(const char *text, size_t bytes, size_t most, uint64_t *number)
{
	size_t n = 0;

	*number = 0;
	while (n < bytes && n <= most && text[n] >= '0' && text[n] <= '9')
		*number = *number * 10 + (uint64_t)(text[n++] - '0');
	return n;
}

/* 0 = no unit of this name */
static uint64_t parse_unit(const char *text, size_t bytes)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"ms", UINT64_C(1000000)},      {"", UINT64_C(1000000000)},
		{"s", UINT64_C(1000000000)},    {"m", UINT64_C(60000000000)},
		{"h", UINT64_C(3600000000000)},
	};

	for (unsigned i = 0; i < sizeof units / sizeof *units; i++)
		if (strlen(units[i].name) == bytes &&
		    memcmp(units[i].name, text, bytes) == 0)
			return units[i].ns;
	return 0;
}

bool text_parse_duration(const char *text, size_t bytes, uint64_t *ns)
{
	uint64_t whole, fraction = 0, scale = 1, whole_ns;
	size_t at = parse_digits(text, bytes, 9, &whole);

	if (at == 0 || at > 9)
		return false;
	if (at < bytes && text[at] == '.') {
		/* No more digits than the largest unit has room for in 64 bits. */
		size_t digits = parse_digits(text + at + 1, bytes - at - 1, 6, &fraction);

		if (digits == 0 || digits > 6)
			return false;
		at += 1 + digits;
		while (digits--)
			scale *= 10;
	}
	uint64_t unit_ns = parse_unit(text + at, bytes - at);
	return unit_ns && !__builtin_mul_overflow(whole, unit_ns, &whole_ns) &&
	       !__builtin_add_overflow(whole_ns, fraction * unit_ns / scale, ns);
}
