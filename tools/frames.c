/* Physical frames (module and offset) become what a reader knows: one or more frames with
 * function, file and line. */
#include "frames.h"

#include "symbols.h"

#include <string.h>

/* A backtrace of SL_MAX_FRAMES whose every frame is inlined this deep is cut. */
#define MAX_NAMED_FRAMES 1024

static unsigned name_frame(struct symbols *symbols, const struct text_frame *physical,
			   struct text_frame *named, unsigned room)
{
	const struct symbol_frame *found;
	size_t n = 0;

	if (physical->module)
		n = symbols_find(symbols, physical->module, physical->build_id,
				 physical->build_id_bytes, physical->offset, &found);
	if (n == 0) {
		named[0] = *physical;
		return 1;
	}
	for (size_t i = 0; i < n && i < room; i++) {
		named[i] = *physical;
		named[i].function = found[i].function;
		named[i].function_offset = found[i].distance;
		named[i].file = found[i].file;
		named[i].line = found[i].line;
		named[i].inlined = found[i].inlined;
	}
	return (unsigned)(n < room ? n : room);
}

static void name_frames(struct findings *findings, const struct text_frame **frames,
			unsigned *n)
{
	struct text_frame named[MAX_NAMED_FRAMES];
	unsigned n_named = 0;

	for (unsigned i = 0; i < *n && n_named < MAX_NAMED_FRAMES; i++)
		n_named += name_frame(findings->symbols, &(*frames)[i], &named[n_named],
				      MAX_NAMED_FRAMES - n_named);
	if (!n_named)
		return;
	*frames = memcpy(findings_keep(findings, n_named * sizeof(*named)), named,
			 n_named * sizeof(*named));
	*n = n_named;
}

static void name_places(struct findings *findings, struct findings_place *places,
			size_t n)
{
	for (size_t i = 0; i < n; i++) {
		name_frames(findings, &places[i].origin, &places[i].n_origin);
		name_frames(findings, &places[i].eof, &places[i].n_eof);
	}
}

void frames_name(struct findings *findings)
{
	if (findings->n_leaks + findings->n_pending == 0)
		return;
	findings->symbols = symbols_open();
	if (!findings->symbols)
		return;
	name_places(findings, findings->leaks, findings->n_leaks);
	name_places(findings, findings->pending, findings->n_pending);
}

static bool is_of_system(const struct text_frame *frame)
{
	static const char *const prefixes[] = {"/lib/", "/lib64/", "/usr/lib/",
					       "/usr/lib64/"};

	if (!frame->module || frame->module[0] != '/')
		return true;
	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (strncmp(frame->module, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

const struct text_frame *frames_first_of_user(const struct text_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_of_system(&frames[i]))
			return &frames[i];
	return n ? &frames[0] : NULL;
}
