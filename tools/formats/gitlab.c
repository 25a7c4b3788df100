/* The report of GitLab's Code Quality: an entry a place, at its line.
 *
 * A merge request shows what is new in it by the fingerprints, so these stay the same
 * over rebuilds.  An entry needs a line of a file: a place without one is left out. */
#include "formats/formats.h"

#include "formats/values.h"
#include "support/paths.h"

static json_t *entry(const struct findings_place *place, const struct text_frame *line,
		     const char *severity)
{
	const char *path = line->file + paths_below_source_root(line->file);
	char description[1024];

	format_headline(place, description, sizeof(description));
	return values_checked(json_pack(
		"{s:s, s:s, s:s, s:s, s:{s:o, s:{s:i}}}", "description", description,
		"check_name", text_kind_name(place->kind), "fingerprint",
		place->fingerprint, "severity", severity, "location", "path",
		values_escaped(path), "lines", "begin", (int)line->line));
}

static void add_places(json_t *entries, const struct findings_place *places, size_t n,
		       const char *severity)
{
	for (size_t i = 0; i < n; i++) {
		const struct text_frame *line = format_source_line(&places[i]);

		if (line)
			json_array_append_new(entries, entry(&places[i], line, severity));
	}
}

void format_gitlab(const struct findings *findings, FILE *file)
{
	json_t *entries = values_checked(json_array());

	add_places(entries, findings->leaks, findings->n_leaks, "major");
	add_places(entries, findings->late, findings->n_late,
		   findings->late_counts ? "major" : "info");
	json_dumpf(entries, file, JSON_INDENT(1));
	fputc('\n', file);
	json_decref(entries);
}
