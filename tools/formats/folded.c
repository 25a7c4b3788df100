/* Folded stacks, as flame graphs take them: root first, frames joined by ';', then the
 * number of leaked sockets. */
#include "common/path.h"
#include "formats/formats.h"

#include <string.h>

/* No ';' and no control character inside a frame. */
static void print_name(FILE *file, const char *name)
{
	char buffer[4096];
	struct text text = {.at = buffer, .size = sizeof(buffer)};

	text_escaped(&text, name);
	for (size_t i = 0; i < text.used; i++)
		fputc(buffer[i] == ';' ? ':' : buffer[i], file);
}

static void print_frame(FILE *file, const struct text_frame *frame)
{
	if (frame->function) {
		print_name(file, frame->function);
		return;
	}
	print_name(file, frame->module ? path_base(frame->module) : "[unknown]");
	fprintf(file, "+0x%llx", (unsigned long long)frame->offset);
}

static void print_stack(FILE *file, const struct findings_place *place)
{
	const char *call = text_call_name(place->call);

	for (unsigned i = place->n_origin; i-- > 0;) {
		if (place->origin[i].is_folded)
			continue;
		print_frame(file, &place->origin[i]);
		fputc(';', file);
	}
	fprintf(file, "%s %zu\n", call ? call : "[unknown]", place->n_sockets);
}

/* What was closed after all stands on a root of its own. */
void format_folded(const struct findings *findings, FILE *file)
{
	for (size_t i = 0; i < findings->n_leaks; i++)
		print_stack(file, &findings->leaks[i]);
	for (size_t i = 0; i < findings->n_late; i++) {
		fputs("[closed late];", file);
		print_stack(file, &findings->late[i]);
	}
}
