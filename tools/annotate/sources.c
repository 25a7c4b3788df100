/* See sources.h.
 *
 * What a ledger and a module name is read, and what is read is shown to whoever asks: a
 * file that not all may read is believed only where the module is of the same owner as
 * this process, so that nobody's program can have another's file shown. */
#include "annotate/sources.h"

#include "findings/stack.h"
#include "support/files.h"
#include "symbols/symbols.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A line that is longer is no line that a person wrote. */
#define MAX_LINE_BYTES 4096
/* Lines that are shown before and after one. */
#define MAX_BESIDE 2

static bool is_newer(const struct stat *a, const struct stat *b)
{
	return a->st_mtim.tv_sec != b->st_mtim.tv_sec
		       ? a->st_mtim.tv_sec > b->st_mtim.tv_sec
		       : a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* Whether it is the file that `module` was built from, and may be shown. */
static bool is_good(int fd, const char *module)
{
	struct stat source, built;

	if (fstat(fd, &source) < 0 || stat(module, &built) < 0)
		return false;
	return !is_newer(&source, &built) &&
	       ((source.st_mode & S_IROTH) ||
		(source.st_uid == geteuid() && built.st_uid == geteuid()));
}

/* The line as it is in the file, without its end; NULL = it is too long. */
static const char *keep_line(struct findings *findings, char *line, ssize_t n)
{
	if (n >= MAX_LINE_BYTES)
		return NULL;
	while (n > 0 && strchr(" \t\r\n", line[n - 1]))
		line[--n] = 0;
	return findings_keep_string(findings, line);
}

/* Line `number` and those beside it, as many of them as there are. */
static void read_lines(struct findings *findings, struct findings_place *place,
		       FILE *file, unsigned number)
{
	unsigned first = number > MAX_BESIDE ? number - MAX_BESIDE : 1;
	const char **lines =
		findings_keep(findings, (2 * MAX_BESIDE + 1) * sizeof(*lines));
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	for (unsigned i = 1; i <= number + MAX_BESIDE; i++) {
		if ((n = getline(&line, &room, file)) < 0)
			break;
		if (i < first)
			continue;
		const char *kept = keep_line(findings, line, n);
		lines[place->n_lines++] = kept ? kept : "...";
		if (i == number && kept)
			place->source = kept;
	}
	free(line);
	place->lines = lines;
	place->first_line = first;
}

/* Without the blanks before it, tabs as blanks; NULL = there is none, or it is empty. */
static const char *strip(struct findings *findings, const char *line)
{
	const char *at = line + strspn(line, " \t");

	if (!*at)
		return NULL;
	if (!strchr(at, '\t'))
		return at;
	char *kept = findings_keep(findings, strlen(at) + 1);
	strcpy(kept, at);
	for (char *tab = kept; (tab = strchr(tab, '\t'));)
		*tab = ' ';
	return kept;
}

static void find_lines(struct findings *findings, struct findings_place *place)
{
	const struct text_frame *frame = stack_first_own(place->origin, place->n_origin);

	if (!frame || !frame->file || frame->file[0] != '/' || !frame->line ||
	    !frame->module ||
	    !symbols_is_at(findings->symbols, frame->module, frame->build_id,
			   frame->build_id_bytes))
		return;
	int fd = files_open_regular(frame->file);
	FILE *file = fd >= 0 ? fdopen(fd, "r") : NULL;
	if (file && is_good(fd, frame->module))
		read_lines(findings, place, file, frame->line);
	if (file)
		fclose(file);
	else if (fd >= 0)
		close(fd);
	if (place->source)
		place->source = strip(findings, place->source);
	if (!place->source)
		place->n_lines = 0;
}

static void read_places(struct findings *findings, struct findings_place *places,
			size_t n)
{
	for (size_t i = 0; i < n; i++)
		find_lines(findings, &places[i]);
}

void sources_read(struct findings *findings)
{
	if (!findings->symbols)
		return;
	read_places(findings, findings->leaks, findings->n_leaks);
	read_places(findings, findings->late, findings->n_late);
	read_places(findings, findings->pending, findings->n_pending);
}
