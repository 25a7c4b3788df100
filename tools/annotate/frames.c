/* Physical frames (module and offset) become what a reader knows: one or more frames with
 * function, file and line.
 *
 * Theory of operation.  annotate/ adds to findings what no ledger has: here the names of
 * frames, from the files of the modules (symbols/), and in peers.c what has become of the
 * other ends.  Neither changes which sockets are found.  Peers come first, since naming
 * can take seconds in which a peer forgets; rules come after both, since they match
 * names.  A frame whose module cannot be read stays as it is. */
#include "annotate/frames.h"

#include "common/path.h"
#include "support/paths.h"
#include "support/say.h"

#include <stdlib.h>
#include <string.h>

/* A backtrace of SL_MAX_FRAMES whose every frame is inlined this deep is cut. */
#define MAX_NAMED_FRAMES 1024

static struct text_frame name_one(const struct text_frame *physical,
				  const struct symbol_frame *found)
{
	struct text_frame named = *physical;

	named.function = found->function;
	named.function_offset = found->distance;
	named.file = found->file;
	named.file_prefix_bytes =
		found->file ? paths_below_working_directory(found->file) : 0;
	named.line = found->line;
	named.inlined = found->inlined;
	return named;
}

/* Of a frame that says its file itself. */
static struct text_frame with_prefix(const struct text_frame *frame)
{
	struct text_frame named = *frame;

	if (named.file)
		named.file_prefix_bytes = paths_below_working_directory(named.file);
	return named;
}

static unsigned name_frame(struct symbols *symbols, const struct text_frame *physical,
			   struct text_frame *named, unsigned room)
{
	const struct symbol_frame *found;
	unsigned n = 0;

	if (physical->module) /* none of a language has one */
		n = (unsigned)symbols_find(symbols, physical->module, physical->build_id,
					   physical->build_id_bytes, physical->offset,
					   &found);
	if (n == 0) {
		named[0] = with_prefix(physical);
		return 1;
	}
	if (n > room)
		n = room;
	for (unsigned i = 0; i < n; i++)
		named[i] = name_one(physical, &found[i]);
	return n;
}

struct text_frame frames_name_innermost(struct symbols *symbols, const char *root,
					const struct text_frame *physical)
{
	const struct symbol_frame *found;

	if (!physical->module)
		return with_prefix(physical);
	char *path = say_printf("%s%s", root, physical->module);
	size_t n = symbols_find(symbols, path, physical->build_id,
				physical->build_id_bytes, physical->offset, &found);

	free(path);
	return n ? name_one(physical, &found[0]) : *physical;
}

static void name_frames(struct findings *findings, bool folds,
			const struct text_frame **frames, unsigned *n)
{
	struct text_frame named[MAX_NAMED_FRAMES];
	unsigned n_named = 0;

	for (unsigned i = 0; i < *n && n_named < MAX_NAMED_FRAMES; i++)
		n_named += name_frame(findings->symbols, &(*frames)[i], &named[n_named],
				      MAX_NAMED_FRAMES - n_named);
	if (!n_named)
		return;
	if (folds)
		text_fold(named, n_named);
	*frames = memcpy(findings_keep(findings, n_named * sizeof(*named)), named,
			 n_named * sizeof(*named));
	*n = n_named;
}

static void name_places(struct findings *findings, bool folds,
			struct findings_place *places, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		name_frames(findings, folds, &places[i].origin, &places[i].n_origin);
		name_frames(findings, folds, &places[i].eof, &places[i].n_eof);
		for (size_t j = 0; j < places[i].n_uses; j++)
			name_frames(findings, folds, &places[i].uses[j].frames,
				    &places[i].uses[j].n_frames);
	}
}

void frames_name(struct findings *findings, bool folds)
{
	if (findings->n_leaks + findings->n_pending + findings->n_late == 0)
		return;
	if (!findings->symbols)
		findings->symbols = symbols_open();
	if (!findings->symbols)
		return;
	name_places(findings, folds, findings->leaks, findings->n_leaks);
	name_places(findings, folds, findings->pending, findings->n_pending);
	name_places(findings, folds, findings->late, findings->n_late);
}

static bool is_of_system(const struct text_frame *frame)
{
	if (frame->language)
		return frame->is_folded || text_is_of_language(frame);
	if (!frame->module)
		return !frame->function;
	if (frame->is_folded || frame->module[0] != '/')
		return true;
	return path_is_of_system(frame->module);
}

const struct text_frame *frames_first_of_user(const struct text_frame *frames, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (!is_of_system(&frames[i]))
			return &frames[i];
	return n ? &frames[0] : NULL;
}
