/* See notes.h. */
#include "languages/notes.h"

#include "base/sections.h"
#include "base/texts.h"
#include "common/ledger.h"

#include <string.h>

ARENA_TABLE static struct texts notes;

unsigned notes_read(const char *text, struct language_frame frames[NOTES_MAX_LINES])
{
	unsigned n = 0;

	while (*text && n < NOTES_MAX_LINES) {
		size_t bytes = strcspn(text, "\r\n");
		uint16_t id = bytes ? texts_id(&notes, text, bytes) : 0;

		if (bytes && !id)
			return 0;
		if (bytes)
			frames[n++] = (struct language_frame){
				.language = SL_LANGUAGE_NOTE, .identity = id};
		text += bytes;
		text += strspn(text, "\r\n");
	}
	return n;
}

const char *notes_text(uint32_t identity)
{
	return identity <= TEXTS_MAX ? texts_get(&notes, (uint16_t)identity) : NULL;
}
