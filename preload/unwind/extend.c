/* Frames of a language stand where its interpreter begins: before the first native frame
 * of that, behind what the interpreter called (an extension module, a library).  What the
 * program says itself, a note or a stack of JavaScript, stands before everything.
 *
 * The same line may call through different code of an interpreter, which adapts itself
 * while it runs.  For the user that is one place: backtraces that differ nowhere else
 * have one `place`. */
#include "unwind/extend.h"

#include "base/sections.h"
#include "common/text.h"
#include "unwind/backtraces.h"
#include "unwind/lines.h"
#include "unwind/modules.h"

#include <string.h>

static uint8_t language_of(uint64_t frame)
{
	const struct origin_line *line = SL_FRAME_MODULE(frame) == SL_FRAME_LANGUAGE
						 ? lines_by_id((uint32_t)frame)
						 : NULL;

	return line ? line->language : SL_LANGUAGE_NONE;
}

static bool is_interpreter(uint64_t frame, unsigned languages)
{
	const struct module *module = SL_FRAME_MODULE(frame) == SL_FRAME_LANGUAGE
					      ? NULL
					      : modules_by_id(SL_FRAME_MODULE(frame));

	return module && text_is_interpreter(languages, module->shown.path);
}

static unsigned take_lines(const struct extension *extension, unsigned max,
			   uint64_t lines[SL_MAX_FRAMES])
{
	unsigned n = 0;

	for (unsigned i = 0; i < extension->n && n < max; i++) {
		uint32_t id = lines_id(&extension->frames[i]);

		if (id)
			lines[n++] = (uint64_t)SL_FRAME_LANGUAGE << 48 | id;
	}
	return n;
}

/* Where in the native frames the language's belong.  Java's own code, which is in no
 * module, is where native frames end. */
static unsigned find_interpreter(const struct origin_backtrace *native, uint8_t language)
{
	unsigned n = native && !text_is_said(language) ? native->n_frames : 0;

	for (unsigned i = 0; i < n; i++)
		if (is_interpreter(native->frames[i], 1U << language))
			return i;
	return language == SL_LANGUAGE_JAVA ? n : 0;
}

static unsigned add_frames(uint64_t to[SL_MAX_FRAMES], unsigned n, const uint64_t *from,
			   unsigned n_from)
{
	if (n_from > SL_MAX_FRAMES - n)
		n_from = SL_MAX_FRAMES - n;
	if (n_from)
		memcpy(&to[n], from, n_from * sizeof(*to));
	return n + n_from;
}

/* The first backtrace that looks the same without its interpreter's own frames. */
static uint32_t find_place(uint32_t id, const uint64_t *frames, unsigned n)
{
	ARENA_TABLE static uint64_t seen[SL_MAX_FRAMES];
	unsigned languages = 0, n_seen = 0;

	for (unsigned i = 0; i < n; i++)
		languages |= 1U << language_of(frames[i]);
	for (unsigned i = 0; i < n; i++)
		if (!is_interpreter(frames[i], languages))
			seen[n_seen++] = frames[i];
	const struct pair_key key = pairs_key_of_trace(seen, n_seen);
	pairs_remember(&key, id);
	uint32_t place = pairs_find(&key);
	return place ? place : id;
}

uint32_t extend(const struct extension *extension, uint32_t origin, unsigned max_frames)
{
	ARENA_TABLE static uint64_t lines[SL_MAX_FRAMES], frames[SL_MAX_FRAMES];
	const struct origin_backtrace *native = backtraces_by_id(origin);
	unsigned n_lines = take_lines(extension, max_frames, lines);
	uint8_t language = extension->frames[0].language;

	if (!n_lines)
		return origin;
	unsigned at = find_interpreter(native, language);
	unsigned n = add_frames(frames, 0, native ? native->frames : NULL, at);
	n = add_frames(frames, n, lines, n_lines);
	if (native)
		n = add_frames(frames, n, &native->frames[at], native->n_frames - at);
	/* Frames of Java come whole, and native ones end where they begin. */
	bool is_short = language != SL_LANGUAGE_JAVA && (!native || native->is_short);
	uint32_t id = backtraces_intern(frames, n, is_short);
	if (id)
		backtraces_describe_place(id, find_place(id, frames, n));
	if (id && text_is_said(language))
		backtraces_describe_note(id, origin);
	return id;
}
