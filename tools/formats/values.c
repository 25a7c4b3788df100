/* JSON values that reports, list and scan have in common. */
#include "formats/values.h"

#include "common/ledger.h"
#include "formats/formats.h"
#include "support/outfile.h"
#include "support/say.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

json_t *values_checked(json_t *value)
{
	if (!value)
		say_die(say_memory_status, "out of memory");
	return value;
}

static void put_escaped(struct text *text, const void *of)
{
	text_escaped(text, of);
}

json_t *values_escaped(const char *string)
{
	size_t bytes;
	char *block = format_block(put_escaped, string, &bytes);
	json_t *value = values_checked(json_stringn(block, bytes));

	free(block);
	return value;
}

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

/* null where n is 0 */
static json_t *hex(const uint8_t *bytes, unsigned n)
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
	if (!cookie)
		return json_null();
	snprintf(buffer, sizeof buffer, "%" PRIu64, cookie);
	return json_string(buffer);
}

json_t *values_verdict(enum sl_verdict verdict)
{
	static const char *const names[] = {
		[SL_LEAK_GRACE] = "grace", [SL_LEAK_EXIT] = "exit"};

	return values_string(names[verdict]);
}

json_t *values_frame(const struct text_frame *frame)
{
	json_t *object = json_object();
	char offset[24];

	values_set(object, "language",
		   values_string(text_language_name(frame->language)));
	snprintf(offset, sizeof offset, "0x%" PRIx64, frame->offset);
	values_set(object, "function", values_string(frame->function));
	values_set(object, "file", values_string(frame->file));
	values_set(object, "line", values_known(frame->line));
	values_set(object, "module", values_name(frame->module));
	values_set(object, "offset", frame->language ? json_null() : json_string(offset));
	values_set(object, "build_id", hex(frame->build_id, frame->build_id_bytes));
	if (frame->by_frame_pointer)
		values_set(object, "by", json_string("frame-pointer"));
	values_set(object, "inlined", json_boolean(frame->inlined));
	return object;
}

json_t *values_whys(unsigned why)
{
	json_t *array = json_array();
	for (unsigned i = 0; i < TEXT_N_WHYS; i++)
		if (why & (1U << i))
			values_append(array, json_string(text_why_name(1U << i)));
	return array;
}

json_t *values_unread(uint64_t bytes)
{
	return bytes == TEXT_UNREAD_UNKNOWN ? json_null() : values_number(bytes);
}

json_t *values_ms(uint64_t ms)
{
	return ms == TEXT_MS_UNKNOWN ? json_null() : values_number(ms);
}

json_t *values_name(const char *name)
{
	return values_string(name && *name ? name : NULL);
}

json_t *values_known(uint64_t value)
{
	return value ? values_number(value) : json_null();
}

void values_set(json_t *object, const char *key, json_t *value)
{
	if (json_object_set_new_nocheck(object, key, value) < 0)
		say_die(say_memory_status, "out of memory");
}

void values_append(json_t *array, json_t *value)
{
	if (json_array_append_new(array, value) < 0)
		say_die(say_memory_status, "out of memory");
}

json_t *values_document(void)
{
	json_t *object = json_object();
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	values_set(object, "tool", json_string("sockleak"));
	values_set(object, "version", json_string(SL_VERSION));
	values_set(object, "host", values_name(host));
	return object;
}

int values_write(json_t *value, const char *path)
{
	struct outfile *outfile = outfile_open(path);
	FILE *file = outfile ? outfile_begin(outfile) : NULL;
	int result = -1;
	if (file) {
		json_dumpf(value, file, JSON_INDENT(2) | JSON_ENSURE_ASCII);
		fputc('\n', file);
		result = outfile_end(outfile);
	}
	outfile_close(outfile);
	json_decref(value);
	return result;
}
