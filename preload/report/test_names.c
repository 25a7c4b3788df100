/* See test_names.h. */
#include "report/test_names.h"

#include "base/sections.h"
#include "base/texts.h"

#include <string.h>

ARENA_TABLE static struct texts names;

uint16_t test_names_id(const char *text)
{
	return texts_id(&names, text, strnlen(text, TEXTS_MAX_BYTES));
}

const char *test_names_text(uint16_t id)
{
	return texts_get(&names, id);
}

uint32_t test_names_count(void)
{
	return texts_count(&names);
}
