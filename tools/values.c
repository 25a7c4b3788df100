/* JSON values for scan and list. */
#include "values.h"

#include "say.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

json_t *values_string(const char *text)
{
	json_t *value = text ? json_string(text) : json_null();
	if (value)
		return value;
	unsigned char *latin = say_calloc(2 * strlen(text) + 1, 1), *to = latin;
	for (const unsigned char *at = (const unsigned char *)text; *at; at++) {
		if (*at < 0x80) {
			*to++ = *at;
			continue;
		}
		*to++ = (unsigned char)(0xc0 | *at >> 6);
		*to++ = (unsigned char)(0x80 | (*at & 0x3f));
	}
	value = json_string((char *)latin);
	free(latin);
	return value;
}

json_t *values_number(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *values_address(uint16_t family, const uint8_t address[16], uint16_t port)
{
	char buffer[64];
	struct text text = {.at = buffer, .size = sizeof buffer - 1};
	if (!family)
		return json_null();
	text_address(&text, family, address, port);
	buffer[text.used] = 0;
	return json_string(buffer);
}

json_t *values_hex(const uint8_t *bytes, unsigned n)
{
	char buffer[2 * 64 + 1] = "";
	if (!n)
		return json_null();
	for (unsigned i = 0; i < n && i < 64; i++)
		snprintf(buffer + 2 * i, 3, "%02x", bytes[i]);
	return json_string(buffer);
}

json_t *values_cookie(uint64_t cookie)
{
	char buffer[24];
	snprintf(buffer, sizeof buffer, "%" PRIu64, cookie);
	return json_string(buffer);
}

void values_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		say_die(SAY_USAGE, "out of memory");
}

void values_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		say_die(SAY_USAGE, "out of memory");
}

int values_write(json_t *value, const char *path)
{
	FILE *file = path ? fopen(path, "we") : stdout;
	if (!file) {
		say_warn("cannot open %s:", path);
		json_decref(value);
		return -1;
	}
	int result = json_dumpf(value, file, JSON_INDENT(2) | JSON_ENSURE_ASCII);
	json_decref(value);
	if (fputc('\n', file) == EOF || fflush(file) != 0)
		result = -1;
	if (result != 0)
		say_warn("cannot write %s:", path ? path : "standard output");
	if (path)
		fclose(file);
	return result;
}
